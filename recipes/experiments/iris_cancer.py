"""Two data sets joined column by column: irises give the class away in training, and are missing at test time.

Ross, Hughes & Doshi-Velez 2017, section 4.2 (their ``iris_cancer.py``): the 4 measurements of 50 irises of each of two kinds
stand beside the 30 measurements of 50 tumours of each of two kinds. Iris and tumour share their class, so either explains it.
The irises' columns are marked spurious, and are 0 in half of the test rows. Every seed splits the rows anew.
"""

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from salreg.annotations import from_columns
from salreg.data import AnnotatedDataset
from salreg.recipes.data import tables
from salreg.recipes.data.loading import loader
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import table_networks
from salreg.recipes.networks.classifier import Classifier

GROUPS = ("without iris", "with iris")
CLASSES = ("versicolor, malignant", "virginica, benign")
_PER_CLASS = 50


def read() -> tuple[Tensor, Tensor, list[str], list[str]]:
    """Rows ``(100, 34)``, labels, the names of all columns, and those of the irises' columns."""
    from sklearn.datasets import load_breast_cancer, load_iris

    iris, cancer = load_iris(), load_breast_cancer()
    flowers = [iris.data[iris.target == kind][:_PER_CLASS] for kind in (1, 2)]
    tumours = [cancer.data[cancer.target == kind][:_PER_CLASS] for kind in (0, 1)]
    rows = np.concatenate([np.concatenate(flowers), np.concatenate(tumours)], axis=1)
    columns = [f"iris {name.removesuffix(' (cm)')}" for name in iris.feature_names]
    labels = torch.arange(2).repeat_interleave(_PER_CLASS)
    return torch.from_numpy(rows).float(), labels, [*columns, *map(str, cancer.feature_names)], columns


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    rows, labels, columns, spurious = read()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(config.seed))
    test, train = order[: config.data.test], order[config.data.test :]
    if config.data.standardise:
        rows = tables.standardised(rows, like=rows[train])
    mark = from_columns(columns, spurious=spurious)
    blind = rows.where(mark == 0, torch.zeros_like(rows))
    trained = rows if config.data.iris else blind
    tested = torch.cat([blind[test], trained[test]])
    groups = torch.tensor([0, 1]).repeat_interleave(len(test))

    def annotated(rows: Tensor, labels: Tensor, groups: Tensor) -> AnnotatedDataset:
        return tables.annotated(tables.Table(rows, labels, groups, columns, CLASSES), mark)

    module = Classifier(table_networks.build(len(columns), config.model.hidden), GROUPS, len(CLASSES), **config.optimizer)
    return Experiment(
        module,
        train=loader(annotated(trained[train], labels[train], torch.ones_like(train)), config.data, shuffle=True),
        validation=loader(annotated(trained[test], labels[test], torch.ones_like(test)), config.data),
        test=loader(annotated(tested, labels[test].repeat(2), groups), config.data),
    )
