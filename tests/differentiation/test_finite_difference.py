"""The penalty's gradient by differences of first derivatives, against second derivatives in double precision."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from salreg import SaliencyPenalty
from salreg.attributions import InputTimesGradient, IntegratedGradients
from salreg.attributions.base import TapAttribution
from salreg.differentiation import FiniteDifference, relative_error

X, Y = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3
MARKS = torch.zeros(8, 1, 8, 8, dtype=torch.int8)
MARKS[:6, :, :3, :3] = -1


class Attention(nn.Module):
    """On the default, fused kernel, which has no second derivative."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 2, 2)
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 20), nn.GELU(), nn.Linear(20, 3))


def batch_normalised():
    conv = nn.Conv2d(3, 8, 3)
    return nn.Sequential(conv, nn.BatchNorm2d(8), nn.SiLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(72, 3))


def with_dropout():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 40), nn.Dropout(0.5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(40, 3))


NETS = {"mlp": mlp, "attention": Attention, "batch norm": batch_normalised, "dropout": with_dropout}


def net(name):
    torch.manual_seed(0)
    made = NETS[name]()
    optimizer = torch.optim.Adam(made.parameters(), 0.01)
    for _ in range(5):  # fresh networks hardly depend on their input
        optimizer.zero_grad()
        cross_entropy(made(X), Y).backward()
        optimizer.step()
    return made


def gradients(model, how, dtype=torch.float32, marks=MARKS, penalty=None, autocast=None, **options):
    """The gradient of the penalty alone, and its value."""
    model, x = copy.deepcopy(model).to(dtype), X.to(dtype)
    penalty = penalty or SaliencyPenalty(differentiation=how, **options)
    torch.manual_seed(1)
    with penalty.watch(model) as watch, torch.autocast("cpu", autocast) if autocast else nullcontext():
        model(x)
    value = watch.penalty(Y, marks)
    return torch.autograd.grad(value, list(model.parameters()), allow_unused=True), float(value.detach())


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(
    ("sides", "dtype", "bound"),
    [(1, torch.float64, 1e-5), (2, torch.float64, 1e-7), (1, torch.float32, 1e-2), (2, torch.float32, 5e-3)],
)
def test_they_agree_with_second_derivatives(name, sides, dtype, bound):
    model = net(name)
    exact, value = gradients(model, "exact", torch.float64)
    estimated, estimated_value = gradients(model, FiniteDifference(sides=sides), dtype)
    assert estimated_value == pytest.approx(value, rel=1e-4)  # the value itself is no estimate
    assert relative_error(list(estimated), list(exact)) < bound


@pytest.mark.parametrize("score", ["log_prob_sum", "target_logit", "task_loss", "predicted_logit"])
@pytest.mark.parametrize("loss", ["rrr", "energy", "l1"])
def test_with_every_score_and_loss(score, loss):
    model, attribution = net("mlp"), InputTimesGradient(score)
    exact, _ = gradients(model, "exact", torch.float64, attribution=attribution, loss=loss)
    estimated, _ = gradients(model, FiniteDifference(), torch.float64, attribution=attribution, loss=loss)
    assert relative_error(list(estimated), list(exact)) < 1e-4


class ActivationTimesGradient(TapAttribution):
    def saliency(self, activation, gradient):
        return activation * gradient


def test_at_a_layer():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 8, 3), nn.SiLU(), nn.Flatten(), nn.Linear(128, 3))
    how = {"attribution": ActivationTimesGradient("target_logit", "2"), "loss": "rrr"}
    exact, _ = gradients(model, "exact", torch.float64, **how)
    estimated, _ = gradients(model, FiniteDifference(), torch.float64, **how)
    assert relative_error(list(estimated), list(exact)) < 1e-4


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 6, padding_idx=0)
        self.head = nn.Sequential(nn.Tanh(), nn.Linear(6, 3))

    def forward(self, tokens):
        return self.head(self.embedding(tokens).tanh().mean(1))


def test_at_an_embedding_whose_own_gradient_counts():
    torch.manual_seed(0)
    model, tokens = Text().double(), torch.randint(0, 9, (8, 5))
    marks = torch.zeros(8, 5, dtype=torch.int8)
    marks[:, 1] = torch.where(tokens[:, 1] > 0, -1, 0)
    found = []
    for how in ("exact", FiniteDifference()):
        penalty = SaliencyPenalty("input_times_gradient", differentiation=how)
        with penalty.watch(model) as watch:
            model(tokens)
        found.append(list(torch.autograd.grad(watch.penalty(Y, marks), list(model.parameters()), allow_unused=True)))
    assert found[0][0].abs().sum() > 0
    assert relative_error(found[1], found[0]) < 1e-4


@pytest.mark.parametrize("compile", ["wrapped", "in place"])
def test_compiled_modules_stay_compiled(compile):
    exact, _ = gradients(net("attention"), "exact")
    model, penalty = net("attention"), SaliencyPenalty(differentiation="finite_difference")
    if compile == "wrapped":
        model = torch.compile(model, backend="aot_eager")
    else:
        model.compile(backend="aot_eager")
    model(X)  # hooks registered after the first call are not called
    with penalty.watch(model) as watch:
        logits = model(X)
    assert "Compiled" in logits.grad_fn.name()
    estimated = torch.autograd.grad(watch.penalty(Y, MARKS), list(model.parameters()), allow_unused=True)
    assert relative_error(list(estimated), list(exact)) < 1e-2


