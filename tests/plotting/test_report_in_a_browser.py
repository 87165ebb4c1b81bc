"""The report in a real browser: ``pytest -m browser``. Skipped where there is no ``chromium``."""

import shutil
import threading
from contextlib import nullcontext
from itertools import product

import pytest
import torch
from drawn_less import all_of_it
from support import history, history_of_a_table, history_of_words

from salreg.history import Frame, History
from salreg.plotting import report
from salreg.recipes.command.watch import server
from salreg.verdict import Verdict

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
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    complaints = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    opened.close()
    assert not complaints


def show(page, tmp_path, runs, title="run", charts=False):
    """Open the report; without its charts unless they are looked at, because their library takes a page most of its time."""
    with all_of_it() if charts else nullcontext():
        (tmp_path / "report.html").write_text(report(runs, title), "utf-8")
    page.context.set_offline(True)
    page.goto(f"file://{tmp_path / 'report.html'}")
    page.wait_for_selector(".sample")


def maps(page) -> list[str]:
    """The pictures of the panel's maps, as they are drawn."""
    return page.eval_on_selector_all(".sample canvas", "all => all.map(one => one.toDataURL())")


def samples(page) -> list[str]:
    """The headings of the samples that are seen."""
    return page.locator(".sample:visible h3").all_text_contents()


def of_two_classes():
    """Four samples: two cats, of which one is taken for a dog, its map on the marks, and two dogs, of which one's map moves."""
    seen = history()
    seen.images, seen.annotations, seen.names = seen.images * 2, seen.annotations * 2, seen.names * 2
    seen.labels = ["cat", "cat", "dog", "dog"]
    for frame in seen.frames["input_gradient"]:
        frame.saliency = frame.saliency[:1] * 4
        frame.predictions, frame.shares = ["cat", "dog", "dog", "dog"], [0.1, 0.9, 0.2, 0.3]
    moved = torch.zeros(8, 8)
    moved[7, 7] = 1
    seen.frames["input_gradient"][-1].saliency = [*seen.frames["input_gradient"][1].saliency[:3], moved]
    return seen


def test_the_slider_moves_and_the_pictures_change(page, tmp_path):
    show(page, tmp_path, {"": history()})
    seen = {2: maps(page)}
    assert len(seen[2]) == 2
    for epoch, said in ((0, "untrained"), (1, "epoch 1")):
        page.get_by_role("slider").fill(str(epoch))
        assert page.locator("output").text_content() == said
        seen[epoch] = maps(page)
    assert len({tuple(pictures) for pictures in seen.values()}) == 3
    page.get_by_role("slider").fill("2")
    assert maps(page) == seen[2]


def test_the_arrow_keys_walk_through_the_epochs(page, tmp_path):
    show(page, tmp_path, {"": history()})
    said = []
    for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
        said.append(page.locator("output").text_content())
    assert said == ["epoch 1", "untrained", "untrained", "epoch 1"]
    page.get_by_label("wrongly predicted only").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("output").text_content() == "epoch 2"


def test_one_slider_for_runs_side_by_side(page, tmp_path):
    show(page, tmp_path, {"plain": history(seed=0), "regularised": history(seed=1)})
    before = maps(page)
    page.get_by_role("slider").fill("0")
    assert len(before) == 4
    assert all(old != new for old, new in zip(before, maps(page), strict=True))


def test_a_run_that_ended_early_keeps_its_last_map(page, tmp_path):
    show(page, tmp_path, {"short": history(epochs=2), "long": history()})
    last = maps(page)
    page.get_by_role("slider").fill("1")
    assert [old == new for old, new in zip(last, maps(page), strict=True)] == [True, False, True, False]


