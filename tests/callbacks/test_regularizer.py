"""The regulariser does what a hand-written module would do, bit for bit."""

import copy
import pickle
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import StochasticWeightAveraging, WeightAveraging
from pytorch_lightning.plugins.precision import MixedPrecision
from support import (
    Lit,
    annotated,
    conv_net,
    distance,
    fit,
    fresh,
    images,
    loader,
    noisy_net,
    plain_loader,
    regularizer,
    same,
    trainer,
)  # fmt: skip
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax
from torch.optim.swa_utils import get_ema_avg_fn
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset, DeadPenaltyError, SaliencyPenalty
from salreg.attributions import GradCAM, InputGradient, InputTimesGradient
from salreg.callbacks import SaliencyRegularizer
from salreg.callbacks.schedule import Schedule


class HandWritten(Lit):
    """What a user would have to write without the callback: batches carry annotations, the step adds the penalty."""

    def __init__(self, net: nn.Module | None = None, attribution: Any = "input_gradient", loss: str = "rrr", **kwargs: Any):
        super().__init__(net, **kwargs)
        self.penalty = SaliencyPenalty(attribution, loss)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y, annotation = batch
        with self.penalty.watch(self.net) as watch:
            logits = self.net(x)
        loss = cross_entropy(logits, y)
        if annotation.any():
            loss = loss + 3.0 * watch.penalty(y, annotation)
        return loss


def written_loader(**options: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*images()), 8, **options)


# The same as a hand-written module


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"precision": "bf16-mixed"},
        {"accumulate_grad_batches": 2},
        {"gradient_clip_val": 0.05},
        {"accumulate_grad_batches": 2, "gradient_clip_val": 0.1, "precision": "bf16-mixed"},
    ],
    ids=str,
)
@pytest.mark.parametrize("make_net", [conv_net, noisy_net])
def test_bit_identical_to_a_hand_written_module(options, make_net):
    torch.manual_seed(0)
    ours, theirs = Lit(make_net()), HandWritten(make_net())
    theirs.net.load_state_dict(ours.net.state_dict())
    initial = copy.deepcopy(ours)
    fit(theirs, data=written_loader(shuffle=True), **options)
    fit(ours, regularizer(), data=loader(shuffle=True), **options)
    assert same(ours, theirs)
    assert not same(ours, initial)


def test_bit_identical_to_the_formula_written_out():
    """Ross et al.'s penalty on input times gradient, with nothing of salreg in it."""

    class Formula(Lit):
        def training_step(self, batch, batch_idx):
            x, y, annotation = batch
            leaf = x.clone().requires_grad_()
            logits = self(leaf)
            (gradient,) = torch.autograd.grad(log_softmax(logits, 1).sum(1).sum(), leaf, create_graph=True)
            marked = (annotation < 0).float()
            annotated = marked.flatten(1).any(1).sum()
            penalty = (marked * (leaf * gradient)).square().flatten(1).sum(1).sum() / annotated
            return cross_entropy(logits, y) + 3.0 * penalty

    ours, theirs = fresh(), fresh(Formula)
    fit(theirs, data=written_loader())
    fit(ours, regularizer(attribution=InputGradient(times_input=True)))
    assert same(ours, theirs)


@pytest.mark.parametrize("loss", ["rrr", "energy"])
def test_bit_identical_with_grad_cam(loss):
    ours, theirs = fresh(), fresh(HandWritten, attribution=GradCAM("2"), loss=loss)
    fit(theirs, data=written_loader())
    fit(ours, regularizer(attribution=GradCAM("net.2"), loss=loss))
    assert same(ours, theirs)


def test_dict_outputs_keep_their_other_entries():
    class Dict(Lit):
        def training_step(self, batch, batch_idx):
            return {"loss": super().training_step(batch, batch_idx), "extra": batch_idx}

    class Extras(pl.Callback):
        seen: list[int] = []  # noqa: RUF012

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.seen.append(outputs["extra"])

    ours, theirs = fresh(Dict), fresh(HandWritten)
    fit(theirs, data=written_loader())
    fit(ours, regularizer(), Extras())
    assert same(ours, theirs)
    assert Extras.seen == [0, 1, 2] * 2


