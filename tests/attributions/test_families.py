"""Families beyond the plain gradient, against Captum, closed forms and plain loops."""

import copy
import pickle

import pytest
import torch
from captum.attr import FeatureAblation as CaptumFeatureAblation
from captum.attr import GradientShap, InputXGradient, LayerGradCam, LayerGradientXActivation, Saliency
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import Occlusion as CaptumOcclusion
from support import conv_net, images, noisy_net
from torch import nn

from salreg import SaliencyPenalty, attributions
from salreg.attributions import (
    RISE,
    ContextualDecomposition,
    ExpectedGradients,
    FeatureAblation,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    InfluenceGradient,
    InputGradient,
    InputTimesGradient,
    IntegratedGradients,
    LayerCAM,
    Occlusion,
    SmoothGrad,
    VarGrad,
    XGradCAM,
    passes,
)  # fmt: skip


class VisionTransformer(nn.Module):
    """Four patches of 4 x 4 pixels and a class token."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.encoder(torch.cat([self.token.expand(len(x), -1, -1), tokens], 1))[:, 0])


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 3))


MODELS = [conv_net, VisionTransformer, mlp]
X, Y, ANNOTATIONS = images(5)


def close(ours, theirs, rtol=1e-5):
    assert ours.shape == theirs.shape
    assert torch.allclose(ours.double(), theirs.double(), rtol=rtol, atol=1e-6 * float(theirs.abs().max()))


# Gradients


@pytest.mark.parametrize("make", MODELS)
def test_gradients_agree_with_captum(make):
    model = make().eval()
    close(InputGradient("target_logit")(model, X, Y), Saliency(model).attribute(X, target=Y, abs=False))
    close(InputTimesGradient()(model, X, Y), InputXGradient(model).attribute(X, target=Y).detach())


# Paths


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize(
    ("rule", "captum"),
    [
        ("gauss_legendre", "gausslegendre"),
        ("left", "riemann_left"),
        ("right", "riemann_right"),
        ("middle", "riemann_middle"),
    ],
)
def test_integrated_gradients_agree_with_captum(make, rule, captum):
    model, baseline = make().eval(), torch.full((1, 1, 8, 8), 0.2)
    theirs = CaptumIntegratedGradients(model).attribute(X, baseline.expand_as(X), target=Y, n_steps=20, method=captum)
    close(IntegratedGradients(steps=20, baseline=baseline, rule=rule)(model, X, Y), theirs)


def test_the_trapezoid_rule_is_a_plain_loop():
    model, total = mlp(), torch.zeros_like(X)
    for k in range(5):
        gradient = InputGradient("target_logit")(model, X * k / 4, Y)
        total += gradient / 4 / (2 if k in (0, 4) else 1)
    close(IntegratedGradients(steps=4, rule="trapezoid")(model, X, Y), X * total)


def test_integrated_gradients_add_up_to_the_difference_of_the_score():
    model = mlp().double()
    map = IntegratedGradients()(model, X.double(), Y)
    difference = (model(X.double()) - model(torch.zeros_like(X).double())).gather(1, Y.view(-1, 1)).squeeze(1)
    assert torch.allclose(map.flatten(1).sum(1), difference)


def test_memory_is_bounded_by_splitting_the_path(monkeypatch):
    model = mlp()
    whole = IntegratedGradients(steps=16)(model, X, Y)
    rows = []
    model.register_forward_pre_hook(lambda m, args: rows.append(len(args[0])))
    monkeypatch.setitem(passes._NUMBERS_PER_PASS, "cpu", 3 * X.numel())
    close(IntegratedGradients(steps=16)(model, X, Y), whole)
    assert max(rows) == 15


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IntegratedGradients(steps=0), "steps must be a whole number of at least 1, not 0"),
        (lambda: IntegratedGradients(rule="simpson"), "not 'simpson'"),
        (lambda: ExpectedGradients(samples=0), "samples must be a whole number of at least 1, not 0"),
        (lambda: SmoothGrad(samples=0), "samples"),
        (lambda: RISE(keep=1.0), "keep"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_baselines_and_references_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"baseline of shape \(3,\) does not broadcast"):
        IntegratedGradients(baseline=torch.zeros(3))(mlp(), X, Y)
    with pytest.raises(ValueError, match="References of shape"):
        ExpectedGradients(torch.zeros(4, 3))(mlp(), X, Y)
    with pytest.raises(ValueError, match="only one sample"):
        ExpectedGradients()(mlp(), X[:1], Y[:1])


def test_expected_gradients_have_the_expectation_of_gradient_shap():
    torch.manual_seed(0)
    model, references = mlp(), torch.rand(30, 1, 8, 8)
    ours = ExpectedGradients(references, samples=3000)(model, X, Y)
    theirs = GradientShap(model).attribute(X, references, n_samples=3000, target=Y)
    assert (ours - theirs).norm() < 0.05 * theirs.norm()


def test_expected_gradients_from_the_batch_never_start_at_the_sample_itself():
    """On a linear model a draw is (x - x') w: zero only where the sample is its own reference."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    maps = ExpectedGradients(samples=1)(model, X, Y)
    assert (maps.flatten(1).abs().sum(1) > 0).all()


# Noise


def test_smooth_grad_is_a_plain_loop():
    model, attribution = mlp(), SmoothGrad("target_logit", samples=4, noise=0.2, seed=3)
    noise = copy.deepcopy(attribution).rng.normal((4, *X.shape), like=X)
    width = (X.flatten(1).amax(1) - X.flatten(1).amin(1)).view(-1, 1, 1, 1)
    gradients = torch.stack([InputGradient("target_logit")(model, X + 0.2 * width * n, Y) for n in noise])
    close(attribution(model, X, Y), gradients.mean(0))
    close(VarGrad("target_logit", samples=4, noise=0.2, seed=3)(model, X, Y), gradients.var(0, correction=0), rtol=1e-4)


def test_draws_go_on_and_are_restored_from_a_checkpoint():
    model, attribution = mlp(), SmoothGrad(samples=2)
    state = attribution.state_dict()
    first, second = attribution(model, X), attribution(model, X)
    assert not torch.equal(first, second)
    attribution.load_state_dict(state)
    assert torch.equal(attribution(model, X), first)
    assert torch.equal(pickle.loads(pickle.dumps(attribution))(model, X), second)


# Class activation maps


def test_hires_cam_agrees_with_captum():
    model = conv_net()
    theirs = LayerGradientXActivation(model, model[2]).attribute(X, Y).sum(1, keepdim=True).relu()
    close(HiResCAM("2")(model, X, Y), theirs)


def activation_and_gradient(model, layer):
    kept = {}
    handle = model[layer].register_forward_hook(lambda m, a, out: kept.update(a=out))
    score = model(X).gather(1, Y.view(-1, 1)).sum()
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept["a"])
    return kept["a"].detach(), gradient


