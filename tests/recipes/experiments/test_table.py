"""A user's own table."""

import csv

import pytest
from support import ONE_EPOCH

from salreg.recipes.command.cli import main
from salreg.recipes.experiments.table import build, encoded, made_table
from salreg.recipes.training.config import load

GIVEN = ["data.root=people.csv", "data.target=y", "data.spurious=[race,zip]"]


@pytest.fixture(autouse=True)
def people(tmp_path):
    columns = {"id": [f"p{number}" for number in range(200)], **made_table(200)}
    columns["income"][3] = ""
    with (tmp_path / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])


def test_columns_of_words_are_marked_with_all_that_became_of_them(caplog):
    with caplog.at_level("INFO"):
        experiment = build(load("table", GIVEN))
    table = experiment.train.dataset
    assert set(table.base.columns) == {"income", "debt", "race a", "race b", "race c", "zip"}
    marked = [name for name, mark in zip(table.base.columns, table[0].annotation, strict=True) if mark == -1]
    assert sorted(marked) == ["race a", "race b", "race c", "zip"]
    assert "4 are spurious; left out: id" in caplog.text
    assert all(sample.sample[0].isfinite().all() for sample in table)


def test_numbers_stay_and_words_become_columns():
    found = encoded({"a": ["1", "?", "3"], "b": ["x", "y", "x"], "c": ["z", "z", "z"]})
    assert found.names == ["a", "b x", "b y"]
    assert found.rows.nan_to_num(-1).tolist() == [[1, 1, 0], [-1, 0, 1], [3, 1, 0]]
    assert found.left_out == ["c"]


def test_it_runs_on_a_users_table_and_on_a_made_one():
    assert main(["run", "table", *GIVEN, *ONE_EPOCH]) == 0
    assert main(["run", "table", *ONE_EPOCH]) == 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([GIVEN[0], GIVEN[2]], "data.target is missing: the column to predict"),
        (
            [*GIVEN[:2], "data.spurious=[rase]"],
            "no column 'rase' (did you mean 'race'?). It has: id, income, debt, race",
        ),
        ([*GIVEN[:2], "data.spurious=[id]"], "the column 'id' has a single value, or a different one for nearly every row"),
        (GIVEN[:2], "data.spurious must be a list of columns"),
        ([GIVEN[0], "data.target=debt", GIVEN[2]], "classes in 200 rows"),
    ],
)
def test_mistakes_are_one_line(capsys, overrides, message):
    assert main(["run", "table", *overrides, *ONE_EPOCH]) == 2
    assert message in capsys.readouterr().err