def test_callbacks_see_the_whole_loss():
    class Losses(pl.Callback):
        def __init__(self):
            self.seen = []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.seen.append(float(outputs["loss"]))

    plain, whole = Losses(), Losses()
    fit(fresh(), plain, data=plain_loader(), limit_train_batches=1, epochs=1)
    fit(fresh(), regularizer(weight=1000.0), whole, limit_train_batches=1, epochs=1)
    assert whole.seen[0] > plain.seen[0]


def test_a_skipped_step_stays_skipped():
    class Skipping(Lit):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return None if batch_idx == 1 else loss

    module, initial = fresh(Skipping), fresh()
    fit(module, regularizer())
    assert distance(module, initial) > 0


def test_with_a_gradient_scaler():
    """The scaler multiplies the returned loss, penalty included; the step is that of full precision up to rounding."""
    plugin = lambda: MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=1024.0))  # noqa: E731
    ours, theirs = fresh(), fresh(HandWritten)
    fit(theirs, data=written_loader(), plugins=plugin())
    fit(ours, regularizer(), plugins=plugin())
    assert same(ours, theirs)


# Harmless at weight 0


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_weight_zero_is_training_without_salreg(precision):
    ours, theirs = fresh(Lit, noisy_net()), fresh(Lit, noisy_net())
    theirs.load_state_dict(ours.state_dict())
    fit(theirs, data=plain_loader(shuffle=True), precision=precision)
    fit(ours, regularizer(weight=0), data=loader(shuffle=True), precision=precision)
    assert same(ours, theirs)


def test_weight_zero_survives_a_second_derivative_that_is_nan():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 3)

        def forward(self, x):
            return self.linear(x.flatten(1)) + (0 * x).flatten(1).sum(1, keepdim=True).abs().sqrt()

    ours, theirs = fresh(Lit, Root()), fresh(Lit, Root())
    theirs.load_state_dict(ours.state_dict())
    fit(theirs, data=plain_loader())
    fit(ours, regularizer(weight=0.0))
    assert same(ours, theirs)


def test_batches_without_annotation_leave_the_step_as_it_is_and_are_counted():
    x, y, _ = images()
    unmarked = AnnotatedDataset(TensorDataset(x, y), {})
    ours, theirs = fresh(Lit, noisy_net()), fresh(Lit, noisy_net())
    theirs.load_state_dict(ours.state_dict())
    fit(theirs, data=plain_loader())
    used = fit(ours, regularizer(), data=loader(unmarked))
    assert same(ours, theirs)
    assert used.callback_metrics["salreg/unannotated_batches"] == 6
    assert "salreg/penalty" not in used.callback_metrics


def test_the_penalty_reduces_spurious_saliency():
    def spurious(weight):
        used = fit(fresh(), regularizer(weight=weight), epochs=30)
        return used.callback_metrics["salreg/spurious_saliency"]

    assert spurious(30.0) < 0.5 * spurious(1e-9)


# When and how strongly


def test_every_n_steps_penalises_every_nth_step_with_n_times_the_weight():
    class Weights(pl.Callback):
        def __init__(self):
            self.seen = []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.seen.append(trainer.callback_metrics.get("salreg/weight", torch.tensor(0.0)).item())

    seen = Weights()
    fit(fresh(), regularizer(every_n_steps=3, weight=2.0), seen, epochs=1, limit_train_batches=3)
    assert seen.seen == [6.0, 6.0, 6.0]  # logged once, at the first step
    schedule = Schedule(2.0, every_n_steps=3)
    assert [schedule.is_due() for _ in range(7)] == [True, False, False, True, False, False, True]


def test_warmup_raises_the_weight_linearly():
    schedule, weights = Schedule(2.0, warmup_steps=4), []
    for _ in range(6):
        schedule.is_due()
        weights.append(schedule.current)
    assert weights == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_two_regularizers_add_up_and_keep_their_own_state():
    first = regularizer(name="gradient")
    second = regularizer(attribution=GradCAM("net.2"), loss="energy", name="cam")
    used = fit(fresh(), first, second)
    assert {"gradient/penalty", "cam/penalty"} <= set(used.callback_metrics)
    assert first.state_key != second.state_key


# The module is found as the user wrote it


class Submodule(Lit):
    def training_step(self, batch, batch_idx):
        x, y = batch
        return cross_entropy(self.net(x), y)


