"""What a recipe hands to the runner."""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader


@dataclass
class Experiment:
    """A module and its annotated data."""

    module: pl.LightningModule
    train: DataLoader[Any]
    validation: DataLoader[Any]
    test: DataLoader[Any]
