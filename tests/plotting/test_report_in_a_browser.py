"""The report in a real browser: ``pytest -m browser``. Skipped where there is no ``chromium``."""

import shutil
import threading

import pytest
import torch
from support import history

from salreg.plotting import report
from salreg.recipes.command.watch import server

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def page(browser):
    """A page without a network; whatever it complains of fails the test."""
    opened = browser.new_page(viewport={"width": 1360, "height": 1000})
    complaints = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    opened.close()
    assert not complaints


def show(page, tmp_path, runs, title="run"):
    (tmp_path / "report.html").write_text(report(runs, title), "utf-8")
    page.context.set_offline(True)
    page.goto(f"file://{tmp_path / 'report.html'}")
    page.wait_for_selector(".js-plotly-plot .slider-group")


def maps(page) -> list[str]:
    """The pictures of the panel's heat maps, as they are drawn."""
    return page.eval_on_selector_all(".js-plotly-plot .hm image", "all => all.map(one => one.getAttribute('href'))")


def move_to(page, epoch: int, of: int) -> None:
    rail = page.locator(".slider-rail-rect").first.bounding_box()
    page.mouse.click(rail["x"] + rail["width"] * epoch / (of - 1), rail["y"] + rail["height"] / 2)
    page.wait_for_timeout(500)


def test_the_slider_moves_and_the_pictures_change(page, tmp_path):
    show(page, tmp_path, {"": history()})
    seen = {2: maps(page)}
    assert len(seen[2]) == 2
    for epoch in (0, 1):
        move_to(page, epoch, of=3)
        assert page.locator(".slider-label").first.text_content() == f"epoch {epoch}"
        seen[epoch] = maps(page)
    assert len({tuple(pictures) for pictures in seen.values()}) == 3
    move_to(page, 2, of=3)
    assert maps(page) == seen[2]


def test_one_slider_for_runs_side_by_side(page, tmp_path):
    show(page, tmp_path, {"plain": history(seed=0), "regularised": history(seed=1)})
    before = maps(page)
    move_to(page, 0, of=3)
    assert len(before) == 4
    assert all(old != new for old, new in zip(before, maps(page), strict=True))


def test_a_class_called_script_is_shown_as_text(page, tmp_path):
    name = "<script>"
    show(page, tmp_path, {"": history(label=name)}, title="<script>window.hacked = 1</script>")
    assert page.evaluate("window.hacked") is None
    assert name in page.locator(".js-plotly-plot").first.text_content()
    assert page.locator("h1").text_content() == "<script>window.hacked = 1</script>"


def test_a_click_on_the_legend_hides_the_outlines(page, tmp_path):
    show(page, tmp_path, {"": history()})
    outlines = page.locator(".js-plotly-plot").first.locator(".scatterlayer path.js-line")
    assert outlines.count() > 0
    page.locator(".legendtoggle").first.click()
    page.wait_for_timeout(800)
    assert outlines.count() == 0


def test_a_watched_report_reloads_when_it_changes(page, tmp_path):
    with server(tmp_path) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        page.goto(serving.url)
        assert "no report yet" in page.locator("p").first.text_content()
        for epochs in (1, 2):
            title = f"{epochs} epochs"
            (tmp_path / "report.html").write_text(report({"": history(epochs)}, title), "utf-8")
            page.wait_for_selector(f"h1:has-text('{title}')", timeout=15_000)
        serving.shutdown()


def test_sample_maps_without_any_saliency_are_drawn(page, tmp_path):
    empty = history()
    empty.frames["input_gradient"][-1].saliency[:] = [torch.zeros(8, 8), torch.full((8, 8), float("nan"))]
    show(page, tmp_path, {"": empty})
    assert len(maps(page)) == 2
