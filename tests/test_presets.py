"""Papers by name: in Python, in a Trainer, and with the marks they need."""

import copy
import pickle

import pytest
import pytorch_lightning as pl
import torch
from support import Lit, annotated, conv_net, fit, fresh, images, loader, plain_loader, regularizer
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from benchmarks.catalogue import VisionTransformer
from salreg import AnnotatedDataset, SaliencyPenalty, presets
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.penalties import Penalty

EVERY = list(presets.NAMED)


def both_sides(n=24):
    x, y, marks = images(n)
    marks[marks.flatten(1).any(1), :, 4:, 4:] = 1
    return AnnotatedDataset(TensorDataset(x, y), marks)


@pytest.mark.parametrize("name", EVERY)
def test_every_preset_trains_an_unmodified_module(name):
    plain, ours = fresh(Lit, conv_net(smooth=True)), fresh(Lit, conv_net(smooth=True))
    ours.load_state_dict(plain.state_dict())
    fit(plain, data=plain_loader())
    # One epoch: some Grad-CAMs are zero everywhere, and undefined, after a few steps.
    used = fit(ours, SaliencyRegularizer(preset=name), data=loader(both_sides()), epochs=1)
    assert used.callback_metrics["salreg/penalty"].isfinite()
    assert any(not torch.equal(a, b) for a, b in zip(plain.parameters(), ours.parameters(), strict=True))


@pytest.mark.parametrize("name", EVERY)
def test_every_preset_trains_in_bf16_mixed_with_a_last_batch_of_one(name):
    used = fit(
        fresh(Lit, conv_net(smooth=True)), SaliencyRegularizer(preset=name), data=loader(both_sides(9)), precision="bf16-mixed"
    )
    assert used.callback_metrics["salreg/penalty"].isfinite()
    assert "salreg/skipped_penalties" not in used.callback_metrics


@pytest.mark.parametrize("name", EVERY)
def test_every_preset_is_pickled_and_copied(name):
    """For spawned processes and EMA."""
    penalty = presets.resolve(name)
    assert str(pickle.loads(pickle.dumps(penalty))) == str(copy.deepcopy(penalty)) == str(penalty)


@pytest.mark.parametrize("name", ["saliency_guided", "expected_gradients_prior"])
def test_presets_without_annotations_take_plain_data(name):
    used = fit(fresh(), SaliencyRegularizer(preset=name), data=plain_loader())
    assert used.callback_metrics["salreg/penalty"] > 0


def test_options_in_a_mapping():
    penalty = presets.resolve({"name": "hint", "form": "ranking", "layer": "net.0"})
    assert penalty.layers == ["net.0"]
    assert str(penalty) == "RankingLoss of GradCAM"
    mine = SaliencyPenalty("occlusion", "l1")
    assert presets.resolve(mine) is mine
    assert isinstance(presets.resolve("cdep"), Penalty)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("rrrr", "No preset is called 'rrrr' .did you mean 'rrr'"),
        ({"name": "hint", "lyer": "net.0"}, "no option 'lyer' .did you mean 'layer'.*its options are: layer, form"),
        ({"form": "ranking"}, "has no name"),
        ({"name": "hint", "form": "rank"}, "simplified or ranking"),
    ],
)
def test_mistakes_suggest_the_nearest(preset, message):
    with pytest.raises(ValueError, match=message):
        presets.resolve(preset)


def test_a_preset_brings_its_own_attribution():
    with pytest.raises(ValueError, match="preset=..., or attribution=... and loss=..."):
        SaliencyRegularizer("grad_cam", preset="rrr")


# Marks


def wrong_marks(penalty, marks, batches=8):
    x, y, _ = images(6)
    for _ in range(batches):
        model = conv_net()
        with penalty.watch(model) as watch:
            model(x)
        watch.penalty(y, marks)


@pytest.mark.parametrize("name", [name for name in EVERY if presets.resolve(name).needed_marks in ("spurious", "relevant")])
def test_marks_of_the_other_side_are_an_error(name):
    penalty, marks = presets.resolve(name), torch.zeros(6, 1, 8, 8)
    marks[:, :, :3, :3] = 1 if penalty.needed_marks == "spurious" else -1
    with pytest.raises(
        ValueError, match=f"works on {penalty.needed_marks} marks, but none of the .* annotated samples seen so far"
    ):
        wrong_marks(penalty, marks)


