"""What a recipe hands to the runner."""

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
        rationale: Whether the relevant marks are the reasons that a person gave, so that agreement with them is measured.
        lexicon: What an audit of its texts is about, where the recipe has an opinion.
        intervention: The arguments of ``Intervention`` that its data call for, unless the configuration says otherwise.
    """

    module: pl.LightningModule
    train: DataLoader[Any]
    validation: DataLoader[Any]
    test: DataLoader[Any]
    rationale: bool = field(default=False, kw_only=True)
    lexicon: Counterparts | None = field(default=None, kw_only=True)
    intervention: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
