"""By default a module trains on samples in which what is marked tells nothing; nobody else sees them."""

import logging
from collections import UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from support import (
    Lit,
    distance,
    fit,
    fresh,
    images,
    loader,
    noisy_net,
    plain_loader,
    same,
    trainer,
)
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from two_processes import Gloo, Interleaved

from salreg import AnnotatedDataset
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer
from salreg.data import Collate
from salreg.interventions import Intervention

MARKED = images()[2].flatten(1).any(1)


class Seeing(Lit):
    """Keeps what its steps and hooks see."""

    def __init__(self):
        super().__init__()
        self.seen: dict[str, list[Any]] = {"training_step": [], "validation_step": [], "on_train_batch_start": []}

    def training_step(self, batch, batch_idx):
        self.seen["training_step"].append(batch[0].detach().clone())
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        self.seen["validation_step"].append(batch[0].clone())

    def on_train_batch_start(self, batch, batch_idx):
        self.seen["on_train_batch_start"].append(batch[0].clone())


class HandWritten(Lit):
    """What a user would have to write without the callback."""

    def __init__(self, net=None):
        super().__init__(net)
        self.intervention = Intervention()

    def training_step(self, batch, batch_idx):
        x, y, annotation = batch
        x, _, _ = self.intervention(x, annotation, torch.ones(len(x), dtype=torch.bool))
        return cross_entropy(self(x), y)


@pytest.mark.parametrize(
    "options",
    [{}, {"precision": "bf16-mixed"}, {"accumulate_grad_batches": 2}, {"gradient_clip_val": 0.05}],
    ids=str,
)
@pytest.mark.parametrize("make_net", [None, noisy_net])
def test_bit_identical_to_a_hand_written_module(options, make_net):
    ours = fresh(lambda: Lit(make_net and make_net()))
    theirs = fresh(lambda: HandWritten(make_net and make_net()))
    fit(ours, SaliencyRegularizer(), data=loader(shuffle=True), **options)
    fit(theirs, data=DataLoader(TensorDataset(*images()), 8, shuffle=True), **options)
    assert same(ours, theirs)
    plain = fresh(lambda: Lit(make_net and make_net()))
    fit(plain, data=plain_loader(shuffle=True), **options)
    assert not same(ours, plain)


@pytest.mark.parametrize("regularizer", [lambda: SaliencyRegularizer(weight=0, intervene=False), SaliencyRegularizer])
def test_bit_identical_to_plain_training_at_weight_0_or_where_nothing_is_marked(regularizer):
    x, y, marks = images()
    ours, plain = fresh(), fresh()
    annotations = marks if regularizer().intervention is None else torch.zeros_like(marks)
    fit(ours, regularizer(), data=loader(AnnotatedDataset(TensorDataset(x, y), annotations), shuffle=True))
    fit(plain, data=plain_loader(shuffle=True))
    assert same(ours, plain)


def test_only_the_training_step_sees_changed_samples():
    module = fresh(Seeing)
    fit(module, SaliencyRegularizer(), val=loader(), epochs=1)
    x = images()[0]
    stepped, checked, hooked = (torch.cat(one) for one in module.seen.values())
    assert not torch.equal(stepped, x)
    assert torch.equal(checked, x)
    assert torch.equal(hooked, x)
    assert torch.equal(stepped[:, :, 3:], x[:, :, 3:])
    assert torch.equal(stepped[:, :, :, 3:], x[:, :, :, 3:])


def test_presence_is_drawn_where_somebody_looked_and_not_where_nobody_did():
    x, y, marks = images()
    looked = {index: marks[index] for index in range(24) if index % 2}
    module = fresh(Seeing)
    fit(module, SaliencyRegularizer(), data=loader(AnnotatedDataset(TensorDataset(x, y), looked), batch_size=24), epochs=1)
    (seen,) = module.seen["training_step"]
    changed = (seen != x).flatten(1).any(1)
    assert not changed[::2].any()
    assert changed[1::2][~MARKED[1::2]].any()


def test_the_penalty_beside_it_sees_the_changed_samples_and_their_marks():
    class WithPenalty(HandWritten):
        def __init__(self):
            super().__init__()
            self.penalty = SaliencyRegularizer(weight=1.0).penalty

        def training_step(self, batch, batch_idx):
            x, y, annotation = batch
            changed = self.intervention(x, annotation, torch.ones(len(x), dtype=torch.bool))
            with self.penalty.watch(self.net, changed.annotation) as watch:
                logits = self.net(changed.sample)
            loss = cross_entropy(logits, y)
            if changed.annotation.any():
                loss = loss + 3.0 * watch.penalty(y, changed.annotation)
            return loss

    ours, theirs = fresh(), fresh(WithPenalty)
    fit(ours, SaliencyRegularizer(weight=3.0), data=loader())
    fit(theirs, data=DataLoader(TensorDataset(*images()), 8))
    assert same(ours, theirs)


