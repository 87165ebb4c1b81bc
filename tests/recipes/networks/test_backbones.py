"""Networks of other libraries."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from salreg.recipes.command.cli import main
from salreg.recipes.networks import backbones
from salreg.recipes.networks.image_networks import build
from salreg.recipes.training.config import load

transformers = pytest.importorskip("transformers")


@pytest.fixture
def saved(tmp_path):
    """A ResNet of two stages for three classes, with its weights, and how its images are standardised."""
    config = transformers.ResNetConfig(num_labels=3, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "net")
    (tmp_path / "net" / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}'
    )
    return tmp_path / "net"


def test_weights_are_loaded_and_the_head_is_new(saved):
    one, other = (backbones.load("transformers", str(saved), 5) for _ in range(2))
    untrained = backbones.load("transformers", str(saved), 5, pretrained=False)
    assert all(module.training for module in one.modules())
    assert one(torch.rand(2, 3, 32, 32)).shape == (2, 5)

    def embedder(backbone):
        return next(backbone.net.resnet.parameters())

    assert torch.equal(embedder(one), embedder(other))
    assert not torch.equal(embedder(one), embedder(untrained))
    assert one.net.config.num_labels == untrained.net.config.num_labels == 5


def test_images_are_standardised_as_the_network_expects(saved):
    backbone = backbones.load("transformers", str(saved), 3).eval()
    images = torch.rand(2, 3, 32, 32)
    assert torch.allclose(backbone(images), backbone.net((images - 0.5) / 0.25).logits)
    (saved / "preprocessor_config.json").unlink()
    assert backbones.load("transformers", str(saved), 3).mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_timm_is_asked_for_a_network_with_the_right_head(monkeypatch):
    asked = {}

    def create_model(name, **options):
        asked.update(name=name, **options)
        net = nn.Sequential(nn.Flatten(), nn.Linear(12, options["num_classes"]))
        net.pretrained_cfg = {"mean": (0.1, 0.1, 0.1), "std": (0.5, 0.5, 0.5)}
        return net

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model, __spec__="there"))
    backbone = build(load("waterbirds", ["model=timm/resnet50", "model.pretrained=false"]).model, 2, side=2)
    assert asked == {"name": "resnet50", "pretrained": False, "num_classes": 2}
    images = torch.rand(1, 3, 2, 2)
    assert torch.allclose(backbone(images), backbone.net((images - 0.1) / 0.5))


def test_what_cannot_be_loaded_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backbones, "find_spec", lambda name: None if name == "timm" else name)
    assert main(["run", "waterbirds", "model=timm/resnet50"]) == 2
    assert "model.name=timm/resnet50 needs timm: pip install timm" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["run", "waterbirds", f"model=transformers/{tmp_path / 'empty'}"]) == 2
    assert "transformers cannot load" in capsys.readouterr().err


def test_a_backbone_is_regularised_like_any_other_network(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fast = [
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=2",
        "snapshots.panel=2",
        "snapshots.sanity=false",
        "logger=none",
    ]
    options = ["data.size=32", "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1"]
    assert main(["run", "waterbirds", f"model=transformers/{saved}", *fast, *options]) == 0
