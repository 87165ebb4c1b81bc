"""How the regulariser differentiates: exactly or by differences, all samples or some, in every way Lightning trains."""

import warnings

import pytest
import pytorch_lightning as pl
import torch
from support import Lit, conv_net, distance, fit, fresh, images, plain_loader, regularizer, same
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset, SaliencyPenalty
from salreg.attributions import IntegratedGradients
from salreg.callbacks import SaliencyRegularizer
from salreg.differentiation import FiniteDifference


def smooth():
    return Lit(conv_net(smooth=True))


def sparse(annotated=2, size=24):
    """A few annotated samples in every batch of 8."""
    x, y, annotations = images(size)
    annotations[:] = 0
    for start in range(0, size, 8):
        annotations[start : start + annotated, :, :3, :3] = -1
    return DataLoader(AnnotatedDataset(TensorDataset(x, y), annotations), 8)


class Manual(Lit):
    def __init__(self):
        super().__init__(conv_net(smooth=True))
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        x, y = batch
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(cross_entropy(self(x), y))
        optimizer.step()


@pytest.mark.parametrize(
    ("make", "options", "bound", "times"),
    [
        (smooth, {}, 1e-4, 10),
        (smooth, {"accumulate_grad_batches": 2}, 1e-4, 10),
        (smooth, {"gradient_clip_val": 0.05}, 1e-4, 10),
        (smooth, {"precision": "64-true"}, 1e-6, 1000),
        (smooth, {"precision": "bf16-mixed"}, 1e-3, 1.5),
        (Manual, {}, 1e-4, 10),
    ],
    ids=["plain", "accumulated", "clipped", "double", "bf16-mixed", "manual"],
)
def test_differences_train_as_second_derivatives_do(make, options, bound, times):
    exact, nearly = fresh(make), fresh(make)
    initial = fresh(make)
    fit(exact, regularizer(differentiation="exact"), **options)
    fit(nearly, regularizer(differentiation="finite_difference"), **options)
    assert distance(exact, nearly) < bound * max(distance(exact, initial), 1)
    plain = fresh(make)
    fit(plain, regularizer(weight=0), **options)
    assert distance(exact, plain) > times * distance(exact, nearly)  # bf16 rounds much of a small penalty away


def test_the_way_is_told_and_its_error_is_logged(caplog):
    caplog.set_level("INFO", logger="pytorch_lightning")
    used = fit(fresh(smooth), regularizer(differentiation="finite_difference"))
    assert 0 < used.callback_metrics["salreg/fd_error"] < 1e-2
    assert "the penalty is differentiated by finite differences, as asked for" in caplog.text
    caplog.clear()
    used = fit(fresh(), regularizer())
    assert "salreg/fd_error" not in used.callback_metrics
    assert "the penalty is differentiated by a second derivative" in caplog.text


def test_kinks_are_found_out_before_a_parameter_changes():
    module, initial = fresh(), fresh()
    with pytest.raises(ValueError, match="wrong across kinks.*Relu"):
        fit(module, regularizer(differentiation="finite_difference"))
    assert same(module, initial)


def test_what_cannot_be_differentiated_twice_is_found_out_long_before_the_first_annotated_batch():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Hardsigmoid(), nn.Linear(8, 3))
    x, y, annotations = images(24)
    annotations[:16] = 0
    module, seen = fresh(lambda: Lit(net)), []
    module.on_before_zero_grad = seen.append
    with pytest.raises(RuntimeError, match="no second derivative of Hardsigmoid.*Replace nn.Hardsigmoid"):
        fit(module, regularizer(), data=DataLoader(AnnotatedDataset(TensorDataset(x, y), annotations), 8))
    assert not seen


def test_a_compiled_network_stays_compiled_and_trains_the_same():
    exact, nearly = fresh(smooth), fresh(smooth)
    fit(exact, regularizer(differentiation="exact"))
    nearly.net = torch.compile(nearly.net, backend="aot_eager")
    with warnings.catch_warnings(record=True) as seen:
        fit(nearly, regularizer(differentiation="finite_difference"))
    assert not any("run them uncompiled" in str(one.message) for one in seen)
    assert distance(exact, nearly) < 1e-4


def test_a_compiled_network_whose_first_steps_are_plain_can_be_penalised_later():
    """What is compiled for a plain step may overwrite what a second backward pass needs."""
    x, y, annotations = images(24)
    annotations[:8] = 0
    data = DataLoader(AnnotatedDataset(TensorDataset(x, y), annotations), 8)
    expected, ours = fresh(smooth), fresh(smooth)
    fit(expected, regularizer(differentiation="exact"), data=data)
    torch._dynamo.reset()
    ours.net = torch.compile(ours.net, backend="aot_eager")
    fit(ours, regularizer(differentiation="finite_difference"), data=data)
    assert distance(expected, ours) < 1e-4
    assert torch._functorch.config.donated_buffer


class HandWritten(Lit):
    """The penalty of the annotated samples alone, as a formula."""

    def training_step(self, batch, batch_idx):
        x, y, annotation = batch
        loss = cross_entropy(self.net(x), y)
        marked = annotation.flatten(1).any(1)
        penalty = SaliencyPenalty("input_times_gradient")
        with penalty.watch(self.net) as watch:
            self.net(x[marked])
        return loss + 3.0 * watch.penalty(y[marked], annotation[marked])


