"""What is said at the end, in every case."""

import math

import pytest
from support import history

from salreg.history import History
from salreg.verdict import verdict, verdict_on_run, verdict_on_runs

SALIENCY, PROBES = {"input_gradient": (0.4, 0.02)}, {"grad_cam": (0.38, 0.03)}
TAKEN_AWAY = "of predictions change when the thing is taken away"


@pytest.mark.parametrize(
    ("saliency", "probes", "reliance", "end"),
    [
        (SALIENCY, PROBES, (0.52, 0.01), ": the model stopped using the region"),
        (SALIENCY, {}, (0.52, 0.49), f": the map changed and the behaviour did not, as 49% {TAKEN_AWAY}"),
        (SALIENCY, {"grad_cam": (0.38, 0.37)}, (0.52, 0.01), "though grad_cam points at it as before"),
        (SALIENCY, PROBES, (0.52, 0.2), f": the model uses the region less, but still does, as 20% {TAKEN_AWAY}"),
        ({"input_gradient": (0.4, 0.4)}, PROBES, (0.52, 0.49), f": the model uses the region, as 49% {TAKEN_AWAY}"),
        (SALIENCY, PROBES, (0.02, 0.01), ": predictions did not depend on the region"),
        (SALIENCY, PROBES, None, "; reliance was not measured"),
    ],
)
def test_each_case_has_words_of_its_own(saliency, probes, reliance, end):
    said = verdict(saliency, probes, {} if reliance is None else {"removal": reliance})
    assert said.startswith("spurious saliency 40% → ")
    assert said.endswith(end)


@pytest.mark.parametrize(
    ("after", "end"),
    [
        (0.049, "the model stopped using the region"),
        (0.05, "the model stopped using the region"),
        (0.051, f"as 5% {TAKEN_AWAY}"),
    ],
)
def test_a_model_uses_the_region_above_five_percent(after, end):
    assert verdict(SALIENCY, {}, {"removal": (0.5, after)}).endswith(end)


@pytest.mark.parametrize(
    ("after", "words"),
    [(0.25, "uses the region less"), (0.249, "uses the region less"), (0.251, "the behaviour did not")],
)
def test_it_uses_the_region_less_from_a_half_on(after, words):
    assert words in verdict(SALIENCY, {}, {"removal": (0.5, after)})


@pytest.mark.parametrize(
    ("worst", "words"),
    [
        ("content", "when the region shows another sample's content"),
        ("removal", "when the thing is taken away"),
        ("insertion", "when the thing is put into samples without it"),
    ],
)
def test_the_worst_behaviour_decides_and_is_named(worst, words):
    kinds = dict.fromkeys(("content", "removal", "insertion"), (0.6, 0.01))
    said = verdict(SALIENCY, {}, {**kinds, worst: (0.5, 0.48)})
    assert "reliance 60% → 48% (content, removal, insertion): " in said
    assert said.endswith(f"as 48% of predictions change {words}")


def test_what_was_not_measured_is_not_spoken_of():
    said = verdict(SALIENCY, {}, {"content": (0.6, 0.01)})
    assert said.endswith("reliance 60% → 1% (content): the model stopped using the region")


@pytest.mark.parametrize("changes", [(0.5, math.nan), (math.nan, 0.0), (math.nan, math.nan)])
def test_nan_is_not_no_reliance(changes):
    said = verdict(SALIENCY, {}, {"content": (0.5, 0.0), "removal": changes})
    assert "NaN" in said.split(": ")[0]
    assert said.endswith(": predictions are NaN, and reliance says nothing")


def test_nor_are_predictions_that_are_constant():
    said = verdict(SALIENCY, {}, {"content": (0.5, 0.0)}, constant=True)
    assert said.endswith("reliance 50% → 0% (content): nearly all predictions are one class, and reliance says nothing")


@pytest.mark.parametrize(("after", "falls"), [(0.95, False), (0.9, False), (0.87, False), (0.869, True), (0.5, True)])
def test_an_accuracy_that_fell_by_more_than_three_points_is_named(after, falls):
    said = verdict(SALIENCY, {}, {"content": (0.5, 0.0)}, (0.9, after))
    assert f"accuracy under intervention {after:.0%}: the model stopped using the region" in said
    assert said.endswith("; but its accuracy under intervention fell from 90%") == falls


def test_an_accuracy_that_is_nan_is_told_as_it_is():
    assert "accuracy under intervention NaN" in verdict(SALIENCY, {}, {"content": (0.5, 0.0)}, (0.9, math.nan))


