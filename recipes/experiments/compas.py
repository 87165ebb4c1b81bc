"""Who will be arrested again within two years? A model that must not use the race.

ProPublica's COMPAS table with the 17 columns of Rieger et al. 2020 (CDEP, section 4.3): race, sex, age, the degree of the
charge, prior arrests, and what the charge is about. The columns of the race are marked spurious. Besides accuracy, the false
positives are counted: among people who were not arrested again, how much more often does the model predict an arrest for black
people than for white people?
"""

import csv
import random
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import Metric

from salreg.annotations import from_columns
from salreg.recipes.data import tables
from salreg.recipes.data.loading import loader
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import table_networks
from salreg.recipes.networks.classifier import Classifier

FILE = "compas-scores-two-years.csv"
CLASSES = ("not arrested again", "arrested again")
GROUPS = ("neither", "black", "white")
RACES = ("African-American", "Asian", "Caucasian", "Hispanic", "Native American", "Other")
_AGES = ("25 - 45", "Greater than 45", "Less than 25")
_CHARGES = {
    "theft": ("theft", "burglary"),
    "driving": ("driver", "driving", "license", "dui", "veh"),
    "possession": ("poss", "cocaine", "cannabis"),
    "violence": ("battery", "assault", "violence", "abuse"),
    "no charge": ("no charge",),
}
COLUMNS = (
    *(f"race {race}" for race in RACES), "felony", *(f"age {age}" for age in _AGES), "male", "prior arrests",
    *(f"charge: {kind}" for kind in _CHARGES),
)  # fmt: skip
RACE = {"race": COLUMNS[: len(RACES)]}
FEATURES = {kind: tuple(column for column in COLUMNS if column.startswith(kind)) for kind in ("race", "age", "charge")}


class People(NamedTuple):
    """Rows ``(N, 17)``, labels, and groups (``GROUPS``)."""

    rows: Tensor
    labels: Tensor
    groups: Tensor


def read(path: Path) -> People:
    """ProPublica's table, with ProPublica's filter: 6,172 people.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column is missing; the message names it.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there{nearest_path(path)}. "
            f"It is part of ProPublica's repository compas-analysis. Point data.root at its folder, or "
            "leave data.root empty for a small generated sample."
        )
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    first = {name: position for position, name in reversed(list(enumerate(lines[0])))}  # two names occur twice
    records = [{name: line[position] for name, position in first.items()} for line in lines[1:]]
    try:
        return _people([record for record in records if _is_kept(record)])
    except KeyError as error:
        raise ValueError(f"{path} has no column {error}: it is not {FILE}.") from error


def made_people(size: int = 1200, seed: int = 0) -> People:
    """Records in which an arrest depends in equal parts on the race and on the prior arrests."""
    rng = random.Random(seed)
    records = []
    for _ in range(size):
        race, priors = rng.choice(RACES[:4]), rng.randrange(8)
        chance = 0.15 + 0.3 * (race == RACES[0]) + 0.06 * priors
        records.append({
            "race": race, "c_charge_degree": rng.choice("FM"), "age_cat": rng.choice(_AGES),
            "sex": rng.choice(("Male", "Female")), "priors_count": str(priors),
            "c_charge_desc": rng.choice(("Battery", "Grand Theft", "Possession of Cocaine", "")),
            "two_year_recid": str(int(rng.random() < chance)),
        })  # fmt: skip
    return _people(records)


class FalsePositiveRatio(Metric):
    """How many times as often members of one group are false positives as those of another.

    Args:
        over: The group in the numerator.
        under: The group in the denominator.
    """

    higher_is_better = False
    full_state_update = False
    false_positives: Tensor
    negatives: Tensor

    def __init__(self, over: int, under: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.of = (over, under)
        for name in ("false_positives", "negatives"):
            self.add_state(name, torch.zeros(2), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor, group: Tensor) -> None:
        """Add predicted classes 0 and 1, true classes and groups, ``(B,)`` each."""
        for place, number in enumerate(self.of):
            negative = (group == number) & (target == 0)
            self.negatives[place] += negative.sum()
            self.false_positives[place] += (negative & (predictions == 1)).sum()

    def compute(self) -> Tensor:
        """The ratio, at least 0; NaN or infinite if the second group has no negatives or no false positives."""
        over, under = self.false_positives / self.negatives
        return over / under


class FairnessClassifier(Classifier):
    """Also logs ``test/false_positive_ratio``, black over white."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.false_positive_ratio = FalsePositiveRatio(GROUPS.index("black"), GROUPS.index("white"))

    def test_groups(self, logits: Tensor, labels: Tensor, groups: Tensor) -> None:
        super().test_groups(logits, labels, groups)
        self.false_positive_ratio.update(logits.argmax(1), labels, groups)
        self.log("test/false_positive_ratio", self.false_positive_ratio, on_step=False, on_epoch=True)


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module. Every seed splits the people anew: 70% train, 10% validation, 20% test."""
    data = config.data
    rows, labels, groups = made_people() if data.root is None else read(Path(data.root) / FILE)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(config.seed))
    test, validation, train = order.split([len(rows) // 5, len(rows) // 10, len(rows) - len(rows) // 5 - len(rows) // 10])
    rows = tables.standardised(rows, like=rows[train])
    mark = from_columns(COLUMNS, spurious=["race"], groups=RACE)
    if data.blind:
        rows = rows.where(mark == 0, torch.zeros_like(rows))
    hidden, dropout = config.model.hidden, config.model.dropout
    net = table_networks.build(len(COLUMNS), hidden, len(CLASSES), dropout)

    def batches(chosen: Tensor, shuffle: bool = False) -> DataLoader[Any]:
        table = tables.Table(rows[chosen], labels[chosen], groups[chosen], COLUMNS, CLASSES, FEATURES)
        return loader(tables.annotated(table, mark), data, shuffle=shuffle)

    module = FairnessClassifier(net, GROUPS, len(CLASSES), **config.optimizer)
    return Experiment(module, train=batches(train, shuffle=True), validation=batches(validation), test=batches(test))


def _is_kept(record: dict[str, str]) -> bool:
    """Whether a record meets ProPublica's conditions: there was an arrest, and the score belongs to it."""
    days = record["days_b_screening_arrest"]
    return (
        days != ""
        and abs(float(days)) <= 30
        and record["is_recid"] != "-1"
        and record["c_charge_degree"] != "O"
        and record["score_text"] != "N/A"
    )


def _people(records: list[dict[str, str]]) -> People:
    groups = [{RACES[0]: 1, RACES[2]: 2}.get(record["race"], 0) for record in records]
    labels = [int(record["two_year_recid"]) for record in records]
    return People(torch.tensor([_row(record) for record in records]), torch.tensor(labels), torch.tensor(groups))


def _row(record: dict[str, str]) -> list[float]:
    charge = record["c_charge_desc"].lower()
    return [
        *(float(record["race"] == race) for race in RACES),
        float(record["c_charge_degree"] == "F"),
        *(float(record["age_cat"] == age) for age in _AGES),
        float(record["sex"] == "Male"),
        float(record["priors_count"]),
        *(float(any(word in charge for word in words)) for words in _CHARGES.values()),
    ]