def test_few_annotated_samples_get_a_pass_of_their_own_with_the_same_result():
    ours, theirs, initial = (fresh(cls, conv_net()) for cls in (Lit, HandWritten, Lit))
    theirs.net.load_state_dict(initial.net.state_dict())
    ours.net.load_state_dict(initial.net.state_dict())
    data = sparse()
    annotations = torch.stack([data.dataset[i].annotation for i in range(24)])
    fit(ours, regularizer(attribution="input_times_gradient"), data=data)
    fit(theirs, data=DataLoader(TensorDataset(*images()[:2], annotations), 8))
    assert distance(ours, theirs) < 1e-6
    assert not same(ours, initial)


class Counts(nn.Module):
    """Counts the samples that pass with and without a graph back to the input."""

    def __init__(self):
        super().__init__()
        self.inner, self.tapped, self.untapped = conv_net(), [], []

    def forward(self, x):
        (self.tapped if x.requires_grad else self.untapped).append(len(x))
        return self.inner(x)


def test_a_compiled_network_stays_compiled_where_few_samples_are_annotated():
    """Only their own pass runs uncompiled."""
    expected, ours, compiled_passes = fresh(smooth), fresh(smooth), []
    fit(expected, regularizer(differentiation="exact"), data=sparse())
    torch._dynamo.reset()

    def counting(graph, inputs):
        def run(*args):
            compiled_passes.append(len(args[-1]))
            return graph(*args)

        return run

    ours.net = torch.compile(ours.net, backend=counting)
    fit(ours, regularizer(differentiation="exact"), data=sparse())
    assert len(compiled_passes) == 6  # each training pass once, no annotated samples' pass
    assert distance(expected, ours) < 1e-5


def test_only_the_annotated_samples_are_differentiated_twice():
    few, many = Counts(), Counts()
    fit(Lit(few), regularizer(), data=sparse(annotated=2), epochs=1)
    assert (few.untapped, few.tapped) == ([8] * 2, [8, 2, 2, 2])  # where the logits come from is found in the first step
    fit(Lit(many), regularizer(), data=sparse(annotated=6), epochs=1)
    assert (many.untapped, many.tapped) == ([], [8] * 3)


def test_batch_norm_keeps_the_batch_together():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    penalty = SaliencyPenalty()
    annotation = torch.zeros(8, 1, 8, 8)
    annotation[0, :, :3] = -1
    assert not penalty.method.has_separate_pass(annotation, net)
    assert penalty.method.has_separate_pass(annotation, net.eval())


def test_at_most_so_many_rows_are_differentiated():
    net = Counts()
    used = fit(Lit(net), regularizer(max_samples=3), data=sparse(annotated=8), epochs=1)
    assert (net.untapped, net.tapped) == ([8] * 2, [8, 3, 3, 3])
    assert used.callback_metrics["salreg/penalty"] > 0
    module = fresh(smooth)
    fit(module, regularizer(max_samples=3, differentiation="finite_difference"), data=sparse(annotated=8))
    assert all(parameter.isfinite().all() for parameter in module.parameters())
    with pytest.raises(ValueError, match="max_samples must be a whole number of at least 1"):
        regularizer(max_samples=0)


def test_the_mean_over_random_rows_is_the_penalty_in_expectation():
    x, y, _ = images(8)
    annotation = torch.zeros(8, 1, 8, 8)
    annotation[:, :, :3, :3] = -1
    net = fresh(conv_net, smooth=True)

    def value(penalty):
        with penalty.watch(net) as watch:
            net(x)
        return float(watch.penalty(y, annotation).detach())

    sampled = SaliencyPenalty("input_times_gradient", max_samples=2)
    values = torch.tensor([value(sampled) for _ in range(300)])
    off = (values.mean() - value(SaliencyPenalty("input_times_gradient"))).abs()
    assert off < 4 * values.std() / 300**0.5
    assert values.std() > 0


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="which IntegratedGradients does not"):
        SaliencyRegularizer(IntegratedGradients(), differentiation=FiniteDifference(), intervene=False)
    with pytest.raises(ValueError, match="for penalties computed from a saliency map, not for ConsistencyPenalty"):
        SaliencyRegularizer(preset="counterexamples", max_samples=2)


@pytest.mark.parametrize("how", ["exact", "finite_difference"])
def test_a_weight_of_zero_is_bit_identical_to_no_callback(how):
    plain, ours = fresh(smooth), fresh(smooth)
    fit(plain, data=plain_loader())
    fit(ours, regularizer(weight=0, differentiation=how))
    assert same(plain, ours)


class Growth(pl.Callback):
    def __init__(self):
        self.hooks = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.hooks.append(sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in pl_module.modules()))


@pytest.mark.parametrize("how", ["exact", "finite_difference"])
def test_hooks_do_not_pile_up(how):
    growth = Growth()
    fit(fresh(smooth), regularizer(differentiation=how), growth, epochs=4)
    assert set(growth.hooks) == {growth.hooks[0]}
