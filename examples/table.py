"""A table in which race and zip code must not be used, although they stay in the data.

Run: python examples/table.py"""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset
from salreg.annotations import from_columns
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer

COLUMNS = ["income", "debt", "race_a", "race_b", "race_c", "zip"]
MARK = from_columns(COLUMNS, spurious=["race", "zip"], groups={"race": ["race_a", "race_b", "race_c"]})


def people(size: int, seed: int) -> AnnotatedDataset:
    generator = torch.Generator().manual_seed(seed)
    money = torch.randn(size, 2, generator=generator)
    race = nn.functional.one_hot(torch.randint(3, (size,), generator=generator), 3).float()
    zone = torch.rand(size, 1, generator=generator)
    hired = money[:, 0] - money[:, 1] + 1.5 * race[:, 0] + zone[:, 0] > 0.8
    return AnnotatedDataset(TensorDataset(torch.cat([money, race, zone], 1), hired.long()), lambda index, sample: MARK)


class Hiring(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(len(COLUMNS), 32), nn.ReLU(), nn.Linear(32, 2))

    def training_step(self, batch, batch_idx):
        rows, hired = batch
        return cross_entropy(self.net(rows), hired)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


def main(epochs: int = 10) -> dict[str, float]:
    reliance = {}
    for name, callbacks in {"plain": [], "regularised": [SaliencyRegularizer(weight=100)]}.items():
        pl.seed_everything(0, verbose=False)
        callbacks.append(SaliencyMetrics())
        trainer = pl.Trainer(max_epochs=epochs, logger=False, enable_checkpointing=False, callbacks=callbacks)
        trainer.fit(Hiring(), DataLoader(people(1024, 0), 64, shuffle=True), DataLoader(people(256, 1), 256))
        reliance[name] = trainer.callback_metrics["val/reliance"].item()
    return reliance


if __name__ == "__main__":
    print("Share of predictions that race and zip code decide:", main())