def test_under_autocast_two_sides_are_taken():
    model = net("mlp")
    exact, _ = gradients(model, "exact", torch.float64)
    rounded, _ = gradients(model, FiniteDifference(), autocast=torch.bfloat16)
    assert relative_error(list(rounded), list(exact)) < 0.3
    assert FiniteDifference().sides_for(torch.bfloat16) == 2
    assert FiniteDifference().sides_for(torch.float32) == 1


def test_kinks_are_refused_unless_allowed():
    kinked = nn.Sequential(nn.Flatten(), nn.Linear(192, 20), nn.ReLU(), nn.Linear(20, 3))
    with pytest.raises(ValueError, match="wrong across kinks, and there are some between the tap and the logits: Relu. Use"):
        gradients(kinked, "finite_difference")
    estimated, _ = gradients(kinked, FiniteDifference(allow_kinks=True))
    assert estimated[0].isfinite().all()


def test_only_maps_of_one_gradient_are_differentiated_so():
    with pytest.raises(ValueError, match="which IntegratedGradients does not"):
        SaliencyPenalty(IntegratedGradients(), differentiation="finite_difference")
    with pytest.raises(ValueError, match="auto, exact or finite_difference, not 'fd'"):
        SaliencyPenalty(differentiation="fd")
    for wrong in ({"sides": 3}, {"step": 0.0}, {"check_every": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be "):
            FiniteDifference(**wrong)


def test_the_error_is_looked_at_every_so_often():
    model, penalty = net("mlp"), SaliencyPenalty(differentiation=FiniteDifference(check_every=3))
    errors = []
    for _ in range(5):
        with penalty.watch(model) as watch:
            model(X)
        errors.append(penalty.measure(watch.recording, Y, MARKS).error)
    assert [error is not None for error in errors] == [True, False, False, True, False]
    assert 0 < errors[0] < 1e-2


class Distances(nn.Module):
    """torch.cdist has no second derivative; it is smooth where nothing coincides."""

    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(3, 192))

    def forward(self, x):
        return -torch.cdist(x.flatten(1), self.centres)


def test_auto_takes_differences_where_there_is_no_second_derivative():
    torch.manual_seed(0)
    model, penalty = Distances(), SaliencyPenalty()
    _, _ = gradients(model, None, penalty=penalty)
    assert penalty.method.decided == "finite differences: there is no second derivative of Cdist"
    with pytest.raises(RuntimeError, match="no second derivative of Cdist"):
        gradients(model, "exact")
    smooth = SaliencyPenalty()
    gradients(net("mlp"), None, penalty=smooth)
    assert smooth.method.decided == "a second derivative"


def test_auto_says_what_to_change_where_there_is_no_way():
    gated = nn.Sequential(nn.Flatten(), nn.Linear(192, 20), nn.Hardsigmoid(), nn.Linear(20, 3))
    with pytest.raises(RuntimeError, match="Hardsigmoid, and finite differences are wrong .* Replace nn.Hardsigmoid"):
        gradients(gated, "auto")


def test_the_second_pass_leaves_no_trace():
    model = nn.Sequential(batch_normalised(), nn.Dropout(0.5))
    buffers = [buffer.clone() for buffer in model.buffers()]
    penalty = SaliencyPenalty(differentiation="finite_difference")
    torch.manual_seed(3)
    with penalty.watch(model) as watch:
        model(X)
    after_one = [buffer.clone() for buffer in model.buffers()]
    state = torch.get_rng_state()
    watch.penalty(Y, MARKS).backward()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one, other) for one, other in zip(model.buffers(), after_one, strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(model.buffers(), buffers, strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class FailsOnce(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.calls = batch_normalised(), 0

    def forward(self, x):
        self.calls += 1
        logits = self.inner(x)
        if self.calls == 2:
            raise RuntimeError("out of memory")
        return logits


def test_nor_does_one_that_fails():
    model, penalty = FailsOnce(), SaliencyPenalty(differentiation="finite_difference")
    with penalty.watch(model) as watch:
        model(X)
    buffers, state = [buffer.clone() for buffer in model.buffers()], torch.get_rng_state()
    with pytest.raises(RuntimeError, match="out of memory"):
        watch.penalty(Y, MARKS).backward()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one, other) for one, other in zip(model.buffers(), buffers, strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_second_pass_runs_when_the_first_ones_activations_are_freed():
    """Most of what autograd saved is alive at once: that of one pass, not of two."""
    alive, peak = 0, 0

    class Saved:
        def __init__(self, tensor):
            nonlocal alive, peak
            self.tensor = tensor
            alive += tensor.numel()
            peak = max(peak, alive)

        def __del__(self):
            nonlocal alive
            alive -= self.tensor.numel()

    def peak_of(penalty):
        nonlocal alive, peak
        alive = peak = 0
        model = nn.Sequential(*(nn.Sequential(nn.Linear(32, 32), nn.GELU()) for _ in range(20)), nn.Linear(32, 3))
        x, marks = torch.rand(256, 32), torch.zeros(256, 32)
        marks[:, :4] = -1
        y = torch.arange(256) % 3
        with torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor):
            if penalty is None:
                cross_entropy(model(x), y).backward()
            else:
                with penalty.watch(model) as watch:
                    logits = model(x)
                (cross_entropy(logits, y) + watch.penalty(y, marks)).backward()
        return peak

    plain = peak_of(None)
    unchecked = FiniteDifference(check_every=0)
    assert peak_of(SaliencyPenalty(differentiation=unchecked)) < 1.2 * plain
    assert peak_of(SaliencyPenalty(differentiation="exact")) > 1.8 * plain