def test_what_stands_for_what_by_default():
    """The intervention alone; a penalty that is named comes beside it, a published one in its place."""
    default, named = SaliencyRegularizer(), SaliencyRegularizer(loss="energy")
    published, alone = SaliencyRegularizer(preset="rrr"), SaliencyRegularizer(intervene=False)
    assert (default.weight, default.intervenes) == (0.0, True)
    assert (named.weight, named.intervenes) == (1.0, True)
    assert (published.weight, published.intervenes) == (1.0, False)
    assert (alone.weight, alone.intervenes) == (100.0, False)
    assert SaliencyRegularizer(preset="rrr", intervene=True).intervenes
    given = SaliencyRegularizer(intervene={"presence": 0.5, "fill": "mean"}).intervention
    assert (given.presence, given.fill) == (0.5, "mean")
    with pytest.raises(TypeError, match="intervene must be True, False, an Intervention or its arguments by name, not 'yes'"):
        SaliencyRegularizer(intervene="yes")


def test_the_maps_are_measured_and_logged_though_no_penalty_needs_them():
    ours, without = fresh(lambda: Lit(noisy_net())), fresh(lambda: HandWritten(noisy_net()))
    used = fit(ours, SaliencyRegularizer(), log_every_n_steps=2)
    fit(without, data=DataLoader(TensorDataset(*images()), 8))
    assert same(ours, without)  # and leave no trace
    logged = used.callback_metrics
    assert 0 < logged["salreg/spurious_saliency"] < 1
    assert logged["salreg/penalty"] > 0
    assert 0 < logged["salreg/intervened"] <= 1


def test_where_the_trainer_logs_no_step_no_map_is_measured():
    used = fit(fresh(), SaliencyRegularizer(), log_every_n_steps=0)
    assert "salreg/penalty" not in used.callback_metrics


def test_it_says_once_what_it_does(caplog):
    with caplog.at_level(logging.INFO, logger="pytorch_lightning.utilities.rank_zero"):
        fit(fresh(), SaliencyRegularizer(), data=loader())
    said = [record.getMessage() for record in caplog.records if "looked at" in record.getMessage()]
    assert len(said) == 1
    assert "of the first 8 samples, 8 were looked at and 5 are marked" in said[0]
    assert "drawn with probability 0.62" in said[0]


def test_the_first_of_several_regularizers_intervenes():
    one, two = fresh(Seeing), fresh(Seeing)
    fit(one, SaliencyRegularizer(), epochs=1)
    fit(two, SaliencyRegularizer(), SaliencyRegularizer(name="second"), epochs=1)
    assert all(torch.equal(a, b) for a, b in zip(one.seen["training_step"], two.seen["training_step"], strict=True))


def test_manual_optimization():
    class Manual(Lit):
        automatic_optimization = False

        def training_step(self, batch, batch_idx):
            x, y = batch
            self.optimizers().zero_grad()
            self.manual_backward(cross_entropy(self(x), y))
            self.optimizers().step()

    manual, automatic = fresh(Manual), fresh()
    fit(manual, SaliencyRegularizer())
    fit(automatic, SaliencyRegularizer())
    assert same(manual, automatic)


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path):
    class Rare(AnnotatedDataset):
        """One marked sample in a batch, so that donors come from the bank."""

    x, y, marks = images()
    data = Rare(TensorDataset(x, y), {index: marks[index] for index in (1, 10, 17, 22)})
    whole, resumed = fresh(), fresh()
    fit(whole, SaliencyRegularizer(), data=loader(data), epochs=4)
    path = tmp_path / "half.ckpt"
    fit(resumed, SaliencyRegularizer(), data=loader(data), epochs=2).save_checkpoint(path)
    again = fresh()
    trainer(SaliencyRegularizer(), epochs=4).fit(again, loader(data), ckpt_path=path)
    assert same(again, whole)


def test_mixup_in_a_batch_hook_and_transforms_that_move_no_pixel():
    class Mixing(Seeing):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            x, y = batch
            return (x + x.flip(0)) / 2, y

    module = fresh(Mixing)
    fit(module, SaliencyRegularizer(), epochs=1)
    x = images()[0]
    mixed = torch.cat([(part + part.flip(0)) / 2 for part in x.split(8)])
    seen = torch.cat(module.seen["training_step"])
    assert not torch.equal(seen, mixed)
    assert torch.equal(seen[:, :, 3:], mixed[:, :, 3:])


@dataclass
class Both:
    x: torch.Tensor
    y: torch.Tensor


Named = namedtuple("Named", "x y")


