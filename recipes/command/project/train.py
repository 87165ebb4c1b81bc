"""Train the module without letting it use the tag: python train.py; without salreg: python train.py --plain."""

import argparse
from pathlib import Path

import pytorch_lightning as pl
import yaml
from data import HERE, annotated
from module import Classifier
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader

from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots


def main() -> None:
    """Train, test, and print where the report is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", action="store_true", help="train without the regularizer, to compare")
    parser.add_argument("--settings", type=Path, default=HERE / "settings.yaml")
    options = parser.parse_args()
    settings = yaml.safe_load(options.settings.read_text("utf-8"))
    pl.seed_everything(settings["seed"], workers=True, verbose=False)

    train, validation, test = (annotated(split) for split in ("train", "validation", "test"))
    loading = settings["loading"]
    callbacks: list[pl.Callback] = [SaliencyMetrics(**settings["metrics"]), SaliencySnapshots(**settings["snapshots"])]
    if not options.plain:
        callbacks.insert(0, SaliencyRegularizer(**settings["regularizer"]))

    logger = CSVLogger(HERE / "runs", name="plain" if options.plain else "regularised")
    trainer = pl.Trainer(**settings["trainer"], logger=logger, callbacks=callbacks)
    module = Classifier(classes=len(train.base.classes), **settings["module"])
    trainer.fit(module, DataLoader(train, shuffle=True, **loading), DataLoader(validation, **loading))
    trainer.test(module, DataLoader(test, **loading))
    print(f"Report, for a browser: {Path(logger.log_dir) / 'report.html'}")


if __name__ == "__main__":
    main()
