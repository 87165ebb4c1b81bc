"""Which of a history's numbers a verdict rests on."""

import math

import pytest
from support import history

from salreg.annotations import NO_PLACE, SPURIOUS
from salreg.evidence import verdict_on_run, verdict_on_runs
from salreg.history import History
from salreg.sanity import SanityCheck


def with_numbers(epochs=3, **numbers):
    """A history with numbers on validation data, one an epoch."""
    seen = history(epochs)
    for name, values in numbers.items():
        for epoch, value in enumerate(values):
            seen.curves[epoch][f"val/{name}"] = value
    return seen


def with_a_probe(*objecting):
    """A history that watched grad_cam, whose maps do not move, and what the checks at the end found."""
    seen = history()
    for epoch in range(3):
        seen.panel.append({"epoch": epoch, "attribution": "grad_cam", "probe": True, "spurious_saliency": 0.3})
    seen.curves[1]["panel/reliance_content"], seen.curves[2]["panel/reliance_content"] = 0.5, 0.01
    seen.sanity = {"grad_cam": SanityCheck({"net.0": 0.9 if "grad_cam" in objecting else 0.1})}
    return seen


def test_a_run_is_judged_from_its_first_trained_epoch_to_its_last():
    seen = history(epochs=4)
    seen.panel[0]["spurious_saliency"], seen.curves[0]["panel/reliance_content"] = 0.99, 0.98  # untrained
    said = verdict_on_run(seen)
    assert said.measured.startswith(
        "epoch 1 → epoch 3: spurious saliency 20% → 10% (input_gradient), reliance 20% → 10% (content)"
    )
    assert "less" in said.conclusion


def test_where_not_every_epoch_is_drawn_both_ends_are_drawn_ones():
    seen = with_numbers(reliance=(0.0, 0.9, 0.5), reliance_content=(0.0, 0.9, 0.5))
    del seen.panel[1]
    seen.curves[3], seen.curves[4] = seen.curves[2], {"val/reliance": 0.1, "val/reliance_content": 0.1}
    seen.panel.append({**seen.panel[0], "epoch": 4})
    assert verdict_on_run(seen).measured.startswith("epoch 2 → epoch 4: spurious saliency")
    assert "reliance 50% → 10% (content)" in verdict_on_run(seen).measured


def test_a_single_trained_epoch_is_called_so():
    assert verdict_on_run(history(epochs=2)).measured.startswith("epoch 1 alone: spurious saliency 20% → 20%")


def test_two_runs_are_judged_by_their_ends_and_named():
    plain, better = history(), history()
    better.panel[-1]["spurious_saliency"], better.curves[2]["panel/reliance_content"] = 0.001, 0.0
    said = verdict_on_runs(plain, better, ("plain", "rrr"))
    assert said.measured == (
        "plain → rrr, at their ends: spurious saliency 13% → 0.1% (input_gradient), reliance 13% → 0% (content)"
    )
    assert said.conclusion == "the model stopped using the region"


def test_a_probe_that_the_checks_speak_against_is_struck():
    assert "though grad_cam points" in verdict_on_run(with_a_probe()).conclusion
    struck = verdict_on_run(with_a_probe("grad_cam"))
    assert "without grad_cam, which the checks of the maps speak against" in struck.measured
    assert struck.conclusion == "the model stopped using the region"


def test_of_two_runs_it_is_enough_that_one_speaks_against_it():
    for runs in ((with_a_probe(), with_a_probe("grad_cam")), (with_a_probe("grad_cam"), with_a_probe())):
        assert "without grad_cam" in verdict_on_runs(*runs).measured


def test_the_reliance_on_validation_data_comes_before_the_panels():
    content, insertion = (0.8, 0.5, 0.0), (0.1, 0.2, 0.3)
    seen = with_numbers(reliance=(0.8, 0.5, 0.3), reliance_content=content, reliance_insertion=insertion)
    assert "reliance 50% → 30% (content, insertion)" in verdict_on_run(seen).measured


def test_a_run_that_ends_in_nan_is_not_judged_by_what_was_before():
    values = (0.8, 0.5, math.nan)
    said = verdict_on_run(with_numbers(reliance=values, reliance_content=values))
    assert "reliance 50% → NaN (content)" in said.measured
    assert said.conclusion == "predictions are NaN, so reliance says nothing"


def test_a_run_that_ends_constant_is_called_so():
    values = (0.8, 0.5, 0.0)
    numbers = {"reliance": values, "reliance_content": values}
    assert "one class" in verdict_on_run(with_numbers(**numbers, constant_predictions=(0, 0, 1))).conclusion
    assert "one class" not in verdict_on_run(with_numbers(**numbers, constant_predictions=(1, 0, 0))).conclusion


FREED = {"reliance": (0.8, 0.5, 0.01), "reliance_content": (0.8, 0.5, 0.01)}


def test_a_runs_accuracy_is_held_against_its_best_and_another_runs_against_its_end():
    accuracies = ((0.95, 0.9, 0.8), (0.95, 0.6, 0.75))
    one, other = (with_numbers(**FREED, accuracy_under_intervention=values) for values in accuracies)
    assert "accuracy under intervention fell from 90% to 80%" in verdict_on_run(one).conclusion
    assert "stopped" in verdict_on_run(other).conclusion  # the untrained epoch's is by chance
    assert "fell from 80% to 75%" in str(verdict_on_runs(with_numbers(accuracy_under_intervention=(0, 0, 0.8)), other))


PLAIN = {"reliance": (0, 0, 0.9), "reliance_content": (0, 0, 0.9)}


@pytest.mark.parametrize(
    ("validated", "tested", "words"),
    [
        (
            True,
            ({"accuracy": 0.9}, {"accuracy": 0.5}),
            "accuracy under intervention 70% → 80%",
        ),  # the test has the shortcut, too
        (
            True,
            ({"accuracy_under_intervention": 0.6}, {"accuracy_under_intervention": 0.9}),
            "test accuracy under intervention 60%",
        ),
        (False, ({"accuracy": 0.9}, {"accuracy": 0.5}), "the test accuracy fell from 90% to 50%"),
        (False, ({"accuracy": 0.9}, {}), "the model stopped using the region"),
        (False, ({"accuracy": 0.9}, {"accuracy": math.nan}), "the model stopped using the region"),
    ],
)
def test_the_accuracy_under_intervention_counts_before_that_on_the_test_data(validated, tested, words):
    plain, freed = (
        with_numbers(**numbers, **({"accuracy_under_intervention": (0.1, 0.2, value)} if validated else {}))
        for numbers, value in ((PLAIN, 0.7), (FREED, 0.8))
    )
    results = tuple({f"test/{name}": value for name, value in one.items()} for one in tested)
    assert words in str(verdict_on_runs(plain, freed, tested=results))


def test_without_an_accuracy_under_intervention_that_of_the_validation_counts():
    seen = with_numbers(**FREED, accuracy=(0.2, 0.9, 0.4))
    assert "the val/accuracy fell from 90% to 40%" in verdict_on_run(seen).conclusion


def test_nothing_marked_nothing_said():
    assert not verdict_on_run(History())


@pytest.mark.parametrize(("rows", "points"), [(1, True), (2, False)])
def test_a_probe_points_at_marks_on_which_it_has_twice_their_area(rows, points):
    """Of 8 rows that are marked; the last column is no place, and the probe's share is 0.3."""
    seen = with_a_probe()
    for mark in seen.annotations:
        mark.zero_()
        mark[..., :rows, :] = SPURIOUS
        mark[..., -1] = NO_PLACE
    assert ("grad_cam points at it as before" in verdict_on_run(seen).conclusion) == points
