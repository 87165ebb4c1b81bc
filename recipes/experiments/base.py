"""The data and module that a recipe returns to the runner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from salreg.annotations import Counterparts


@dataclass
class Experiment:
    """A module and its annotated data.

    Attributes:
        rationale: Whether the relevant marks are a person's reasons, so that agreement with them is measured.
        lexicon: The terms that an audit of its texts is about, if the recipe defines them.
        intervention: The arguments of ``Intervention`` that its data call for, unless the configuration gives others.
    """

    module: pl.LightningModule
    train: DataLoader[Any]
    validation: DataLoader[Any]
    test: DataLoader[Any]
    rationale: bool = field(default=False, kw_only=True)
    lexicon: Counterparts | None = field(default=None, kw_only=True)
    intervention: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