@pytest.mark.parametrize("cam", [GradCAMPlusPlus, LayerCAM, XGradCAM])
def test_the_other_maps_are_their_formulas_in_a_plain_loop(cam):
    model = conv_net()
    a, g = activation_and_gradient(model, 2)
    expected = torch.zeros(5, 1, 6, 6)
    for i in range(5):
        for c in range(4):
            if cam is GradCAMPlusPlus:
                share = g[i, c] ** 2 / (2 * g[i, c] ** 2 + a[i, c].sum() * g[i, c] ** 3)
                weight = (share.nan_to_num() * g[i, c].clamp(min=0)).sum()
            elif cam is LayerCAM:
                weight = g[i, c].clamp(min=0)
            else:
                weight = (g[i, c] * a[i, c]).sum() / a[i, c].sum()
            expected[i, 0] += weight * a[i, c]
    close(cam("2")(model, X, Y), expected.relu(), rtol=1e-4)


def test_several_layers_give_the_mean_of_their_maps_on_the_finest_grid():
    model = conv_net()
    first, second = GradCAM("0")(model, X, Y), GradCAM("2")(model, X, Y, upsample_to=(8, 8))
    close(GradCAM(["0", "2"])(model, X, Y), (first + second) / 2)


def test_a_transformers_tokens_are_a_patch_grid_without_the_class_token():
    model = VisionTransformer()
    map = GradCAM("encoder.norm1")(model, X, Y)
    assert map.shape == (5, 1, 2, 2)
    theirs = LayerGradCam(model, model.patches).attribute(X, Y, relu_attributions=True)
    close(GradCAM("patches")(model, X, Y), theirs.detach())