def test_samples_are_chosen_by_class_mistakes_saliency_and_change(page, tmp_path):
    show(page, tmp_path, {"": of_two_classes()})
    assert samples(page) == ["cat", "cat", "dog", "dog"]
    page.get_by_label("Class").select_option("dog")
    assert samples(page) == ["dog", "dog"]
    page.get_by_label("Class").select_option("")
    page.get_by_label("wrongly predicted only").check()
    assert samples(page) == ["cat"]
    assert page.locator(".found").text_content() == "1 of 4 samples"
    page.get_by_label("wrongly predicted only").uncheck()
    page.get_by_label("Order").select_option("highest spurious saliency")
    assert page.locator(".sample .share").first.text_content() == "90% on the marks"
    page.get_by_label("Order").select_option("changed most")
    assert page.locator(".sample .share").first.text_content() == "30% on the marks"


def test_a_sample_is_enlarged_and_what_is_drawn_of_it_is_chosen(page, tmp_path):
    show(page, tmp_path, {"": history()})
    small = page.locator(".sample canvas").first.bounding_box()["width"]
    page.get_by_role("button", name="Enlarge sample 0").click()
    assert page.locator(".sample canvas").first.bounding_box()["width"] > 2 * small
    for label, seen in (("marks", ".sample .mapped path[d^=M]"), ("input", ".sample .mapped img"), ("map", ".sample canvas")):
        assert page.locator(seen).first.is_visible()
        page.get_by_role("checkbox", name=label, exact=True).uncheck()
        assert page.locator(seen).first.is_hidden()


def test_what_was_chosen_outlasts_a_reload(page, tmp_path):
    show(page, tmp_path, {"": of_two_classes()})
    page.get_by_label("Class").select_option("dog")
    page.get_by_role("slider").fill("1")
    page.reload()
    page.wait_for_selector(".sample:visible")
    assert (samples(page), page.locator("output").text_content()) == (["dog", "dog"], "epoch 1")


def test_a_class_called_script_is_shown_as_text(page, tmp_path):
    name = "<script>"
    show(page, tmp_path, {"": history(label=name)}, title="<script>window.hacked = 1</script>", charts=True)
    assert page.evaluate("window.hacked") is None
    assert page.locator("h3").first.text_content() == name
    assert page.locator("h1").text_content() == "<script>window.hacked = 1</script>"


def test_a_watched_report_reloads_when_it_changes(page, tmp_path):
    with server(tmp_path) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
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


@pytest.mark.parametrize(
    ("make", "widths"),
    [(history, [390, 1280, 1920]), (history_of_words, [390]), (history_of_a_table, [390])],
    ids=["images", "texts", "tables"],
)
def test_the_page_is_accessible_and_fits_any_width(page, tmp_path, make, widths):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    runs = {"plain": make(), "regularised": make()}
    runs["plain"].verdict, runs["plain"].config = Verdict("reliance 50% → 2%", "the model stopped", "Confirm it."), "seed: 0"
    show(page, tmp_path, runs, charts=True)
    for summary in page.locator("summary").all():
        summary.click()
    for width, scheme in product(widths, ("light", "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_of_a_long_text_marked_and_salient_sentences_are_seen_and_the_rest_is_small_when_enlarged(page, tmp_path):
    words, marks, saliency = ["it", "was", "fine", "."] * 100, torch.zeros(400), torch.zeros(400)
    words[201], words[358], words[300] = "salient", "marked", "aside"
    marks[358], saliency[201] = -1, 1.0
    one = History([torch.arange(400)], [marks], ["good"], [words])
    one.add("input_gradient", Frame(1, [saliency], ["good"], [0.5]))
    show(page, tmp_path, {"run": one})
    text = page.locator(".sample .words").first
    assert [text.get_by_text(word, exact=True).is_visible() for word in ("salient", "marked", "aside")] == [True, True, False]
    assert "…" in text.inner_text()
    page.get_by_role("button", name="Enlarge").first.click()
    size = {
        word: text.get_by_text(word, exact=True).evaluate("one => parseFloat(getComputedStyle(one).fontSize)")
        for word in ("salient", "aside")
    }
    assert text.get_by_text("aside", exact=True).is_visible()
    assert size["aside"] < size["salient"]
    assert "…" not in text.inner_text()
