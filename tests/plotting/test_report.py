"""The page of a run: it holds the numbers and maps, needs nothing else, and shows words as words."""

import base64
import json
import math
import re

import plotly.graph_objects as go
import pytest
import torch
from support import history, history_of_a_table, history_of_words

from salreg.history import MAX_FRAMES, Frame, History
from salreg.plotting import report
from salreg.plotting.charts import curves, sanity
from salreg.plotting.panel_data import panel_data
from salreg.verdict import Verdict

RUNS = {"plain": history(seed=0), "regularised": history(seed=1)}


@pytest.mark.parametrize(
    "charts",
    [curves({"": RUNS["plain"]}), curves(RUNS), sanity(RUNS["plain"])],
    ids=["curves", "curves of two", "sanity"],
)
def test_charts_follow_plotlys_schema(charts):
    for chart in charts:
        figure = json.loads(json.dumps(chart.figure(), allow_nan=False).replace('"ink"', '"black"'))
        assert len(go.Figure(figure).data) == len(figure["data"]) > 0


def test_several_runs_differ_in_colour_and_their_kinds_in_dashes():
    for seen in RUNS.values():
        for logged in seen.curves.values():
            logged["train/accuracy"] = 0.5
    accuracy = curves(RUNS)[0]
    looks = {(line.run, line.kind): (line.colour, line.dash) for line in accuracy.lines}
    assert len(looks) == len(set(looks.values())) == 4
    assert len({colour for colour, _ in looks.values()}) == len({dash for _, dash in looks.values()}) == 2


def test_lightnings_second_name_of_a_number_is_not_drawn():
    seen = history()
    for logged in seen.curves.values():
        logged |= {"salreg/penalty": 0.5, "salreg/penalty_epoch": 0.5}
    penalty = next(chart for chart in curves({"": seen}) if chart.heading == "penalty")
    assert [line.kind for line in penalty.lines] == ["salreg/penalty"]


def test_every_epoch_of_every_run_holds_every_map():
    data = panel_data(RUNS, "input_gradient")
    assert (data["arms"], data["epochs"]) == (["plain", "regularised"], [0, 1, 2])
    for frames in data["frames"].values():
        assert [frame["epoch"] for frame in frames] == [0, 1, 2]
        assert all(len(base64.b64decode(frame["maps"])) == 2 * 8 * 8 for frame in frames)


def test_a_map_is_drawn_in_bytes_of_its_strongest_colour():
    seen = history(epochs=1)
    seen.frames["input_gradient"][0].saliency[0] = torch.cat([torch.tensor([0.0, 2.0]), torch.full((62,), 4.0)]).view(8, 8)
    frame = panel_data({"": seen}, "input_gradient")["frames"][""][0]
    assert list(base64.b64decode(frame["maps"])[:3]) == [0, 128, 255]
    assert frame["shapes"][0] == [8, 8]


def test_samples_tell_by_what_they_are_chosen():
    seen = history()
    *_, last = seen.frames["input_gradient"]
    last.shares = [0.7, math.nan]
    seen.frames["input_gradient"][1].saliency[1] = last.saliency[1]
    one, other = panel_data({"": seen}, "input_gradient")["samples"]
    assert (one["truth"], one["spurious_saliency"], other["spurious_saliency"]) == ("cat", 0.7, None)
    assert one["moved"] > other["moved"] == 0


def test_classes_without_names_are_those_of_the_predictions():
    seen = history(label="class 3")
    assert [sample["truth"] for sample in panel_data({"": seen}, "input_gradient")["samples"]] == ["3", "3"]
    seen.labels = ["sample 0", "sample 1"]
    assert [sample["truth"] for sample in panel_data({"": seen}, "input_gradient")["samples"]] == [None, None]


def test_the_page_needs_no_other_file():
    page = report(RUNS, "two runs")
    own = re.sub(r"<script>/\*\*?\s*\n?\*? ?plotly\.js.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", own)