class WithoutIndex(Lit):
    def training_step(self, batch):
        x, y = batch
        return cross_entropy(self(x), y)


class InList(pl.LightningModule):
    """Lightning does not see the network, and neither does named_modules()."""

    def __init__(self):
        super().__init__()
        self.nets = [conv_net()]

    def training_step(self, batch, batch_idx):
        x, y = batch
        return cross_entropy(self.nets[0](x), y)

    def parameters(self, recurse=True):
        return self.nets[0].parameters()

    def configure_optimizers(self):
        return torch.optim.SGD(self.nets[0].parameters(), lr=0.1, momentum=0.9)


class DictBatch(Lit):
    def training_step(self, batch, batch_idx):
        return cross_entropy(self(batch["image"]), batch["label"])


class InPlace(Lit):
    """Changes its batch after the forward pass, and looks at it as an array."""

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        x.numpy()
        x.mul_(0)
        return cross_entropy(logits, y)


class Teacher(Lit):
    """A second network sees the batch first, without gradients."""

    def __init__(self):
        super().__init__()
        self.teacher = copy.deepcopy(self.net)

    def training_step(self, batch, batch_idx):
        x, y = batch
        with torch.no_grad():
            self.teacher(x)
        return cross_entropy(self(x), y)


@pytest.mark.parametrize("make", [Submodule, WithoutIndex, InPlace, Teacher])
def test_the_forward_pass_is_found(make):
    ours, theirs = fresh(make), fresh(HandWritten)
    fit(theirs, data=written_loader())
    fit(ours, regularizer())
    assert same(ours.net, theirs.net)


def test_a_network_in_a_plain_list_is_found():
    ours, theirs = fresh(InList), fresh(HandWritten)
    fit(theirs, data=written_loader())
    fit(ours, regularizer())
    assert same(ours.nets[0], theirs.net)


def test_dict_batches():
    x, y, annotations = images()
    base = [{"image": image, "label": label} for image, label in zip(x, y, strict=True)]
    ours, theirs = fresh(DictBatch), fresh(HandWritten)
    fit(theirs, data=written_loader())
    fit(ours, regularizer(attribution=InputGradient("log_prob_sum")), data=loader(AnnotatedDataset(base, annotations)))
    assert same(ours, theirs)


class Split(Lit):
    """head(features(x))."""

    def __init__(self):
        super().__init__()
        net, self.net = self.net, None
        self.features, self.head = net[:4], net[4:]

    def training_step(self, batch, batch_idx):
        x, y = batch
        return cross_entropy(self.head(self.features(x)), y)


class DirectForward(Lit):
    def training_step(self, batch, batch_idx):
        x, y = batch
        return cross_entropy(self.net.forward(x), y)


class Doubled(Submodule):
    def training_step(self, batch, batch_idx):
        x, y = batch
        x = x * 2
        return cross_entropy(self.net(x), y)


class Both(Lit):
    def __init__(self):
        super().__init__()
        self.other = conv_net()

    def training_step(self, batch, batch_idx):
        x, y = batch
        return cross_entropy(self.net(x), y) + cross_entropy(self.other(x), y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Both, r"2 candidates for the logits: 'net' \(8, 3\), 'other' \(8, 3\).*forward_module"),
    ],
)
def test_a_forward_pass_that_cannot_be_found_is_an_error_with_the_remedy(make, message):
    with pytest.raises(RuntimeError, match=message):
        fit(fresh(make), regularizer())


@pytest.mark.parametrize(("make", "name"), [(Split, "head"), (Doubled, "net")])
def test_forward_module_is_the_remedy(make, name):
    module, plain = fresh(make), fresh(make)
    fit(plain, data=plain_loader())
    used = fit(module, regularizer(forward_module=name))
    assert used.callback_metrics["salreg/penalty"] > 0
    assert distance(module, plain) > 0


def test_a_split_network_is_explained_at_its_input():
    ours, theirs = fresh(Split), fresh(HandWritten)
    fit(theirs, data=written_loader())
    fit(ours, regularizer(forward_module="head"))
    assert same(ours, theirs)