def test_tokens_that_are_no_grid_ask_for_one():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Linear(8, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.embed(x.squeeze(1)).mean(1))

    with pytest.raises(ValueError, match=r"8 tokens, which do not form a 2 x 2 grid.*give grid=\(h, w\)"):
        GradCAM("embed")(Tokens(), X, Y)
    assert GradCAM("embed", grid=(2, 4))(Tokens(), X, Y).shape == (5, 1, 2, 4)


# Perturbation


@pytest.mark.parametrize("make", MODELS)
def test_occlusion_agrees_with_captum_where_windows_tile(make):
    model, x = make().eval().double(), X.double()
    theirs = CaptumOcclusion(model).attribute(x, (1, 2, 4), strides=(1, 2, 4), baselines=0.3, target=Y)
    close(Occlusion((2, 4), fill=0.3)(model, x, Y), theirs)


def test_overlapping_windows_are_averaged_where_they_overlap():
    model, x = mlp().double(), X.double()
    theirs = CaptumOcclusion(model).attribute(x, (1, 3, 3), strides=(1, 1, 1), target=Y)
    close(Occlusion(3, stride=1)(model, x, Y), theirs)


@pytest.mark.parametrize("make", MODELS)
def test_feature_ablation_agrees_with_captum_on_images(make):
    model, x, groups = make().eval().double(), X.double(), torch.arange(64).view(1, 8, 8) // 12
    theirs = CaptumFeatureAblation(model).attribute(x, feature_mask=groups.unsqueeze(0), baselines=0.5, target=Y)
    close(FeatureAblation(groups, fill=0.5)(model, x, Y), theirs)


def test_feature_ablation_agrees_with_captum():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    model, x, groups = model.double(), torch.rand(5, 6).double(), torch.tensor([0, 0, 1, 2, 2, 1])
    theirs = CaptumFeatureAblation(model).attribute(x, feature_mask=groups.view(1, -1), baselines=0.5, target=Y)
    close(FeatureAblation(groups, fill=0.5)(model, x, Y), theirs)
    close(FeatureAblation()(model, x, Y), CaptumFeatureAblation(model).attribute(x, target=Y))


def test_rise_finds_the_pixel_that_matters():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return x[:, :, 2, 5] * self.weight

    map = RISE(masks=400, cells=4)(Reads(), torch.ones(2, 1, 8, 8), torch.tensor([0, 1]))
    assert (map.flatten(1).argmax(1) == 2 * 8 + 5).all()


@pytest.mark.parametrize(
    ("attribution", "x", "message"),
    [
        (Occlusion(9), X, "window of .9, 9. is larger"),
        (Occlusion((2, 2, 2)), X, "need a number of at least 1 for each side"),
        (FeatureAblation(), X, "need groups of features"),
        (FeatureAblation(torch.zeros(3)), X, r"Groups of shape \(3,\) do not broadcast"),
        (RISE(), torch.rand(5, 64), "RISE needs images"),
    ],
)
def test_perturbations_that_do_not_fit_are_refused(attribution, x, message):
    model = mlp()
    with pytest.raises(ValueError, match=message):
        attribution(model, x, Y)


# All of them