def test_nothing_marked_nothing_said():
    assert verdict({}, {}, {"content": (0.5, 0.1)}) == ""
    assert verdict_on_run(History()) == ""


def test_a_run_is_judged_from_its_worst_snapshot():
    seen = history()
    seen.panel[1]["spurious_saliency"], seen.curves[1]["panel/reliance_content"] = 0.6, 0.7
    said = verdict_on_run(seen)
    assert said.startswith("spurious saliency 60% → 13% (input_gradient), reliance 70% → 13% (content)")


def test_two_runs_are_judged_by_their_ends():
    plain, better = history(), history()
    better.panel[-1]["spurious_saliency"], better.curves[2]["panel/reliance_content"] = 0.001, 0.0
    said = verdict_on_runs(plain, better)
    assert said == (
        "spurious saliency 13% → 0.1% (input_gradient), reliance 13% → 0% (content): the model stopped using the region"
    )


def with_numbers(**numbers):
    """A history with numbers on validation data, one an epoch."""
    seen = history()
    for name, values in numbers.items():
        for epoch, value in enumerate(values):
            seen.curves[epoch][f"val/{name}"] = value
    return seen


def test_the_reliance_on_validation_data_comes_before_the_panels():
    content, insertion = (0.8, 0.5, 0.0), (0.1, 0.2, 0.3)
    seen = with_numbers(reliance=(0.8, 0.5, 0.3), reliance_content=content, reliance_insertion=insertion)
    assert "reliance 80% → 30% (content, insertion)" in verdict_on_run(seen)


def test_a_run_that_ends_in_nan_is_not_judged_by_what_was_before():
    values = (0.8, 0.5, math.nan)
    said = verdict_on_run(with_numbers(reliance=values, reliance_content=values))
    assert said.endswith("reliance 80% → NaN (content): predictions are NaN, and reliance says nothing")


def test_a_run_that_ends_constant_is_called_so():
    values = (0.8, 0.5, 0.0)
    numbers = {"reliance": values, "reliance_content": values}
    assert "one class" in verdict_on_run(with_numbers(**numbers, constant_predictions=(0, 0, 1)))
    assert "one class" not in verdict_on_run(with_numbers(**numbers, constant_predictions=(1, 0, 0)))


def test_a_runs_accuracy_is_held_against_its_best_and_another_runs_against_its_end():
    one, other = (with_numbers(accuracy_under_intervention=values) for values in ((0.5, 0.9, 0.8), (0.5, 0.6, 0.75)))
    assert verdict_on_run(one).endswith("; but its accuracy under intervention fell from 90%")
    assert "fell" not in verdict_on_run(other)
    assert verdict_on_runs(one, other).endswith("; but its accuracy under intervention fell from 80%")
    assert "fell" not in verdict_on_runs(other, one)


@pytest.mark.parametrize(
    ("before", "end"),
    [
        (0.05, "predictions did not depend on the region"),
        (0.051, "the model stopped using the region"),
        (0.0, "predictions did not depend on the region"),
    ],
)
def test_it_did_not_depend_up_to_five_percent_before(before, end):
    assert verdict(SALIENCY, {}, {"removal": (before, 0.0)}).endswith(end)


@pytest.mark.parametrize(("after", "points"), [(0.2, False), (0.201, True), (0.4, True)])
def test_a_probe_points_at_the_region_as_before_where_it_did_not_fall_to_a_half(after, points):
    said = verdict(SALIENCY, {"grad_cam": (0.4, after)}, {"removal": (0.5, 0.0)})
    assert ("grad_cam points at it as before" in said) == points


@pytest.mark.parametrize(("share", "words"), [(0.0, "→ 0%"), (0.009, "→ 0.9%"), (0.01, "→ 1%"), (0.011, "→ 1%")])
def test_shares_below_one_percent_get_a_digit_more(share, words):
    assert words in verdict({"input_gradient": (0.4, share)}, {}, {})


def test_a_regressions_reliance_is_named_as_a_share_of_the_outputs_spread():
    words = verdict({"input_gradient": (0.4, 0.01)}, {}, {"content": (1.5, 0.2)}, regression=True)
    assert "reliance 150% → 20% of the output's spread (content)" in words
    assert words.endswith("as the output moves by 20% of its spread when the region shows another sample's content")
    constant = verdict({"input_gradient": (0.4, 0.01)}, {}, {"content": (0.0, 0.0)}, constant=True, regression=True)
    assert "all outputs are the same" in constant
