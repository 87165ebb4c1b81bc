"""Photos of cats and cups, nearly every cup with a yellow tag, and a LightningModule that knows nothing about salreg.

Run: pip install "salreg[recipes]" && python examples/photos.py"""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.recipes.data.made_photos import CLASSES, make
from salreg.recipes.experiments.hospital_tag import add_tags


def photos(size: int, seed: int) -> AnnotatedDataset:
    """Replace this by your own dataset of (image, label), with a mask for each photo: -1 on the tag, 0 elsewhere."""
    pixels, labels = make(size, seed=seed)
    tagged = add_tags(pixels, labels, tagged=(0.05, 0.95), seed=seed)
    return AnnotatedDataset(TensorDataset(tagged.images, labels), tagged.annotations)


class Classifier(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(16, 32, 5), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveMaxPool2d(1)]
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, len(CLASSES)))

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return cross_entropy(self.net(images), labels)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.003)


def main(epochs: int = 8, size: int = 800) -> dict[str, float]:
    train, validation = DataLoader(photos(size, seed=0), 32, shuffle=True), DataLoader(photos(200, seed=1), 200)
    reliance = {}
    for name, callbacks in {"plain": [], "regularised": [SaliencyRegularizer()]}.items():
        pl.seed_everything(0, verbose=False)
        callbacks += [
            SaliencyMetrics(),
            SaliencySnapshots(panel=4, every_n_epochs=8, dir=name, class_names=CLASSES, sanity=False),
        ]
        trainer = pl.Trainer(max_epochs=epochs, logger=False, enable_checkpointing=False, callbacks=callbacks)
        trainer.fit(Classifier(), train, validation)
        reliance[name] = trainer.callback_metrics["val/reliance"].item()
    return reliance


if __name__ == "__main__":
    print("Share of predictions that the tag decides:", main())