def test_a_loss_from_other_logits_is_an_error():
    class Other(Lit):
        def __init__(self):
            super().__init__()
            self.used = nn.Parameter(torch.zeros(3))

        def training_step(self, batch, batch_idx):
            x, y = batch
            self.net(x)
            return cross_entropy(self.used.expand(len(x), 3), y)

    with pytest.raises(RuntimeError, match="loss does not depend on what 'net' returned"):
        fit(fresh(Other), regularizer())


def test_numbers_that_nothing_embeds_need_another_tap():
    class Tokens(Lit):
        def __init__(self):
            super().__init__(nn.Linear(8, 3))

        def forward(self, x):
            return self.net(x.float())

    x = torch.randint(0, 5, (8, 8))
    data = AnnotatedDataset(TensorDataset(x, torch.zeros(8, dtype=torch.long)), -torch.ones(8, 8, dtype=torch.int8))
    with pytest.raises(RuntimeError, match="no nn.Embedding received these numbers"):
        fit(fresh(Tokens), regularizer(), data=loader(data))


def test_maps_that_are_all_undefined_are_a_dead_penalty():
    class Skips(Lit):
        """The last convolution runs, and nothing is made of it."""

        def forward(self, x):
            return self.net[5](self.net[4](self.net[3](self.net[2](self.net[1](self.net[0](x))) * 0 + x[:, :, :6, :6])))

    with pytest.raises(DeadPenaltyError, match=r"all undefined.*another layer"):
        fit(fresh(Skips), regularizer(attribution="grad_cam", loss="energy"), epochs=10)


# Manual optimisation


class Manual(Lit):
    def __init__(self, net=None):
        super().__init__(net)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return loss


def test_manual_optimisation_gets_the_penalty_in_its_first_backward():
    ours, theirs = fresh(Manual), fresh(HandWritten)
    fit(theirs, data=written_loader())
    fit(ours, regularizer())
    assert same(ours, theirs)
    assert "manual_backward" not in vars(ours)


def test_manual_optimisation_without_manual_backward_is_an_error():
    class Direct(Manual):
        def training_step(self, batch, batch_idx):
            x, y = batch
            cross_entropy(self(x), y).backward()

    with pytest.raises(RuntimeError, match=r"Use self.manual_backward\(loss\)"):
        fit(fresh(Direct), regularizer())


def test_two_optimizers():
    """A second network with an optimizer of its own, trained before the one that is explained."""

    class Pair(Manual):
        def __init__(self):
            super().__init__()
            self.code = nn.Linear(4, 4)

        def training_step(self, batch, batch_idx):
            x, y = batch
            first, second = self.optimizers()
            self.manual_backward(self.code(torch.ones(2, 4)).square().mean())
            second.step()
            second.zero_grad()
            self.manual_backward(cross_entropy(self.net(x), y))
            first.step()
            first.zero_grad()

        def configure_optimizers(self):
            return Lit.configure_optimizers(self), torch.optim.SGD(self.code.parameters(), lr=0.1)

    torch.manual_seed(0)
    ours, theirs = Pair(), HandWritten()
    theirs.net.load_state_dict(ours.net.state_dict())
    fit(theirs, data=written_loader())
    fit(ours, regularizer())
    assert same(ours.net, theirs.net)


# Put back


def test_the_module_is_as_before_afterwards():
    module, plain = fresh(), fresh()
    fit(plain, data=plain_loader(), val=plain_loader())
    fit(module, regularizer(), val=loader())
    assert set(vars(module)) == set(vars(plain))
    assert module.training_step.__func__ is Lit.training_step
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_the_module_is_as_before_after_an_exception():
    class Failing(Lit):
        def training_step(self, batch, batch_idx):
            super().training_step(batch, batch_idx)
            raise KeyError("user's bug")

    module = fresh(Failing)
    with pytest.raises(KeyError, match="user's bug"):
        fit(module, regularizer())
    assert "training_step" not in vars(module)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_a_step_that_was_set_on_the_instance_comes_back():
    module = fresh()
    own = module.training_step
    module.training_step = own
    fit(module, regularizer())
    assert vars(module)["training_step"] is own


