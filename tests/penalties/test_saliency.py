"""The penalty against closed forms, finite differences in float64, and what must not change it."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from support import conv_net, images
from torch import nn
from torch.utils.checkpoint import checkpoint

from salreg import DeadPenaltyError, SaliencyPenalty
from salreg.attributions import GradCAM, InputGradient
from salreg.input_spread import InputSpread
from salreg.losses import RightForRightReasons


def value(model, x, y, annotation, attribution="input_gradient", loss="rrr"):
    penalty = SaliencyPenalty(attribution, loss)
    with penalty.watch(model) as watch:
        model(x)
    return watch.penalty(y, annotation)


# Closed forms


def linear_case():
    torch.manual_seed(0)
    x, y = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
    annotation = torch.zeros(6, 4, dtype=torch.int8)
    annotation[:4, 0] = -1
    annotation[:2, 2] = 1
    return nn.Linear(4, 3, bias=False).double(), x, y, annotation


def test_rrr_of_a_linear_softmax_model():
    """sigma_d^2 (sum_k w_kd - C sum_k p_k w_kd)^2 over the marks, mean over the marked samples."""
    model, x, y, annotation = linear_case()
    w, p = model.weight, model(x).softmax(1)
    gradient = (w.sum(0) - 3 * p @ w) * x[:4].std(0, unbiased=False)
    expected = (gradient[:4, 0] ** 2).mean()
    got = value(model, x, y, annotation)
    assert torch.allclose(got, expected)
    (ours,) = torch.autograd.grad(got, w)
    (theirs,) = torch.autograd.grad(expected, w)
    assert torch.allclose(ours, theirs)


def test_energy_of_a_linear_model():
    """Input times target logit gradient is x_d w_yd: no derivative through softmax is left."""
    model, x, y, annotation = linear_case()
    saliency = (x * model.weight[y]).clamp(min=0)
    share = saliency[:, 0] / saliency.sum(1)  # on the spurious mark, where nothing is relevant
    outside = 1 - saliency[:, 2] / saliency.sum(1)  # outside the relevant one
    expected = torch.cat([outside[:2], share[2:4]]).mean()
    got = value(model, x, y, annotation, InputGradient("target_logit", times_input=True), "energy")
    assert torch.allclose(got, expected)


def test_marks_are_averaged_over_the_cells_of_a_layers_grid_whatever_its_sides():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 2, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(2 * 4 * 6, 3))
    annotation = torch.zeros(2, 1, 8, 12)
    annotation[:, :, :3, 7:] = -1
    penalty = SaliencyPenalty(GradCAM("0"), "energy")
    with penalty.watch(model) as watch:
        model(torch.rand(2, 1, 8, 12))
    evaluated = penalty.measure(watch.recording, torch.tensor([0, 1]), annotation)
    shares = -annotation.unflatten(2, (4, 2)).unflatten(4, (6, 2)).mean((3, 5))
    assert torch.equal(evaluated.annotation, -shares)


def test_what_lies_on_a_texts_padding_counts_for_nothing():
    saliency, annotation = torch.rand(2, 5) + 1, torch.tensor([[-1.0, 0, 0, 127, 127], [0, -1, 0, 0, 127]])
    found = SaliencyPenalty("input_gradient", "energy")._compared(saliency, annotation)
    assert torch.equal(found.saliency == 0, annotation == 127)


def test_the_spread_of_a_series_is_by_channel_and_that_of_marks_of_each_value_by_place():
    inputs, spread = torch.randn(6, 2, 4), {}
    for name, annotation in (("by channel", torch.zeros(6, 1, 4)), ("by place", torch.zeros(6, 2, 4))):
        penalty = SaliencyPenalty("input_gradient")
        penalty._measure_spread(inputs, annotation, torch.ones(6, dtype=torch.bool))
        spread[name] = penalty.spread(inputs)
    torch.testing.assert_close(spread["by channel"].squeeze(), inputs.std((0, 2), correction=0))
    torch.testing.assert_close(spread["by place"].squeeze(), inputs.std(0, correction=0))


# Derivatives


@pytest.mark.parametrize("loss", ["rrr", "energy"])
@pytest.mark.parametrize("score", ["log_prob_sum", "target_logit", "predicted_logit", "task_loss"])
@pytest.mark.parametrize("kind", ["gradient", "times input", "cam"])
def test_gradient_against_finite_differences(loss, score, kind):
    torch.manual_seed(3)
    model = conv_net(smooth=True).double()
    x, y, annotation = images(4)
    attribution = {
        "gradient": lambda: InputGradient(score),
        "times input": lambda: InputGradient(score, times_input=True),
        "cam": lambda: GradCAM("2", score),
    }[kind]()
    spread = InputSpread()
    spread.update(x.double(), torch.ones(4, dtype=torch.bool))

    def of_weights(*weights):
        named = dict(zip(dict(model.named_parameters()), weights, strict=True))
        penalty = SaliencyPenalty(attribution, loss)
        with penalty.watch(model) as watch:
            torch.func.functional_call(model, named, (x.double(),))
        return watch.penalty(y, annotation)

    weights = [p.detach().clone().requires_grad_() for p in model.parameters()]
    assert torch.autograd.gradcheck(of_weights, weights, atol=1e-6, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("attribution", [InputGradient(), InputGradient("target_logit"), GradCAM("2")])
def test_the_gradient_reaches_every_layer(attribution):
    """Not only up to the CAM layer: the classifier behind it shapes the map too."""
    model = conv_net(smooth=True)
    x, y, annotation = images(8)
    value(model, x, y, annotation, attribution).backward()
    for name in ("0.weight", "2.weight", "5.weight"):
        assert model.get_parameter(name).grad.abs().sum() > 0, name


# What must not change the penalty


cases = st.integers(0, 10_000)


@settings(max_examples=20, deadline=None)
@given(cases)
def test_the_order_of_the_batch_does_not_matter(seed):
    x, y, annotation = images(7, seed)
    order = torch.randperm(7)
    model = conv_net(smooth=True).double()
    one = value(model, x.double(), y, annotation)
    assert torch.allclose(value(model, x[order].double(), y[order], annotation[order]), one)


@settings(max_examples=20, deadline=None)
@given(cases, st.integers(1, 9))
def test_unannotated_samples_do_not_dilute_it(seed, extra):
    x, y, annotation = images(6, seed)
    more, labels, _ = images(extra, seed + 1)
    model = conv_net(smooth=True).double()
    one = value(model, x.double(), y, annotation)
    x, y = torch.cat([x, 100 * more]).double(), torch.cat([y, labels])
    annotation = torch.cat([annotation, torch.zeros(extra, 1, 8, 8)])
    assert torch.allclose(value(model, x, y, annotation), one)


@settings(max_examples=20, deadline=None)
@given(cases, st.floats(1e-3, 1e4), st.floats(-5, 5))
def test_rescaled_inputs_with_a_counter_scaled_first_layer_give_the_same(seed, scale, shift):
    x, y, annotation = images(6, seed)
    x = x.double().flatten(1)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    one = value(model, x, y, annotation.flatten(1))
    with torch.no_grad():
        model[0].weight /= scale
        model[0].bias -= model[0].weight.sum(1) * shift
    assert torch.allclose(value(model, x * scale + shift, y, annotation.flatten(1)), one, rtol=1e-4)


def test_a_larger_batch_of_the_same_samples_gives_the_same():
    x, y, annotation = images(6)
    model = conv_net(smooth=True).double()
    twice = [torch.cat([t, t]) for t in (x.double(), y, annotation)]
    assert torch.allclose(value(model, *twice), value(model, x.double(), y, annotation))


# One forward pass, no trace


def test_one_forward_pass_serves_both():
    class Counting(nn.Sequential):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    model = Counting(*conv_net())
    x, y, annotation = images(4)
    value(model, x, y, annotation).backward()
    assert model.calls == 1


def test_watching_does_not_change_the_logits_and_leaves_no_hooks():
    model = conv_net()
    x, _, _ = images(4)
    with SaliencyPenalty(GradCAM("2")).watch(model):
        watched = model(x)
    assert torch.equal(watched, model(x))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert not x.requires_grad


class Attention(nn.Module):
    """On the kernel that PyTorch takes by default, which has no second derivative; in a checkpoint or not."""

    def __init__(self, checkpointed):
        super().__init__()
        self.patches, self.head = nn.Conv2d(1, 8, 2, 2), nn.Linear(8, 3)
        self.layer, self.checkpointed = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), checkpointed

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = checkpoint(self.layer, tokens, use_reentrant=False) if self.checkpointed else self.layer(tokens)
        return self.head(tokens.mean(1))


def test_a_checkpoint_is_run_again_on_the_kernels_of_the_pass():
    x, y, annotation = images(6)
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        model = Attention(checkpointed)
        penalty = value(model, x, y, annotation, loss="energy")
        penalty.backward()
        found.append([penalty.detach(), *(parameter.grad for parameter in model.parameters())])
    assert found[0][0] > 0
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("marked", [1, 12], ids=["few", "many"])
def test_a_pass_without_gradients_is_another_networks_and_passed_over(marked):
    x, y, annotation = images(12)
    annotation[:], annotation[:marked, :, :3, :3] = 0, -1
    model, values = conv_net(), []
    for teacher in (False, True):
        penalty = SaliencyPenalty("input_gradient", "energy")
        with penalty.watch(model, annotation) as watch:
            if teacher:
                with torch.no_grad():
                    model(x.flip(3))
            model(x)
        values.append(watch.penalty(y, annotation))
    assert values[0] > 0
    torch.testing.assert_close(*values)


def test_nothing_annotated_gives_a_zero_without_gradient():
    x, y, annotation = images(4)
    got = value(conv_net(), x, y, torch.zeros_like(annotation))
    assert got.item() == 0
    assert not got.requires_grad


def test_without_a_forward_pass_there_is_no_penalty():
    _, y, annotation = images(4)
    with SaliencyPenalty().watch(conv_net()) as watch:
        pass
    with pytest.raises(RuntimeError, match="was not called"):
        watch.penalty(y, annotation)


def test_a_linear_model_explained_by_a_logit_of_a_frozen_layer_is_dead():
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    x = torch.randn(2, 3)
    with pytest.raises(DeadPenaltyError, match="no gradient path"):
        value(model, x, torch.tensor([0, 1]), -torch.ones(2, 3), InputGradient("target_logit"))


def test_annotations_are_checked():
    x, y, _ = images(2)
    with pytest.raises(ValueError, match=r"The batch of annotations has values.*\[-1, 1\]"):
        value(conv_net(), x, y, torch.stack([torch.zeros(1, 8, 8), torch.full((1, 8, 8), 2.0)]))


# The spread of the inputs


def test_spread_is_the_standard_deviation_over_all_batches_so_far():
    spread = InputSpread()
    first, second = torch.randn(5, 3, 4, 4), 7 * torch.randn(9, 3, 4, 4) + 100
    for batch in (first, second):
        spread.update(batch, torch.ones(len(batch), dtype=torch.bool))
    together = torch.cat([first, second]).transpose(0, 1).flatten(1)
    assert torch.allclose(spread(first).flatten(), together.std(1, unbiased=False), rtol=1e-5)


def test_spread_counts_annotated_samples_only_and_not_their_neighbours_nan():
    spread, inputs = InputSpread(), torch.randn(4, 2)
    inputs[3] = float("nan")
    spread.update(inputs, torch.tensor([True, True, True, False]))
    assert torch.allclose(spread(inputs).flatten(), inputs[:3].std(0, unbiased=False))


def test_a_channel_that_does_not_vary_has_no_spread():
    spread = InputSpread()
    spread.update(torch.full((4, 1), 1234.5678), torch.ones(4, dtype=torch.bool))
    assert spread(torch.zeros(1, 1)).item() == 0.0


def test_spread_is_restored_from_a_checkpoint():
    penalty, again = SaliencyPenalty(), SaliencyPenalty()
    penalty.spread.update(torch.randn(8, 2), torch.ones(8, dtype=torch.bool))
    again.load_state_dict(penalty.state_dict())
    assert torch.equal(again.spread(torch.zeros(1, 2)), penalty.spread(torch.zeros(1, 2)))


def test_losses_can_be_used_by_themselves():
    assert RightForRightReasons()(torch.ones(1, 2), -torch.ones(1, 2)).item() == 2.0
