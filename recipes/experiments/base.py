"""What a recipe hands to the runner."""

from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader


@dataclass
class Experiment:
    """A module and its annotated data.

    Attributes:
        rationale: Whether the relevant marks are the reasons that a person gave, so that agreement with them is measured.
    """

    module: pl.LightningModule
    train: DataLoader[Any]
    validation: DataLoader[Any]
    test: DataLoader[Any]
    rationale: bool = field(default=False, kw_only=True)
