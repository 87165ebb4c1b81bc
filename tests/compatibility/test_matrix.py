"""Every cell of docs/compatibility.md, trained."""

import warnings
from pathlib import Path

import pytest
import torch
from compatibility.matrix import FEATURES, WAYS, table
from support import Interleaved, distance, fresh, loader, regularizer, trainer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, log_softmax

from salreg.attributions import InputTimesGradient
from salreg.callbacks import SaliencyRegularizer
from salreg.interventions import Intervention

WEIGHT = 30.0


def by_hand(module, weight, intervention=None):
    """A training step with the plain loss, on changed samples or with the penalty, differentiated twice."""

    def training_step(batch, batch_idx):
        (x, y), annotation = batch.sample, batch.annotation
        if intervention is not None:
            x = intervention(x, annotation, batch.looked_at).sample
        marked = annotation.flatten(1).any(1)
        x = x.clone().requires_grad_(weight > 0)
        with sdpa_kernel(SDPBackend.MATH):
            logits = module.net(x)
        loss = cross_entropy(logits, y)
        if weight and marked.any():
            (slope,) = torch.autograd.grad(log_softmax(logits.float(), 1).sum(), x, create_graph=True)
            penalty = ((x * slope * annotation.clamp(max=0)) ** 2).flatten(1).sum(1)[marked].mean()
            loss = loss + weight * penalty
        if module.automatic_optimization:
            return loss
        optimizer = module.optimizers()
        optimizer.zero_grad()
        module.manual_backward(loss)
        optimizer.step()
        return None

    return training_step


def trained(module, *callbacks, one_process=False, **options):
    torch.manual_seed(1)
    used = trainer(*callbacks, use_distributed_sampler=False, limit_val_batches=0, **options)
    if one_process or "devices" in options:
        used.fit(module, datamodule=Interleaved())
    else:
        used.fit(module, loader())
    return module


def written(feature, weight, intervention=None):
    """The module trained by hand: eagerly, and in one process."""
    module = fresh(feature.make)
    if hasattr(module, "_orig_mod"):
        module = module._orig_mod
    for part in module.modules():
        part._compiled_call_impl = None
    if hasattr(module.net, "_orig_mod"):
        module.net = module.net._orig_mod
    module.training_step = by_hand(module, weight, intervention)
    options = {} if feature.processes > 1 else feature.options()
    return trained(module, one_process=feature.processes > 1, **options)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name, feature in FEATURES.items() if not feature.refused])
def test_it_trains_like_a_step_written_by_hand(name, way):
    feature = FEATURES[name]
    expected, plain = written(feature, WEIGHT), written(feature, 0.0)
    callback = regularizer(attribution=InputTimesGradient("log_prob_sum"), weight=WEIGHT, **WAYS[way])
    if callback.penalty.way.compiled is not None:
        callback.penalty.way.compiled.backend = "aot_eager"  # compiles faster
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = trained(fresh(feature.make), callback, **feature.options())
    if callback.penalty.way.compiled is not None:
        assert not callback.penalty.way.compiled.problem
    changed = distance(expected, plain)
    assert changed > 1e-5
    assert distance(expected, ours) < feature.loose[way] * changed


@pytest.mark.parametrize("name", FEATURES)
def test_an_intervention_trains_like_a_step_written_by_hand(name):
    feature = FEATURES[name]
    plain = written(feature, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = trained(fresh(feature.make), SaliencyRegularizer(), **feature.options())
    assert distance(ours, plain) > 1e-5
    if feature.processes == 1:  # each process draws for itself
        assert distance(ours, written(feature, 0.0, Intervention())) < 0.05 * distance(ours, plain)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name, feature in FEATURES.items() if feature.refused])
def test_what_is_refused_says_what_to_change(name, way):
    feature = FEATURES[name]
    with pytest.raises((RuntimeError, ValueError), match=feature.refused[way]):
        trained(fresh(feature.make), regularizer(**WAYS[way]), **feature.options())


def test_the_page_is_what_was_tested():
    page = Path(__file__).parents[2] / "docs" / "compatibility.md"
    assert page.read_text("utf-8") == table(), "run `make compatibility`"
