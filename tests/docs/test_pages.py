"""The code of every page for users runs as printed, in the order of the page, and nothing says that it does without a test."""

import re
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from docs.reader import DOCS, blocks, follow
from support import Lit, images
from torch.utils.data import TensorDataset

from salreg.propagation import propagate

SHORT = ("snapshots.panel=2", "snapshots.sanity=false")
WALKED = "tutorials/first-shortcut.md"  # by tests/docs/test_walk.py
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for folder in ("tutorials", "how-to", "explanation")
    for path in (DOCS / folder).glob("*.md")
)
RUN = [page for page in PAGES if page != WALKED and any(one.language in ("python", "bash") for one in blocks(page))]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Trainings of one epoch of two steps, and a carrying over of two."""
    made = pl.Trainer.__init__
    monkeypatch.setattr(pl.Trainer, "__init__", lambda self, **options: made(self, **options | {"max_epochs": 1}))
    for name, value in {
        "limit_train_batches": 2,
        "limit_val_batches": 1,
        "limit_test_batches": 1,
        "num_sanity_val_steps": 0,
    }.items():
        monkeypatch.setenv(f"PL_TRAINER_{name.upper()}", str(value))
    for name in ("enable_progress_bar", "enable_model_summary"):
        monkeypatch.setenv(f"PL_TRAINER_{name.upper()}", "False")
    fewer = partial(propagate, steps=2, least_quality=0.0, progress=False)
    monkeypatch.setattr("salreg.propagation.propagate", fewer)
    monkeypatch.setattr("salreg.recipes.command.annotations_propagate.propagate", lambda *args, **options: fewer(*args))


@pytest.fixture(autouse=True)
def tiny_backbone(monkeypatch):
    """In place of one that would be downloaded; a folder of one's own is read."""
    transformers = pytest.importorskip("transformers")
    loaded = transformers.AutoModelForImageClassification.from_pretrained

    def load(name, **options):
        if Path(name).is_dir():
            return loaded(name, **options)
        sizes = {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1], "layer_type": "basic"}
        return transformers.ResNetForImageClassification(transformers.ResNetConfig(**sizes, num_labels=options["num_labels"]))

    monkeypatch.setattr(transformers.AutoModelForImageClassification, "from_pretrained", load)


def assumed():
    """What docs/how-to/index.md says that its pages assume."""
    (x, y, marks), (other_x, other_y, other_marks) = images(24), images(24, seed=1)
    return {
        "model": Lit(),
        "train_set": TensorDataset(x, y),
        "validation_set": TensorDataset(other_x, other_y),
        "annotations": marks,
        "validation_annotations": other_marks,
    }


@pytest.mark.parametrize("page", RUN)
def test_the_code_of_a_page_runs_as_printed(page):
    torch.manual_seed(0)
    follow(page, assumed() if page.startswith("how-to/") else None, SHORT)


def test_every_block_of_code_on_a_page_says_what_it_is():
    for page in PAGES:
        fences = re.findall(r"^```.*$", (DOCS / page).read_text("utf-8"), re.M)
        assert len(fences) == 2 * len(blocks(page)), page
        assert {one.language for one in blocks(page)} <= {"python", "bash", "yaml", "xml", "console", "text"}, page


def test_pictures_are_small_and_shown():
    pictures = [path for path in DOCS.rglob("*") if path.suffix in (".png", ".webp", ".jpg")]
    assert max(path.stat().st_size for path in pictures) < 300_000
    assert sum(path.stat().st_size for path in pictures) < 1_000_000
    pages = "".join(path.read_text("utf-8") for path in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"])
    assert [path.name for path in pictures if path.name not in pages] == []
