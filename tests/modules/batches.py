"""Batches of many layouts, and the ways in which they come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from modules.pattern import Pattern, Samples, base, images, of, pairs
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import ConcatDataset, DataLoader, default_collate

from salreg import AnnotatedDataset


class Named(NamedTuple):
    image: Any
    label: Any


@dataclass
class Whole:
    pixels: Tensor
    label: Tensor


def named_tuple_batch(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            return cross_entropy(self(batch.image), batch.label)

    return Module()


def dataclass_batch(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            return cross_entropy(self(batch.pixels), batch.label)

    return Module()


def nested_dict_batch(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            return cross_entropy(self(batch["inputs"]["image"]), batch["meta"]["label"])

    return Module()


def image_site_label(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, _, y = batch
            return cross_entropy(self(x), y)

    return Module()


def patient_ids(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            return cross_entropy(self(batch["image"]), batch["diagnosis"])

    return Module()


def index_first(package: Any) -> Any:
    """Datasets that return the sample's index, too, and file names."""

    class Module(base(package)):
        def loss(self, batch):
            _, x, y, names = batch
            assert len(names) == len(x)
            return cross_entropy(self(x), y)

    return Module()


def own_collate(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            return cross_entropy(self(batch["x"]), batch["y"])

    return Module()


def _stacked(samples: list[Any]) -> Any:
    x, y = default_collate(samples)
    return {"x": x, "y": y, "names": [f"file {int(one)}" for one in y]}


def hooks_of_the_module(package: Any) -> Any:
    class Module(base(package)):
        def on_before_batch_transfer(self, batch, dataloader_idx):
            x, y = batch
            return x * 2, y

        def on_train_batch_start(self, batch, batch_idx):
            assert len(batch) == 2

        def on_validation_batch_end(self, outputs, batch, batch_idx, dataloader_idx=0):
            assert batch[0].shape[1:] == (1, 8, 8)

    return Module()


def hooks_of_the_data_module(package: Any) -> Any:
    return base(package)()


def _data_module(package: Any, annotated: bool) -> dict[str, Any]:
    class Images(package.LightningDataModule):
        def train_dataloader(self):
            return pairs().loader(annotated, 8)

        def val_dataloader(self):
            return pairs().loader(annotated, 24)

        def transfer_batch_to_device(self, batch, device, dataloader_idx):
            x, y = batch
            return x.to(device), y.to(device)

        def on_after_batch_transfer(self, batch, dataloader_idx):
            x, y = batch
            return x.flip(2), y

    return {"datamodule": Images()}


def callbacks_that_read_the_batch(package: Any) -> Any:
    return base(package)()


def _readers(package: Any) -> list[Any]:
    class Reader(package.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            x, y = batch
            assert len(x) == len(y)

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            x, _ = batch
            pl_module.log("brightness", x.mean())

        def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
            x, _ = batch
            assert x.shape[1:] == (1, 8, 8)

    return [Reader(), Reader()]


def dataloader_iter(package: Any) -> Any:
    class Module(base(package)):
        def training_step(self, dataloader_iter):
            batch, _, _ = next(dataloader_iter)
            return self.loss(batch)

    return Module()


def combined_loaders(package: Any) -> Any:
    """Semi-supervised: labelled and unlabelled batches together."""

    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch["labelled"]
            unlabelled = self(batch["unlabelled"][0])
            entropy = -(unlabelled.softmax(1) * unlabelled.log_softmax(1)).sum(1).mean()
            return cross_entropy(self(x), y) + 0.1 * entropy

    return Module()


def _combined(package: Any, annotated: bool) -> Any:
    return package.utilities.CombinedLoader(
        {"labelled": pairs().loader(annotated, 8), "unlabelled": pairs().loader(False, 8)}, "min_size"
    )


def dict_of_loaders(package: Any) -> Any:
    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch["a"]
            other, label = batch["b"]
            return cross_entropy(self(x), y) + cross_entropy(self(other), label)

    return Module()


def _loaders(package: Any, annotated: bool) -> Any:
    return {"b": pairs(2.0).loader(False, 8), "a": pairs().loader(annotated, 8)}


def annotated_and_plain_data(package: Any) -> Any:
    return base(package)()


def _concatenated(package: Any, annotated: bool, wrapped: bool = False) -> Any:
    x, y, annotations = images()
    samples = list(zip(x, y, strict=True))
    first, others = Samples(samples[:12]), Samples(samples[12:])
    first = AnnotatedDataset(first, annotations[:12]) if annotated else first
    others = AnnotatedDataset(others, {}) if wrapped else others
    order = [index + offset for index in range(12) for offset in (12, 0)]  # both kinds in each batch
    return DataLoader(ConcatDataset([first, others]), 8, sampler=order)


def _wrapped(package: Any, annotated: bool) -> Any:
    return _concatenated(package, annotated, wrapped=annotated)


def list_batch(package: Any) -> Any:
    """A list of two views of each image, and the labels behind it."""

    class Module(base(package)):
        def loss(self, batch):
            (first, second), y = batch
            return cross_entropy(torch.stack([self(first), self(second)]).mean(0), y)

    return Module()


def _collated(samples: list[Any]) -> Any:
    collated = default_collate([vars(one) for one in samples])
    return Whole(**collated) if isinstance(collated, Mapping) else collated


def _net(module: Any, x: Any, _: Any) -> Any:
    return module.net(x)


PATTERNS = [
    Pattern(named_tuple_batch, of(Named), _net),
    Pattern(dataclass_batch, of(Whole, collate=_collated), _net, input=lambda _, batch: batch.pixels),
    Pattern(
        nested_dict_batch,
        of(lambda x, y: {"inputs": {"image": x}, "meta": {"label": y, "age": y * 10.0}}),
        _net,
        input=lambda _, batch: batch["inputs"]["image"],
    ),
    Pattern(image_site_label, of(lambda x, y: (x, (y + 1) % 2, y)), _net),
    Pattern(
        patient_ids,
        of(lambda x, y: {"patient": y * 0 + int(x.sum()) % 2, "image": x, "diagnosis": y}),
        _net,
        input=lambda _, batch: batch["image"],
    ),
    Pattern(index_first, of(lambda x, y: (int(x.sum() * 10) % 3, x, y, "a.png")), _net, input=lambda _, batch: batch[1]),
    Pattern(own_collate, pairs()._replace(collate=_stacked), _net, input=lambda _, batch: batch["x"]),
    Pattern(hooks_of_the_module, pairs(), lambda m, x, _: m.net(2 * x)),
    Pattern(hooks_of_the_data_module, pairs(), lambda m, x, _: m.net(x.flip(2)), fit=_data_module),
    Pattern(callbacks_that_read_the_batch, pairs(), _net, callbacks=_readers),
    Pattern(dataloader_iter, pairs(), _net),
    Pattern(combined_loaders, pairs(), _net, loaders=_combined),
    Pattern(dict_of_loaders, pairs(), _net, loaders=_loaders),
    Pattern(
        annotated_and_plain_data,
        pairs(),
        loaders=_concatenated,
        refused=r"ConcatDataset\(\[annotated, AnnotatedDataset\(others, {}\)\]\)",
        remedy={"loaders": _wrapped},
        refused_at_any_weight=True,
    ),
    Pattern(
        list_batch,
        of(lambda x, y: ([x, x.flip(2)], y)),
        _net,  # of the annotated view
        input=lambda _, batch: batch[0][0],
    ),
]