def test_a_module_can_be_copied_and_pickled_while_it_is_trained():
    class Copies(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.copies = copy.deepcopy(pl_module), pickle.loads(pickle.dumps(pl_module))
            self.held = [v for v in vars(pl_module).values() if isinstance(v, torch.Tensor)]

    copies, module = Copies(), fresh()
    fit(module, copies, regularizer(), enable_checkpointing=False)
    assert copies.held == []
    for one in copies.copies:
        assert vars(one)["training_step"].owner is one
        assert same(one, module)


# Averages of weights


@pytest.mark.parametrize("first", [True, False], ids=["listed first", "listed last"])
@pytest.mark.parametrize(
    "average",
    [
        lambda: WeightAveraging(avg_fn=get_ema_avg_fn(0.5)),
        lambda: StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=1),
    ],
    ids=["EMA", "SWA"],
)
def test_weight_averaging(average, first):
    ours, theirs = fresh(), fresh(HandWritten)
    fit(theirs, average(), data=written_loader(), epochs=3)
    callbacks = [average(), regularizer()]
    fit(ours, *(callbacks if first else callbacks[::-1]), epochs=3)
    assert same(ours, theirs)


# Compiled, checkpointed, recurrent


def test_a_compiled_submodule_runs_uncompiled_on_penalised_steps():
    ours, theirs = fresh(), fresh(HandWritten)
    ours.net = torch.compile(ours.net, backend="aot_eager")
    fit(theirs, data=written_loader())
    with pytest.warns(UserWarning, match="penalised steps run them uncompiled"):
        fit(ours, regularizer())
    assert distance(ours, theirs) == 0


def test_a_compiled_lightning_module():
    ours, theirs = fresh(), fresh(HandWritten)
    fit(theirs, data=written_loader())
    torch.manual_seed(1)
    used = trainer(regularizer())
    used.fit(torch.compile(ours, backend="aot_eager"), loader())
    assert distance(ours, theirs) == 0


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.net, self.reentrant = conv_net(), reentrant

    def forward(self, x):
        return torch.utils.checkpoint.checkpoint(self.net, x, use_reentrant=self.reentrant)


def test_activation_checkpointing():
    ours, theirs = fresh(Lit, Checkpointed(False)), fresh(HandWritten)
    ours.net.net.load_state_dict(theirs.net.state_dict())
    fit(theirs, data=written_loader())
    fit(ours, regularizer())
    assert same(ours, theirs)


def test_reentrant_checkpointing_is_refused_with_the_remedy():
    with pytest.raises(RuntimeError, match=r"Call torch.utils.checkpoint.checkpoint with use_reentrant=False"):
        fit(fresh(Lit, Checkpointed(True)), regularizer())


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(8, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.gru(x.squeeze(1))[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.encoder(x.squeeze(1)).mean(1))


@pytest.mark.parametrize("make_net", [Recurrent, Attention])
def test_recurrent_and_attention_networks(make_net):
    torch.manual_seed(0)
    ours, theirs = Lit(make_net()), HandWritten(make_net())
    theirs.net.load_state_dict(ours.net.state_dict())
    fit(theirs, data=written_loader())
    fit(ours, regularizer())
    assert same(ours, theirs)


# Dead and dying penalties


def test_a_frozen_network_is_a_dead_penalty():
    class Frozen(Lit):
        def __init__(self):
            super().__init__()
            self.net.requires_grad_(False)
            self.bias = nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return self.net(x) + self.bias

    with pytest.raises(DeadPenaltyError, match=r"zero in every trainable parameter \(bias\).*frozen"):
        fit(fresh(Frozen), regularizer(attribution=InputGradient("target_logit")))


def test_a_detached_attribution_is_a_dead_penalty():
    class Detached(InputGradient):
        def saliency(self, activation, gradient):
            return gradient.detach()

    with pytest.raises(DeadPenaltyError, match="no gradient path"):
        fit(fresh(), regularizer(attribution=Detached()))


def test_a_rounded_attribution_is_a_dead_penalty():
    class Rounded(InputGradient):
        def saliency(self, activation, gradient):
            return gradient + (1 - gradient.detach()) - (gradient - gradient.detach())

    with pytest.raises(DeadPenaltyError, match="gradient is zero in every trainable parameter"):
        fit(fresh(), regularizer(attribution=Rounded()))


def test_modules_that_the_gradient_does_not_reach_are_named():
    class Auxiliary(Lit):
        def __init__(self):
            super().__init__()
            self.auxiliary = nn.Linear(2, 2)

        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) + self.auxiliary.weight.sum()

    with pytest.warns(UserWarning, match="does not reach: auxiliary"):
        fit(fresh(Auxiliary), regularizer())


