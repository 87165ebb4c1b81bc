"""The table of a comparison."""

import math

import pytest

from salreg.recipes.training.controls import told
from salreg.recipes.training.table import gap_recovered, page_columns, table


def results(*accuracies):
    return [{"test/accuracy": accuracy, "seconds": 1.0} for accuracy in accuracies]


def cells(text):
    """The column of the gap by arm."""
    header, _, *rows = text.splitlines()
    end = header.index("gap recovered") + len("gap recovered")
    return {row.split("  ")[0]: row[end - len("gap recovered") : end].strip() for row in rows}


def test_the_gap_is_the_way_from_plain_to_the_reference():
    runs = {"plain": results(0.2), "regularised": results(0.7), "worse": results(0.1), "without decoys": results(0.8)}
    assert cells(table(runs)) == {"plain": "0%", "regularised": "83%", "worse": "-17%", "without decoys": "100%"}


def test_of_several_seeds_it_is_that_of_the_means():
    runs = {"plain": results(0.1, 0.3), "regularised": results(0.6, 0.8), "blind": results(0.9, 0.7)}
    assert cells(table(runs))["regularised"] == "83%"


def test_it_stands_beside_the_accuracy():
    header = table({"plain": results(0.1), "without tags": results(0.2)}).splitlines()[0]
    assert header.split("  ")[-1] == "seconds"
    assert header.index("accuracy") < header.index("gap recovered") < header.index("worst group")


@pytest.mark.parametrize("reference", [0.2, 0.1, math.nan])
def test_where_there_is_no_gap_there_is_a_dash(reference):
    runs = {"plain": results(0.2), "regularised": results(0.7), "without decoys": results(reference)}
    assert set(cells(table(runs)).values()) == {"-"}


def test_an_arm_without_accuracy_has_a_dash():
    runs = {"plain": results(0.2), "regularised": [{"seconds": 1.0}], "without decoys": results(0.7)}
    assert cells(table(runs)) == {"plain": "0%", "regularised": "-", "without decoys": "100%"}


def test_without_plain_or_a_reference_there_is_no_such_column():
    assert "gap" not in table({"plain": results(0.2), "regularised": results(0.7)})
    assert "gap" not in table({"regularised": results(0.2), "without decoys": results(0.7)})
    assert gap_recovered({"plain": 0.5}) == {}


def test_the_page_has_each_kind_of_reliance_and_nothing_that_was_not_measured():
    runs = {"plain": [{"test/accuracy": 0.2, "test/reliance_content": 0.5}], "regularised": [{"test/accuracy": 0.7}]}
    assert page_columns(runs) == {
        "": ["plain", "regularised"],
        "accuracy": ["0.200", "0.700"],
        "reliance content": ["0.500", "-"],
    }


def test_nan_is_told_apart_from_what_was_not_measured():
    runs = {"plain": [{"test/reliance": 0.5}, {"test/reliance": math.nan}], "regularised": [{"seconds": 1.0}] * 2}
    assert page_columns(runs)["reliance"] == ["NaN", "-"]


def test_an_arm_of_which_seeds_were_left_out_says_so():
    runs = {"plain": results(0.2, 0.3), "a hundredth carried over": results(0.7)}
    assert page_columns(runs)[""] == ["plain", "a hundredth carried over (1 of 2 seeds)"]
    assert "a hundredth carried over (1 of 2 seeds)" in table(runs)


def test_a_constant_model_is_not_shown_as_one_without_reliance():
    constant = {"test/accuracy": 0.1, "test/reliance": 0.0, "test/constant_predictions": 1.0}
    shown = page_columns({"plain": [{"test/accuracy": 0.7, "test/reliance": 0.0}], "everything marked": [constant]})
    assert shown == {"": ["plain", "everything marked"], "accuracy": ["0.700", "0.100"], "reliance": ["0.000", "constant"]}


def test_wrong_marks_that_do_as_well_are_pointed_out():
    runs = {"regularised": results(0.6, 0.8), "marks of other samples": results(0.7, 0.7)}
    assert told(runs).endswith("0.700 (marks of other samples). That does not show that it is the marks that help.")
    assert "does not show" not in told(runs | {"regularised": results(0.8)})
    assert told({"regularised": results(0.8)}) == told({"marks of other samples": results(0.8)}) == ""
