"""The page of a run: its figures follow plotly's schema, it needs nothing else, and shows words as words."""

import base64
import re

import plotly.graph_objects as go
import pytest
import torch
from support import history, history_of_a_table, history_of_words

from salreg.history import MAX_FRAMES, Frame, History
from salreg.plotting import report
from salreg.plotting.report_figures import curves_figure, panel_figure, sanity_figure
from salreg.verdict import Verdict

RUNS = {"plain": history(seed=0), "regularised": history(seed=1)}


@pytest.mark.parametrize(
    "figure",
    [
        panel_figure({"": RUNS["plain"]}, "input_gradient"),
        panel_figure(RUNS, "input_gradient"),
        panel_figure({"": history_of_words()}, "input_gradient"),
        panel_figure({"plain": history_of_words(), "regularised": history_of_words()}, "input_gradient"),
        panel_figure({"": history_of_a_table()}, "input_gradient"),
        curves_figure({"": RUNS["plain"]}),
        curves_figure(RUNS),
        sanity_figure(RUNS["plain"]),
    ],
    ids=["panel", "panels side by side", "texts", "texts side by side", "tables", "curves", "curves of two", "sanity"],
)
def test_figures_follow_plotlys_schema(figure):
    assert len(go.Figure(figure).data) == len(figure["data"]) > 0


def test_a_frame_per_epoch_holds_every_map():
    figure = panel_figure(RUNS, "input_gradient")
    assert [frame["name"] for frame in figure["frames"]] == ["0", "1", "2"]
    assert [step["label"] for step in figure["layout"]["sliders"][0]["steps"]] == ["0", "1", "2"]
    assert all(len(frame["data"]) == 2 * 2 for frame in figure["frames"])  # two samples, two runs
    assert all(trace["type"] == "heatmap" for trace in figure["frames"][0]["data"])


def test_a_run_that_ended_early_keeps_its_last_map():
    short = history(epochs=2)
    figure = panel_figure({"short": short, "long": RUNS["plain"]}, "input_gradient")
    second, third = (frame["data"] for frame in figure["frames"][1:])
    assert second[0]["z"] == third[0]["z"]
    assert second[1]["z"] != third[1]["z"]


def test_a_map_is_drawn_in_hundredths_of_its_maximum():
    seen = history(epochs=1)
    seen.frames["input_gradient"][0].saliency[0] = torch.tensor([[0.0, 2.0], [1.0, 4.0]])
    z = panel_figure({"": seen}, "input_gradient")["data"][0]["z"]
    assert (list(base64.b64decode(z["bdata"])), z["shape"]) == ([0, 50, 25, 100], "2, 2")


def test_the_page_needs_no_other_file():
    page = report(RUNS, "two runs")
    own = re.sub(r"<script>/\*\*?\s*\n?\*? ?plotly\.js.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", own)


def test_words_of_the_user_stay_words():
    evil = "<script>alert(1)</script>"
    seen = history(label=evil)
    seen.config, seen.verdict = evil, Verdict(evil, evil, evil)
    page = report({evil: seen, "other": history(label=evil)}, evil)
    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_other_panels_are_not_shown_side_by_side():
    other = history()
    other.images = [image + 1 for image in other.images]
    page = report({"one": history(), "another": other}, "two panels")
    assert page.count("Where the model looks") == 1
    assert "another: val" in page


def test_nothing_to_show_is_a_page_too():
    assert "<h1>empty</h1>" in report({"": History()}, "empty")


def test_a_long_history_forgets_every_other_frame_but_not_the_ends():
    seen = History()
    for epoch in range(3 * MAX_FRAMES):
        seen.add("input_gradient", Frame(epoch, [torch.ones(2, 2)], ["cat"], [0.0]))
    epochs = [frame.epoch for frame in seen.frames["input_gradient"]]
    assert len(epochs) <= MAX_FRAMES
    assert (epochs[0], epochs[-1]) == (0, 3 * MAX_FRAMES - 1)


def test_a_history_survives_a_file(tmp_path):
    torch.save(RUNS["plain"].state_dict(), tmp_path / "history.pt")
    again = report({"": History.load(tmp_path / "history.pt")}, "one")
    assert _without_ids(again) == _without_ids(report({"": RUNS["plain"]}, "one"))


def _without_ids(page: str) -> str:
    """plotly names its elements at random."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "id", page)


def test_a_text_is_drawn_word_by_word_without_its_padding():
    figure = panel_figure({"": history_of_words(word="<b>")}, "input_gradient")
    first, second = figure["frames"][0]["data"]
    words = [word for line in first["text"] for word in line]
    assert words[:5] == ["a", "&lt;b&gt;", "fine", "film", "indeed"]
    assert not any(words[5:])
    assert [value for line in second["z"] for value in line].count(None) == len(words) - 2


def test_a_row_is_drawn_by_its_marked_and_most_salient_columns():
    seen = history_of_a_table(columns=40)
    for frame in seen.frames["input_gradient"]:
        for saliency in frame.saliency:
            saliency[2:] = 0
            saliency[30] = 5.0
    bars = panel_figure({"": seen}, "input_gradient")["frames"][0]["data"][0]
    assert len(bars["x"]) == 16
    ticks = panel_figure({"": seen}, "input_gradient")["layout"]["yaxis"]["ticktext"]
    assert {"race", "age", "column 30"} <= set(ticks)
    assert bars["x"][ticks.index("column 30")] == 100