def nan_score(logits, target):
    return logits.sum(1) * float("nan")


def test_a_penalty_that_is_not_finite_is_skipped_counted_and_at_last_an_error():
    ours, theirs = fresh(), fresh()
    fit(theirs, data=plain_loader())
    used = fit(ours, regularizer(attribution=InputGradient(nan_score)))
    assert same(ours, theirs)
    assert used.callback_metrics["salreg/skipped_penalties"] == 6
    with pytest.raises(RuntimeError, match=r"NaN or infinite for 10 penalised steps in a row.*Lower the weight"):
        fit(fresh(), regularizer(attribution=InputGradient(nan_score)), epochs=4)


def test_an_operator_without_second_derivative_is_named_with_its_remedy():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Hardsigmoid(), nn.Linear(8, 3))
    with pytest.raises(
        RuntimeError, match=r"no second derivative of Hardsigmoid, .* kinks of Hardsigmoid. Replace nn.Hardsigmoid"
    ):
        fit(fresh(Lit, net), regularizer())


# Bad input


def test_an_annotation_of_another_size_is_refused():
    x, y, _ = images()
    wrong = AnnotatedDataset(TensorDataset(x, y), -torch.ones(24, 1, 4, 4, dtype=torch.int8))
    with pytest.raises(ValueError, match=r"shape \(8, 1, 4, 4\) do not fit saliency maps of shape \(8, 1, 8, 8\)"):
        fit(fresh(), regularizer(), data=loader(wrong))


def test_unknown_layers_and_modules_are_found_out_before_training():
    with pytest.raises(ValueError, match=r"no layer 'net.22'.*did you mean"):
        fit(fresh(), regularizer(attribution=GradCAM("net.22")))
    with pytest.raises(ValueError, match=r"no layer 'nett'.*did you mean 'net'"):
        fit(fresh(), regularizer(forward_module="nett"))


@pytest.mark.parametrize("options", [{"weight": -1}, {"weight": float("nan")}, {"every_n_steps": 0}, {"warmup_steps": -1}])
def test_numbers_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SaliencyRegularizer(**options, intervene=False)


@pytest.mark.parametrize("made", [lambda y: y, lambda y: (y + 2) % 3], ids=["of the batch", "made in the step"])
def test_the_target_that_is_named_wins_over_what_the_loss_compares_with(made):
    x, y, marks = images()
    other, attribution = (y + 1) % 3, InputGradient("target_logit")
    data = loader(AnnotatedDataset(TensorDataset(x, y, other), marks), batch_size=24)
    for target, classes in ((None, made(y)), (2, other)):
        module, penalty, net = fresh(), SaliencyPenalty(attribution), fresh().net
        module.training_step = lambda batch, batch_idx, module=module: cross_entropy(module(batch[0]), made(batch[1]))
        used = fit(module, regularizer(attribution=attribution, target=target), data=data, epochs=1)
        with penalty.watch(net) as watch:
            net(x)
        expected = watch.penalty(classes, marks).item()
        assert used.callback_metrics["salreg/penalty"].item() == pytest.approx(expected, rel=1e-4)


def test_undefined_maps_are_counted_and_logged_where_there_are_any():
    zero = fresh(Lit, nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), lr=0.0)
    nn.init.zeros_(zero.net[1].weight)
    used = fit(zero, regularizer(loss="energy"), epochs=1)
    assert used.callback_metrics["salreg/undefined_maps"] == 16  # of 24 samples, as many as carry a mark
    assert "salreg/undefined_maps" not in fit(fresh(), regularizer(loss="energy"), epochs=1).callback_metrics


def test_a_penalty_that_is_zero_at_first_is_not_dead():
    x, y, marks = images()
    x[:8, :, :3, :3] = 0  # the map of a gradient times its input is zero on the marks of the first batch
    data = loader(AnnotatedDataset(TensorDataset(x, y), marks))
    used = fit(fresh(), regularizer(attribution=InputTimesGradient()), data=data, epochs=1)
    assert used.callback_metrics["salreg/penalty"] > 0


