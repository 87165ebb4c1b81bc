"""What is said at the end, in every case."""

import math

import pytest

from salreg.advice import GUIDE
from salreg.verdict import KINDS, Verdict, verdict

SALIENCY, PROBES = {"input_gradient": (0.4, 0.02)}, {"grad_cam": (0.38, 0.03)}
TAKEN_AWAY = "of predictions change when the marked feature is removed"


@pytest.mark.parametrize(
    ("saliency", "probes", "reliance", "conclusion"),
    [
        (SALIENCY, PROBES, (0.52, 0.01), "the model stopped using the region"),
        (SALIENCY, {}, (0.52, 0.49), f"the map changed but the behaviour did not, as 49% {TAKEN_AWAY}"),
        (SALIENCY, {"grad_cam": (0.38, 0.37)}, (0.52, 0.01), "though grad_cam points at it as before"),
        (SALIENCY, PROBES, (0.52, 0.2), f"the model uses the region less, but still does, as 20% {TAKEN_AWAY}"),
        ({"input_gradient": (0.4, 0.4)}, PROBES, (0.52, 0.49), f"the model uses the region, as 49% {TAKEN_AWAY}"),
        (SALIENCY, PROBES, (0.02, 0.01), "predictions did not depend on the region, neither before nor after"),
        (SALIENCY, PROBES, None, "reliance was not measured, and a map that moves proves little"),
    ],
)
def test_each_case_has_words_and_an_advice_of_its_own(saliency, probes, reliance, conclusion):
    said = verdict(saliency, probes, {} if reliance is None else {"removal": reliance})
    assert said.measured.startswith("spurious saliency 40% → ")
    assert said.conclusion.endswith(conclusion)
    assert said.advice.endswith(".")
    assert str(said) == f"{said.measured}: {said.conclusion}. {said.advice}"


def test_what_failed_points_to_the_guide():
    failed = verdict(SALIENCY, {}, {"removal": (0.52, 0.49)})
    assert GUIDE in failed.advice
    assert "let the training intervene" in failed.advice
    assert GUIDE not in verdict(SALIENCY, {}, {"removal": (0.52, 0.01)}).advice


@pytest.mark.parametrize(
    ("after", "end"),
    [
        (0.049, "the model stopped using the region"),
        (0.05, "the model stopped using the region"),
        (0.051, f"as 5% {TAKEN_AWAY}"),
    ],
)
def test_a_model_uses_the_region_above_five_percent(after, end):
    assert verdict(SALIENCY, {}, {"removal": (0.5, after)}).conclusion.endswith(end)


@pytest.mark.parametrize(
    ("area", "end"), [(0.024, "though grad_cam points at it as before"), (0.025, "the model stopped using the region")]
)
def test_a_probe_points_at_the_region_where_it_has_more_than_twice_what_a_map_that_prefers_nothing_has(area, end):
    said = verdict(SALIENCY, {"grad_cam": (0.06, 0.05)}, {"removal": (0.5, 0.01)}, area=area)
    assert said.conclusion.endswith(end)


@pytest.mark.parametrize(
    ("after", "words"),
    [(0.25, "uses the region less"), (0.249, "uses the region less"), (0.251, "the behaviour did not")],
)
def test_it_uses_the_region_less_from_a_half_on(after, words):
    assert words in verdict(SALIENCY, {}, {"removal": (0.5, after)}).conclusion


@pytest.mark.parametrize(
    ("worst", "words", "advice"),
    [
        ("content", "when the region shows another sample's content", "Mark more samples"),
        ("removal", "when the marked feature is removed", "Mark more samples"),
        (
            "insertion",
            "when the marked feature is inserted into samples without it",
            "only then is its presence drawn at random",
        ),
    ],
)
def test_the_worst_behaviour_decides_and_is_named(worst, words, advice):
    kinds = dict.fromkeys(KINDS, (0.6, 0.01))
    said = verdict({"input_gradient": (0.4, 0.4)}, {}, {**kinds, worst: (0.5, 0.48)})
    assert "reliance 60% → 48% (content, removal, insertion)" in said.measured
    assert said.conclusion.endswith(f"as 48% of predictions change {words}")
    assert advice in said.advice


def test_what_was_not_measured_is_not_spoken_of():
    assert verdict(SALIENCY, {}, {"content": (0.6, 0.01)}).measured.endswith("reliance 60% → 1% (content)")


