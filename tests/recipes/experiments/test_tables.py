"""The recipes on tables."""

import pytest
import torch

from salreg.recipes.data import tables
from salreg.recipes.experiments import compas, iris_cancer
from salreg.recipes.experiments.compas import COLUMNS, GROUPS, FalsePositiveRatio
from salreg.recipes.training.config import load

HEADER = (
    "sex,age_cat,race,priors_count,days_b_screening_arrest,c_charge_degree,"
    "c_charge_desc,is_recid,score_text,priors_count,two_year_recid"
)
ROWS = """Male,25 - 45,African-American,3,-1,F,Grand Theft in the 3rd Degree,1,Low,3,1
Female,Less than 25,Caucasian,0,,M,Battery,0,Low,0,0
Male,25 - 45,Other,0,31,M,Battery,0,Low,0,0
Male,Greater than 45,Caucasian,1,2,M,arrest case no charge,0,High,1,0
Male,25 - 45,Hispanic,1,2,M,Battery,-1,High,1,0
Male,25 - 45,Hispanic,1,2,O,Battery,0,High,1,0
Male,25 - 45,Hispanic,1,2,M,Battery,0,N/A,1,0
"""


def test_compas_is_read_as_propublica_and_cdep_do(tmp_path):
    (tmp_path / compas.FILE).write_text(f"{HEADER}\n{ROWS}")
    people = compas.read(tmp_path / compas.FILE)
    assert people.rows.shape == (2, len(COLUMNS)) == (2, 17)
    assert {name for name, value in zip(COLUMNS, people.rows[0].tolist(), strict=True) if value} == {
        "race African-American", "felony", "age 25 - 45", "male", "prior arrests", "charge: theft",
    }  # fmt: skip
    assert people.labels.tolist() == [1, 0]
    assert [GROUPS[group] for group in people.groups.tolist()] == ["black", "white"]


def test_a_table_that_is_not_compas_is_named(tmp_path):
    (tmp_path / compas.FILE).write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has no column 'days_b_screening_arrest'"):
        compas.read(tmp_path / compas.FILE)
    with pytest.raises(FileNotFoundError, match="Point data.root"):
        compas.read(tmp_path / "nothing.csv")


def test_the_columns_of_the_race_are_marked():
    batch = next(iter(compas.build(load("compas")).train))
    marked = {name for name, mark in zip(COLUMNS, batch.annotation[0].tolist(), strict=True) if mark < 0}
    assert marked == set(COLUMNS[:6])
    blind = next(iter(compas.build(load("compas", ["data.blind=true"])).train))
    assert not blind.sample[0][:, :6].any()


def test_false_positive_ratio():
    metric = FalsePositiveRatio(over=1, under=2)
    #                     a false positive of two | of four; a positive and another group, which do not count
    predictions = torch.tensor([1, 0, 1, 0, 0, 0, 1, 1])
    target = torch.tensor([0, 0, 0, 0, 0, 0, 1, 0])
    group = torch.tensor([1, 1, 2, 2, 2, 2, 1, 0])
    metric.update(predictions, target, group)
    assert metric.compute().item() == pytest.approx(2.0)


def test_the_irises_are_missing_in_half_of_the_test_rows():
    experiment = iris_cancer.build(load("iris_cancer"))
    rows, labels, groups = (torch.cat(parts) for parts in zip(*(batch.sample for batch in experiment.test), strict=True))
    assert rows.shape == (66, 34)
    assert not rows[groups == 0][:, :4].any()
    assert rows[groups == 1][:, :4].any()
    assert torch.equal(labels[groups == 0], labels[groups == 1])
    assert next(iter(experiment.train)).annotation[0].tolist() == [-1] * 4 + [0] * 30


def test_every_seed_splits_anew():
    def rows(seed):
        return next(iter(iris_cancer.build(load("iris_cancer", [f"seed={seed}"])).validation)).sample[0]

    assert torch.equal(rows(0), rows(0))
    assert not torch.equal(rows(0), rows(1))


def test_columns_are_standardised_over_the_training_rows_and_flat_ones_are_0():
    like = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    assert tables.standardised(torch.tensor([[4.0, 9.0]]), like).tolist() == [[2.0, 0.0]]