@pytest.mark.parametrize(
    "pack", [lambda x, y: {"x": x, "y": y}, Both, Named, lambda x, y: UserDict(x=x, y=y), lambda x, y: [x, y]]
)
def test_batches_of_all_kinds(pack):
    class Packed(Lit):
        def training_step(self, batch, batch_idx):
            x, y = (batch.x, batch.y) if hasattr(batch, "x") else (batch["x"], batch["y"]) if "x" in batch else batch
            return cross_entropy(self(x), y)

    packed, plain = fresh(Packed), fresh()
    collate = Collate(lambda samples: pack(torch.stack([x for x, _ in samples]), torch.stack([y for _, y in samples])))
    fit(packed, SaliencyRegularizer(), data=loader(collate_fn=collate))
    fit(plain, SaliencyRegularizer())
    assert same(packed, plain)


def test_integer_images_are_refused_with_the_remedy():
    x, y, marks = images()
    data = AnnotatedDataset(TensorDataset((x * 255).to(torch.uint8), y), marks)
    with pytest.raises(ValueError, match=r"holds integers.*intervene=False"):
        fit(fresh(), SaliencyRegularizer(), data=loader(data))


def test_training_data_without_annotations_is_refused():
    with pytest.raises(RuntimeError, match="The intervention needs annotations, but a training batch carries none"):
        fit(fresh(), SaliencyRegularizer(), data=plain_loader())


def test_relevant_marks_alone_are_refused():
    x, y, marks = images(64)
    with pytest.raises(ValueError, match="works on spurious marks, but none of the"):
        fit(fresh(), SaliencyRegularizer(), data=loader(AnnotatedDataset(TensorDataset(x, y), -marks)))


def test_a_network_whose_pixels_are_not_the_batchs_still_trains_and_its_maps_are_not_measured():
    class Hidden(Lit):
        def training_step(self, batch, batch_idx):
            x, y = batch
            return cross_entropy(self(torch.from_numpy(2 * x.detach().numpy())), y)

    module = fresh(Hidden)
    with pytest.warns(UserWarning, match="The saliency maps of this training are not measured"):
        used = fit(module, SaliencyRegularizer())
    assert "salreg/spurious_saliency" not in used.callback_metrics
    assert not same(module, fresh(Hidden))


def test_two_processes_intervene_each_for_itself():
    module = fresh()
    torch.manual_seed(1)
    used = trainer(SaliencyRegularizer(), SaliencyMetrics(), use_distributed_sampler=False, devices=2, strategy=Gloo())
    used.fit(module, datamodule=Interleaved())
    assert used.callback_metrics["salreg/intervened"] > 0
    assert distance(module, fresh()) > 1e-4


def test_it_frees_a_model_from_a_shortcut_that_is_there_or_not():
    """The tag is on nearly all samples of one class; without it, the class is the sign of a faint pattern."""

    def tagged(rates, seed):
        generator = torch.Generator().manual_seed(seed)
        y = torch.arange(600) % 2
        x = 0.5 * torch.randn(600, 1, 8, 8, generator=generator)
        x[:, :, ::2] += 0.08 * (2 * y - 1).view(-1, 1, 1, 1)
        has = torch.rand(600, generator=generator) < torch.tensor(rates)[y]
        marks = torch.zeros(600, 1, 8, 8, dtype=torch.int8)
        marks[has, :, 2:5, 2:5] = -1
        return torch.where(marks < 0, 3.0, x), y, marks

    x, y, marks = tagged([0.05, 0.95], seed=0)
    test_x, test_y, _ = tagged([0.95, 0.05], seed=1)

    def accuracy(*callbacks):
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2))
        data = AnnotatedDataset(TensorDataset(x, y), marks) if callbacks else TensorDataset(x, y)
        module = fresh(Lit, net)
        fit(module, *callbacks, data=loader(data, batch_size=32, shuffle=True), epochs=6)
        return float((module(test_x).argmax(1) == test_y).float().mean())

    assert accuracy() < 0.4
    assert accuracy(SaliencyRegularizer()) > 0.65


def test_a_lone_marked_sample_is_filled_and_that_is_said():
    x, y, marks = images()
    data = AnnotatedDataset(TensorDataset(x, y), {1: marks[1]})
    with pytest.warns(UserWarning, match="Only one sample of the training data carries a spurious mark"):
        fit(fresh(), SaliencyRegularizer(), data=loader(data))


@pytest.mark.parametrize("annotations", [{}, torch.zeros(24, 1, 8, 8)], ids=["nobody looked", "nothing there"])
def test_a_training_without_any_mark_says_so_once(annotations, recwarn):
    x, y, _ = images()
    fit(fresh(), SaliencyRegularizer(), data=loader(AnnotatedDataset(TensorDataset(x, y), annotations)), epochs=2)
    said = [str(one.message) for one in recwarn if "No sample of the training data carries a spurious mark" in str(one.message)]
    assert len(said) == 1