@pytest.mark.parametrize("name", [name for name in EVERY if presets.resolve(name).needed_marks == "either"])
def test_presets_that_take_either_side_do(name):
    for side in (1, -1):
        marks = torch.zeros(6, 1, 8, 8)
        marks[:, :, :3, :3] = side
        wrong_marks(presets.resolve(name), marks)


def test_a_small_dataset_is_found_out_at_the_end_of_the_epoch():
    with pytest.raises(
        ValueError, match=r"works on relevant marks.* all marks are spurious.*or use a preset for spurious marks"
    ):
        fit(fresh(), SaliencyRegularizer(preset="hint"), data=loader(annotated(9), batch_size=3))


def test_a_dataset_with_both_kinds_is_not_mistaken():
    x, y, marks = images(48)
    marks[:40] = marks[:40].abs()  # the first batches hold relevant marks alone
    fit(fresh(), regularizer(), data=loader(AnnotatedDataset(TensorDataset(x, y), marks), batch_size=4, shuffle=True))


# Modules of other kinds


class Unusual(pl.LightningModule):
    """Two optimizers, a dict batch, a tuple as output, and the network in a plain list."""

    def __init__(self):
        super().__init__()
        self.nets = [nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3))]
        self.scale = nn.Parameter(torch.ones(()))
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        logits = self.nets[0](batch["image"])
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(cross_entropy(self.scale * logits, batch["label"]))
        for optimizer in self.optimizers():
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(self.nets[0].parameters(), 0.1), torch.optim.SGD([self.scale], 0.1)]


class Named(torch.utils.data.Dataset):
    def __init__(self, base):
        self.base = base

    def __len__(self):
        return len(self.base)

    def __getitem__(self, index):
        image, label = self.base[index]
        return {"image": image, "label": label}


@pytest.mark.parametrize("name", ["rrr", "counterexamples", "saliency_guided", "cdep", "expected_gradients_prior"])
def test_an_unusual_module_and_its_batch_norm(name):
    x, y, marks = images()
    data = AnnotatedDataset(Named(TensorDataset(x, y)), marks)
    module = fresh(Unusual)
    if name == "cdep":  # it decomposes what the module returned, which a trained scale behind it would change
        module.scale.requires_grad_(False)
    used = fit(module, SaliencyRegularizer(preset=name), data=loader(data))
    assert used.callback_metrics["salreg/penalty"] > 0
    assert module.nets[0][1].num_batches_tracked == 6  # one forward pass a step counts, however many the penalty made


class Words(pl.LightningModule):
    """Token numbers through an embedding and an LSTM."""

    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.head = nn.Embedding(20, 6), nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, ids):
        outputs, _ = self.lstm(self.embed(ids))
        return self.head(outputs[:, -1])

    def training_step(self, batch, batch_idx):
        ids, labels = batch
        return cross_entropy(self(ids), labels)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("form", ["softmax", "log_softmax"])
def test_cdep_on_text(form):
    ids, marks = torch.randint(0, 20, (16, 7)), torch.zeros(16, 7)
    marks[:, 2:4] = -1
    data = AnnotatedDataset(TensorDataset(ids, torch.randint(0, 2, (16,))), marks)
    used = fit(fresh(Words), SaliencyRegularizer(preset={"name": "cdep", "form": form}), data=loader(data))
    assert used.callback_metrics["salreg/penalty"] > 0


@pytest.mark.parametrize("attribution", ["attention_rollout", "gradient_attention_rollout", "le_grad", "raw_attention"])
def test_attention_in_a_trainer(attribution, tmp_path):
    module = fresh(Lit, VisionTransformer())
    callbacks = [
        regularizer(attribution=attribution, loss="mse"),
        SaliencyMetrics(attribution),
        SaliencySnapshots(panel=2, dir=tmp_path / "drawn", sanity=False),
    ]
    used = fit(module, *callbacks, data=loader(both_sides()), val=loader(both_sides()))
    assert used.callback_metrics["salreg/penalty"] > 0
    assert 0 <= used.callback_metrics["val/relevant_saliency"] <= 1
    assert list(tmp_path.rglob("film_strip.png"))