def test_words_of_the_user_stay_words():
    evil = "<script>alert(1)</script>"
    seen = history(label=evil)
    seen.config, seen.verdict = evil, Verdict(evil, evil, evil)
    page = report({evil: seen, "other": history(label=evil)}, evil, results={"": [evil], evil: [evil]})
    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_verdict_stands_on_top_with_what_to_do_next():
    seen = history()
    seen.verdict = Verdict("epoch 1 → epoch 2: reliance 50% → 2%", "the model stopped using the region", "Confirm it.")
    page = report({"": seen}, "run")
    assert "The model stopped using the region." in page
    assert "What to do next:</b> Confirm it." in page
    assert page.index("What to do next") < page.index("Where the model looks")


def test_the_table_on_top_holds_the_results_or_else_the_validation_of_the_last_epoch():
    page = report({"": history()}, "run", results={"": ["plain"], "accuracy under intervention": ["0.812"]})
    assert "On the test data" in page
    assert '<th scope="row">plain</th><td>0.812</td>' in page
    page = report({"": history()}, "run")
    assert "On the validation data, at the last epoch" in page
    assert '<th scope="row">this run</th><td>0.900</td>' in page
    assert '<div class="scrolls summary"' not in report({"": History()}, "empty")


def test_the_numbers_of_the_charts_stand_in_a_table():
    page = report(RUNS, "two runs")
    assert '<th scope="col">plain: input_gradient, spurious saliency</th>' in page
    assert '<th scope="row">2</th>' in page


def test_runs_with_other_samples_have_a_panel_of_their_own_in_the_colours_of_their_charts():
    others = history(), history()
    for other in others:
        other.images = [image + 1 for image in other.images]
    page = report({"one": history(), "two": others[0], "three": history(), "four": others[1]}, "two panels")
    assert re.findall(r"<h2>Where the model looks: (.*)</h2>", page) == ["input_gradient", "input_gradient (two, four)"]
    panels = [json.loads(one) for one in re.findall(r'<script type="application/json">(\{"kind.*?)</script>', page)]
    assert [(one["arms"], one["colours"]) for one in panels] == [(["one", "three"], [0, 2]), (["two", "four"], [1, 3])]
    assert page.count("These samples differ from those above") == 1


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
    assert again == report({"": RUNS["plain"]}, "one")


def test_a_text_is_drawn_word_by_word_without_its_padding():
    data = panel_data({"": history_of_words(word="<b>")}, "input_gradient")
    first, second = data["samples"]
    assert first["names"] == ["a", "<b>", "fine", "film", "indeed"]
    assert (len(second["names"]), second["signs"]) == (2, [0, -1])
    assert data["frames"][""][0]["shapes"] == [[1, 5], [1, 2]]


def test_a_row_is_drawn_by_its_marked_and_most_salient_columns():
    seen = history_of_a_table(columns=40)
    for frame in seen.frames["input_gradient"]:
        for saliency in frame.saliency:
            saliency[2:] = 0
            saliency[30] = 5.0
    data = panel_data({"": seen}, "input_gradient")
    names = data["samples"][0]["names"]
    assert len(names) == 16
    assert {"race", "age", "column 30"} <= set(names)
    assert base64.b64decode(data["frames"][""][0]["maps"])[names.index("column 30")] == 255


def test_a_long_signal_makes_a_short_page():
    marks = torch.zeros(1, 16000)
    marks[:, 100:110], marks[:, 8000:12000] = -1, 1
    seen = History([torch.rand(1, 16000)], [marks], ["hum"])
    seen.add("input_gradient", Frame(0, [torch.rand(1024)], ["hum"], [0.5]))
    sample = panel_data({"": seen}, "input_gradient")["samples"][0]
    assert sample["spurious"]
    assert sample["relevant"]
    assert len(sample["spurious"]) + len(sample["relevant"]) < 20000
    assert "marked spurious" in report({"": seen}, "sounds")
