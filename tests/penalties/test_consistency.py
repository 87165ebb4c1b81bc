"""The task loss on changed samples, against the formula."""

import copy

import pytest
import torch
from support import conv_net, images, noisy_net
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from salreg.attributions import GradCAM, InputGradient
from salreg.input_spread import InputSpread
from salreg.interventions.replacements import replace
from salreg.penalties import ConsistencyPenalty, SaliencyGuided

X, Y, MARKS = images(6)  # samples 0 and 3 are not annotated
ANNOTATED = [1, 2, 4, 5]


def value(penalty, model, x=X, marks=MARKS):
    with penalty.watch(model) as watch:
        model(x)
    return watch.penalty(Y, marks)


@pytest.mark.parametrize("perturbation", ["noise", "uniform", "shuffle", "swap", "transplant"])
def test_it_is_the_task_loss_of_the_annotated_samples_changed(perturbation):
    model, penalty = conv_net(), ConsistencyPenalty(perturbation, strength=2.0)
    spread = InputSpread()
    spread.update(X, MARKS.flatten(1).any(1))
    changed = replace(X, MARKS.abs(), perturbation, copy.deepcopy(penalty.rng), 2 * spread(X))
    torch.testing.assert_close(value(penalty, model), cross_entropy(model(changed)[ANNOTATED], Y[ANNOTATED]))


def test_the_outside_of_relevant_marks_is_changed_where_there_are_some():
    model, marks = conv_net(), torch.zeros(6, 1, 8, 8)
    marks[:, :, 2:6, 2:6] = 1
    penalty = ConsistencyPenalty("uniform")
    changed = replace(X, 1 - marks, "uniform", copy.deepcopy(penalty.rng))
    torch.testing.assert_close(value(penalty, model, marks=marks), cross_entropy(model(changed), Y))


def test_pgd_finds_a_worse_change_than_noise_of_the_same_size_and_stays_inside():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    seen = []
    model.register_forward_pre_hook(lambda _m, args: seen.append(args[0].detach()))
    penalty = ConsistencyPenalty("pgd", strength=0.5)
    worst = value(penalty, model)
    spread = float(penalty.spread(X))
    change = seen[-1] - X
    assert change.abs().max() <= 0.5 * spread * 1.0001
    assert not change[~MARKS.bool()].any()
    random = replace(X, MARKS.abs(), "noise", penalty.rng, 0.5 * spread)
    assert worst > cross_entropy(model(random)[ANNOTATED], Y[ANNOTATED])
    # On a linear model of two steps or more, the worst case is at a corner of the box.
    assert (change[ANNOTATED][MARKS[ANNOTATED].bool()].abs() / (0.5 * spread)).mean() > 0.9


def test_no_second_derivative_and_no_trace():
    model = noisy_net().train()
    before = copy.deepcopy(model.state_dict())
    with torch.random.fork_rng():
        model(X)
    after_one_pass, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    model.load_state_dict(before)
    penalty = ConsistencyPenalty("pgd", steps=2)
    with torch.random.fork_rng(), penalty.watch(model) as watch:
        model(X)
    watch.penalty(Y, MARKS).backward()
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), after_one_pass.values(), strict=True))
    assert torch.equal(torch.get_rng_state(), rng)


def test_draws_and_spread_are_in_the_checkpoint():
    model, one = conv_net(), ConsistencyPenalty()
    value(one, model)
    other = ConsistencyPenalty(seed=5)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert torch.equal(value(one, model), value(other, model))


def test_options_that_mean_nothing():
    with pytest.raises(ValueError, match="or pgd, not 'blur'"):
        ConsistencyPenalty("blur")
    with pytest.raises(ValueError, match="strength"):
        ConsistencyPenalty(strength=0)
    with pytest.raises(ValueError, match="share"):
        SaliencyGuided(share=1.0)
    with pytest.raises(ValueError, match="must be at the input"):
        SaliencyGuided(attribution=GradCAM("0"))


def test_saliency_guided_is_the_published_divergence():
    """x with the half of its pixels with the least absolute gradient replaced, prediction against prediction."""
    model, penalty = conv_net(smooth=True), SaliencyGuided(share=0.5)
    saliency = InputGradient("target_logit")(model, X, Y).abs().flatten(1)
    least = torch.stack([row <= row.sort().values[31] for row in saliency]).view_as(X).float()
    changed = replace(X, least, "uniform", copy.deepcopy(penalty.rng))
    expected = kl_div(log_softmax(model(changed), 1), model(X).softmax(1), reduction="batchmean")
    torch.testing.assert_close(value(penalty, model, marks=torch.zeros_like(MARKS)), expected)