EVERY = [
    InputGradient(), SmoothGrad(samples=2), VarGrad(samples=2), IntegratedGradients(steps=3), ExpectedGradients(),
    ExpectedGradients(X), GradCAM("0"), GradCAMPlusPlus("0"), HiResCAM("0"), LayerCAM("0"), XGradCAM("0"), Occlusion(4),
    FeatureAblation(torch.arange(64).view(8, 8) // 16), RISE(masks=6),
]  # fmt: skip


BY_PARTS = [InfluenceGradient(), ContextualDecomposition(torch.arange(64).view(8, 8) // 16)]


@pytest.mark.parametrize("attribution", [*EVERY, *BY_PARTS], ids=lambda a: type(a).__name__)
def test_no_trace_is_left(attribution):
    """In train mode, with BatchNorm and Dropout: statistics, random state, gradients, modes and hooks."""
    model = noisy_net().train()
    before, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    buffers = [id(b) for b in model.buffers()]
    with torch.random.fork_rng():  # the forward pass that is explained draws Dropout's numbers, as any does
        attribution(model, X, Y)
    explained = copy.deepcopy(model.state_dict())
    assert torch.equal(torch.get_rng_state(), rng)
    assert explained["1.num_batches_tracked"] == before["1.num_batches_tracked"] + 1
    assert [id(b) for b in model.buffers()] == buffers
    assert all(p.grad is None for p in model.parameters())
    assert all(m.training for m in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class Interrupted(Exception):
    pass


def interrupt(logits, target):
    raise Interrupted


@pytest.mark.parametrize("name", [name for name in attributions.NAMED if name not in ("raw_attention", "attention_rollout")])
def test_no_trace_is_left_by_one_that_raises(name):
    """Here in the score, for the attention ones on a transformer."""
    model = VisionTransformer().train() if "attention" in name or name == "le_grad" else noisy_net().train()
    before, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    buffers = [id(b) for b in model.buffers()]
    attribution = attributions.resolve(name)
    attribution.score = interrupt
    if hasattr(attribution, "groups"):
        attribution.groups = torch.arange(64).view(8, 8) // 16
    with torch.random.fork_rng(), pytest.raises(Interrupted):
        attribution(model, X, Y)
    assert torch.equal(torch.get_rng_state(), rng)
    assert [id(b) for b in model.buffers()] == buffers
    assert all(torch.equal(p, before[n]) and p.grad is None for n, p in model.named_parameters())
    assert all(m.training for m in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("attribution", EVERY, ids=lambda a: type(a).__name__)
def test_every_map_trains(attribution):
    """A penalty on it reaches all weights it depends on, and agrees with finite differences in float64."""
    torch.manual_seed(1)
    model = conv_net(smooth=True).double()
    state = copy.deepcopy(attribution.state_dict())

    def of_weights(*weights):
        attribution.load_state_dict(copy.deepcopy(state))
        named = dict(zip(dict(model.named_parameters()), weights, strict=True))
        penalty = SaliencyPenalty(attribution, "rrr")

        class Functional(nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            def __getattr__(self, name):
                try:
                    return super().__getattr__(name)
                except AttributeError:
                    return getattr(model, name)

            def forward(self, x):
                return torch.func.functional_call(model, named, (x,))

        functional = Functional()
        if attribution.layer is not None:
            penalty.attribution = type(attribution)("model.0")
        with penalty.watch(functional) as watch:
            functional(X.double())
        return watch.penalty(Y, ANNOTATIONS)

    weights = [p.detach().clone().requires_grad_() for p in model.parameters()]
    gradients = torch.autograd.grad(of_weights(*weights), weights, allow_unused=True)
    named = dict(zip(dict(model.named_parameters()), gradients, strict=True))
    for name in ("0.weight", "2.weight", "5.weight"):
        assert named[name].abs().sum() > 0, name
    assert torch.autograd.gradcheck(of_weights, weights, atol=1e-6, rtol=1e-3, fast_mode=True)


@pytest.mark.parametrize("name", attributions.NAMED)
def test_every_name_resolves(name):
    assert isinstance(attributions.resolve(name), attributions.Attribution)