def test_a_missing_target_is_named():
    class Unlabelled(Lit):
        def training_step(self, batch, batch_idx):
            return self(batch[0]).square().mean()

    x, _, annotations = images()
    with pytest.raises(ValueError, match="'target_logit' needs a target"):
        fit(
            fresh(Unlabelled),
            regularizer(attribution=InputGradient("target_logit")),
            data=loader(AnnotatedDataset(TensorDataset(x), annotations)),
        )


# Only the sample reaches the user's methods


def test_every_step_and_batch_hook_sees_the_plain_sample():
    seen = {}

    class Watching(Lit):
        def _note(self, name, batch):
            seen[name] = type(batch).__name__

        def on_before_batch_transfer(self, batch, dataloader_idx):
            self._note("before", batch)
            return batch

        def transfer_batch_to_device(self, batch, device, dataloader_idx):
            self._note("transfer", batch)
            return super().transfer_batch_to_device(batch, device, dataloader_idx)

        def on_after_batch_transfer(self, batch, dataloader_idx):
            self._note("after", batch)
            return batch

        def on_train_batch_start(self, batch, batch_idx):
            self._note("train start", batch)

        def on_train_batch_end(self, outputs, batch, batch_idx):
            self._note("train end", batch)

        def on_validation_batch_start(self, batch, batch_idx, dataloader_idx=0):
            self._note("validation start", batch)

        def validation_step(self, batch, batch_idx):
            self._note("validation", batch)

        def test_step(self, batch, batch_idx):
            self._note("test", batch)

        def predict_step(self, batch, batch_idx):
            self._note("predict", batch)

    module = fresh(Watching)
    used = fit(module, regularizer(), val=loader())
    used.test(module, loader())
    used.predict(module, loader())
    assert seen == dict.fromkeys(
        [
            "before",
            "transfer",
            "after",
            "train start",
            "train end",
            "validation start",
            "validation",
            "test",
            "predict",
        ],
        "list",
    )


def test_without_a_callback_the_batch_explains_itself():
    with pytest.raises(TypeError, match=r"comes from an AnnotatedDataset.*SaliencyRegularizer"):
        fit(fresh())


def test_plain_batches_are_refused_with_the_way_to_annotate_them():
    with pytest.raises(RuntimeError, match=r"carries none. Wrap the training set: AnnotatedDataset\(train_set, annotations\)"):
        fit(fresh(), regularizer(), data=plain_loader())


def test_plain_batches_train_plainly_at_weight_0():
    ours, theirs = fresh(), fresh()
    fit(theirs, data=plain_loader())
    fit(ours, regularizer(weight=0), data=plain_loader())
    assert same(ours, theirs)


# Checkpoints


class SeedEachStep(pl.Callback):
    """Dropout draws the same numbers in a step whether or not the training was interrupted before it."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        torch.manual_seed(trainer.global_step)


def test_interrupted_and_resumed_is_bit_identical(tmp_path):
    whole, half, resumed = (fresh(Lit, noisy_net()) for _ in range(3))
    for other in (half, resumed):
        other.load_state_dict(whole.state_dict())
    fit(whole, regularizer(warmup_steps=8), SeedEachStep(), epochs=4)
    fit(half, regularizer(warmup_steps=8), SeedEachStep(), epochs=2).save_checkpoint(tmp_path / "half.ckpt")
    callback = regularizer(warmup_steps=8)
    trainer(callback, SeedEachStep(), epochs=4).fit(resumed, loader(), ckpt_path=tmp_path / "half.ckpt")
    assert same(resumed, whole)
    assert callback.state_dict()["steps"] == 12


def test_annotated_data_loads_with_workers():
    ours, theirs = fresh(), fresh()
    fit(theirs, regularizer(), data=loader(annotated()))
    fit(ours, regularizer(), data=loader(annotated(), num_workers=2))
    assert same(ours, theirs)


def test_a_validation_step_may_call_the_training_step():
    class Sharing(Lit):
        def validation_step(self, batch, batch_idx):
            self.log("val/loss", self.training_step(batch, batch_idx))

    used = fit(fresh(Sharing), regularizer(), data=loader(), val=loader())
    assert used.callback_metrics["val/loss"] > 0
