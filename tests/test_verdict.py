"""What is said at the end, in every case."""

import pytest
from support import history

from salreg.plotting import History
from salreg.verdict import verdict, verdict_on_run, verdict_on_runs

SALIENCY, PROBES = {"input_gradient": (0.4, 0.02)}, {"grad_cam": (0.38, 0.03)}


@pytest.mark.parametrize(
    ("saliency", "probes", "reliance", "end"),
    [
        (SALIENCY, PROBES, (0.52, 0.01), ": the model stopped using the region"),
        (SALIENCY, {}, (0.52, 0.49), ": the map changed and the behaviour did not"),
        (SALIENCY, {"grad_cam": (0.38, 0.37)}, (0.52, 0.01), "though grad_cam points at it as before"),
        (SALIENCY, PROBES, (0.52, 0.2), ": the model uses the region less, but still does"),
        ({"input_gradient": (0.4, 0.4)}, PROBES, (0.52, 0.49), ": the model uses the region"),
        (SALIENCY, PROBES, (0.02, 0.01), ": predictions did not depend on the region"),
        (SALIENCY, PROBES, None, "; reliance was not measured"),
    ],
)
def test_each_case_has_words_of_its_own(saliency, probes, reliance, end):
    said = verdict(saliency, probes, reliance)
    assert said.startswith("spurious saliency 40% → ")
    assert said.endswith(end)


def test_nothing_marked_nothing_said():
    assert verdict({}, {}, (0.5, 0.1)) == ""
    assert verdict_on_run(History()) == ""


def test_a_run_is_judged_from_its_worst_snapshot():
    seen = history()
    seen.panel[1]["spurious_saliency"], seen.curves[1]["panel/reliance"] = 0.6, 0.7
    assert verdict_on_run(seen).startswith("spurious saliency 60% → 13% (input_gradient), reliance 70% → 13%")


def test_two_runs_are_judged_by_their_ends():
    plain, better = history(), history()
    better.panel[-1]["spurious_saliency"], better.curves[2]["panel/reliance"] = 0.001, 0.0
    said = verdict_on_runs(plain, better)
    assert said == "spurious saliency 13% → 0.1% (input_gradient), reliance 13% → 0%: the model stopped using the region"


def test_the_reliance_on_validation_data_comes_before_the_panels():
    seen = history()
    for epoch, value in enumerate((0.8, 0.5, 0.0)):
        seen.curves[epoch]["val/reliance"] = value
    assert "reliance 80% → 0%" in verdict_on_run(seen)
