"""The README's Python runs as printed."""

import re
from functools import partial
from pathlib import Path

import torch
from support import Lit, conv_net
from torch import nn
from torch.utils.data import TensorDataset

from salreg.propagation import propagate

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_snippets_run_together(tmp_path, monkeypatch):
    usage, annotating, carrying = SNIPPETS
    names = {}
    exec(annotating, names)
    assert {index: tuple(a.shape) for index, a in names["annotations"].items()} == dict.fromkeys((0, 3, 7), (1, 224, 224))
    names["annotations"] = {index: one[:, ::7, ::7] for index, one in names["annotations"].items()}  # drawn sooner
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(8), conv_net())
    photos = TensorDataset(torch.rand(8, 1, 32, 32), torch.arange(8) % 3)
    names |= {"train_set": photos, "val_set": photos, "val_annotations": names["annotations"], "model": Lit(pooled)}
    exec(usage, names)
    assert names["trainer"].callback_metrics["salreg/penalty"] > 0
    assert list(tmp_path.rglob("film_strip.png"))
    quick = partial(propagate, steps=20, least_quality=0.0, progress=False)
    monkeypatch.setattr("salreg.propagation.propagate", quick)
    images, masks = torch.rand(24, 1, 12, 12) / 2, torch.zeros(24, 1, 12, 12, dtype=torch.int8)
    images[:, :, :3, :3], masks[:, :, :3, :3] = 1, -1
    names |= {"train_set": TensorDataset(images, torch.arange(24) % 3), "annotations": dict(enumerate(masks[:8]))}
    exec(carrying, names)
    assert bool(next(iter(names["train"])).looked_at.all())


def test_every_file_that_the_readme_links_is_there():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    for link in links:
        assert (Path(__file__).parent.parent / link).is_file(), link