@pytest.mark.parametrize("changes", [(0.5, math.nan), (math.nan, 0.0), (math.nan, math.nan)])
def test_nan_is_not_no_reliance(changes):
    said = verdict(SALIENCY, {}, {"content": (0.5, 0.0), "removal": changes})
    assert "NaN" in said.measured
    assert said.conclusion == "predictions are NaN, so reliance says nothing"


@pytest.mark.parametrize("reliance", [{"content": (0.5, 0.0)}, {"content": (0.5, 0.5)}, {}])
def test_nor_are_predictions_that_are_constant(reliance):
    said = verdict(SALIENCY, {}, reliance, accuracy=(0.9, 0.5), constant=True)
    assert said.conclusion == "nearly all predictions are one class, so reliance says nothing about such a model"
    assert "The training itself failed" in said.advice


@pytest.mark.parametrize(("after", "falls"), [(0.95, False), (0.9, False), (0.87, False), (0.869, True), (0.5, True)])
def test_of_an_accuracy_that_fell_by_more_than_three_points_low_reliance_says_nothing(after, falls):
    said = verdict(SALIENCY, {}, {"content": (0.5, 0.0)}, (0.9, after))
    assert f"accuracy under intervention 90% → {after:.0%}" in said.measured
    fallen = f"the accuracy under intervention fell from 90% to {after:.0%}, so low reliance says nothing about such a model"
    assert said.conclusion == (fallen if falls else "the model stopped using the region")


def test_high_reliance_says_something_of_any_model():
    said = verdict(SALIENCY, {}, {"content": (0.5, 0.4)}, (0.9, 0.5), accuracy_name="test accuracy").conclusion
    assert said.startswith("the map changed but the behaviour did not, as 40% of predictions change")
    assert said.endswith("; and the test accuracy fell from 90% to 50%")


def test_an_accuracy_that_is_nan_is_told_as_it_is():
    said = verdict(SALIENCY, {}, {"content": (0.5, 0.0)}, (0.9, math.nan))
    assert "accuracy under intervention 90% → NaN" in said.measured


def test_nothing_marked_nothing_said():
    said = verdict({}, {}, {"content": (0.5, 0.1)})
    assert (bool(said), str(said), said) == (False, "", Verdict())


def test_what_the_arrows_lead_from_and_to_comes_first():
    said = verdict(SALIENCY, {}, {}, between="plain → regularised, at their ends", distrusted=["grad_cam"])
    assert said.measured == (
        "plain → regularised, at their ends: spurious saliency 40% → 2% (input_gradient), "
        "without grad_cam, which the checks of the maps speak against"
    )


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (0.05, "predictions did not depend on the region"),
        (0.051, "the model stopped using the region"),
        (0.0, "predictions did not depend on the region"),
    ],
)
def test_it_did_not_depend_up_to_five_percent_before(before, words):
    assert words in verdict(SALIENCY, {}, {"removal": (before, 0.0)}).conclusion


@pytest.mark.parametrize(("after", "points"), [(0.2, False), (0.201, True), (0.4, True)])
def test_a_probe_points_at_the_region_as_before_where_it_did_not_fall_to_a_half(after, points):
    said = verdict(SALIENCY, {"grad_cam": (0.4, after)}, {"removal": (0.5, 0.0)})
    assert ("grad_cam points at it as before" in said.conclusion) == points


@pytest.mark.parametrize(("share", "words"), [(0.0, "→ 0%"), (0.009, "→ 0.9%"), (0.01, "→ 1%"), (0.011, "→ 1%")])
def test_shares_below_one_percent_get_a_digit_more(share, words):
    assert words in verdict({"input_gradient": (0.4, share)}, {}, {}).measured


def test_a_regressions_reliance_is_named_as_a_share_of_the_outputs_spread():
    said = verdict({"input_gradient": (0.4, 0.01)}, {}, {"content": (1.5, 0.2)}, regression=True)
    assert "reliance 150% → 20% of the output's spread (content)" in said.measured
    assert said.conclusion.endswith("as the output moves by 20% of its spread when the region shows another sample's content")
    constant = verdict({"input_gradient": (0.4, 0.01)}, {}, {"content": (0.0, 0.0)}, constant=True, regression=True)
    assert "all outputs are the same" in constant.conclusion
