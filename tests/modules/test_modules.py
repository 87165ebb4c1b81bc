"""Modules in the patterns of other people: each trains, unchanged where nothing is penalised, and as written by hand where
something is; or it is refused with a remedy that works."""

import functools
import warnings
from typing import Any, NamedTuple

import lightning.pytorch
import pytest
import pytorch_lightning
import torch
from modules import batches, images, losses, losses_by_hand, networks, operators, series, training
from modules.pattern import SAMPLES, Pattern, base, pairs, perceptron
from support import same
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid, poisson_nll_loss

from salreg.annotations import is_annotated, places
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots, snapshots
from salreg.callbacks.sinks import Files, Page
from salreg.interventions import Intervention
from salreg.metrics.functional.predictions import predicted_classes

PACKAGES = {"pytorch_lightning": pytorch_lightning, "lightning.pytorch": lightning.pytorch}
_KINDS = (images, networks, losses, losses_by_hand, batches, series, training, operators)
PATTERNS = [pattern for kind in _KINDS for pattern in kind.PATTERNS]
WEIGHT = 1e-3


class Trained(NamedTuple):
    """What came of a training."""

    module: Any
    penalty: float | None
    draws: Tensor
    metrics: dict[str, float]
    said: str


@pytest.fixture(params=PACKAGES)
def package(request):
    return request.param


def _cases(check: str, patterns: list[Pattern]) -> list[Any]:
    return [
        pytest.param(
            pattern,
            id=pattern.name,
            marks=[pytest.mark.xfail(strict=True, reason=pattern.faults[check])] if check in pattern.faults else [],
        )
        for pattern in patterns
    ]


@pytest.mark.parametrize("pattern", _cases("unchanged", [one for one in PATTERNS if not one.refused_at_any_weight]))
def test_at_weight_zero_the_training_is_that_without_salreg(pattern, package):
    ours, theirs = trained(pattern, package, 0.0), trained(pattern, "pytorch_lightning", None)
    assert same(ours.module, theirs.module)
    assert not same(ours.module, _fresh(pattern, PACKAGES[package]))
    assert theirs.metrics.items() <= ours.metrics.items()


@pytest.mark.parametrize("pattern", _cases("penalty", [one for one in PATTERNS if not one.refused]))
def test_the_first_penalty_is_that_written_by_hand(pattern, package):
    ours = trained(pattern, package, WEIGHT)
    assert ours.penalty is not None
    assert ours.penalty > 0
    if pattern.sees is not None:
        assert ours.penalty == pytest.approx(penalty_by_hand(pattern, package, ours.draws), rel=1e-4)


@pytest.mark.parametrize(
    "pattern", _cases("reliance", [one for one in PATTERNS if one.reliance and one.sees and not one.refused])
)
def test_reliance_is_that_measured_by_hand_on_what_the_network_sees(pattern, package):
    ours = trained(pattern, package, 0.0)
    expected = reliance_by_hand(pattern, ours.module)
    assert expected > 0
    assert ours.metrics["val/reliance"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("pattern", _cases("refused", [one for one in PATTERNS if one.refused]))
def test_what_is_refused_works_with_the_remedy(pattern, package):
    with pytest.raises((RuntimeError, ValueError, TypeError), match=pattern.refused):
        _train(pattern, package, WEIGHT)
    cured = pattern._replace(**pattern.remedy)
    ours = _train(cured, package, WEIGHT)
    assert ours.penalty is not None
    assert ours.penalty > 0
    if cured.sees is not None:
        assert ours.penalty == pytest.approx(penalty_by_hand(cured, package, ours.draws), rel=1e-4)


@pytest.mark.parametrize("pattern", _cases("monitors", [one for one in PATTERNS if not one.refused_at_any_weight]))
def test_monitors_measure_and_draw_or_say_once_why_not(pattern, package):
    said = trained(pattern, package, 0.0).said.splitlines()
    if not pattern.refused and not pattern.unmeasured:
        said += trained(pattern, package, WEIGHT).said.splitlines()
    measured = [line for line in said if "SaliencyMetrics measures nothing" in line]
    drawn = [line for line in said if "saliency snapshot" in line]
    assert len(measured) == bool(pattern.unmeasured)
    assert bool(drawn) == bool(pattern.unmeasured)
    assert all(pattern.unmeasured in line for line in measured + drawn)


@pytest.mark.parametrize("link", [None, "regression"])
def test_what_a_loss_does_not_tell_is_said_once_until_somebody_tells_it(link):
    def poisson(package):
        class Module(base(package)):
            def loss(self, batch):
                x, y = batch
                return poisson_nll_loss(self(x).squeeze(1), y.float())

        return Module(perceptron(1))

    pattern = Pattern(poisson, pairs(), losses_by_hand._net, link="regression", options={"link": link})
    ours = _train(pattern, "pytorch_lightning", 0.0)
    assert ours.said.count("does not tell how it reads") == (link is None)
    assert ("val/output_spread" in ours.metrics) == (link is not None)
    if link is not None:
        assert ours.metrics["val/reliance"] == pytest.approx(reliance_by_hand(pattern, ours.module), abs=1e-6)


# Training


@functools.cache
def _cached(name: str, package: str, weight: float | None) -> Trained:
    return _train(next(one for one in PATTERNS if one.name == name), package, weight)


def trained(pattern: Pattern, package: str, weight: float | None) -> Trained:
    """A training with all three callbacks, or without salreg, made once for all tests."""
    return _cached(pattern.name, package, weight)


def _fresh(pattern: Pattern, package: Any) -> Any:
    torch.manual_seed(0)
    return pattern.make(package)


def _train(pattern: Pattern, name: str, weight: float | None) -> Trained:
    """Train for one epoch, without salreg where there is no weight."""
    package, seen = PACKAGES[name], {}

    class First(package.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.setdefault("draws", torch.get_rng_state())

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.setdefault("penalty", trainer.callback_metrics.get("salreg/penalty"))

    module, salreg = _fresh(pattern, package), weight is not None
    callbacks = [First(), *([] if pattern.callbacks is None else pattern.callbacks(package))]
    if salreg:
        callbacks += [
            SaliencyRegularizer(intervene=False, weight=weight, **pattern.options, **pattern.regularizer),
            SaliencySnapshots(panel=2, sanity=False, probes=[], **pattern.options),
            SaliencyMetrics(**pattern.options),
        ]
    # Pictures take most of the time, and depend on the samples alone.
    drawn = (
        salreg
        and not weight
        and (any(pattern.name == one.name for one in series.PATTERNS) or pattern.make is images.lightning_tutorial)
    )
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    short = (
        {"limit_train_batches": 1, "num_sanity_val_steps": 0}
        if weight
        else {"num_sanity_val_steps": int(bool(pattern.unmeasured))}
    )
    trainer = package.Trainer(max_epochs=1, accelerator="cpu", callbacks=callbacks, **short, **quiet)
    with warnings.catch_warnings(record=True) as caught, pytest.MonkeyPatch.context() as patch:
        for owner, method in () if drawn else ((snapshots, "paint"), (Files, "write"), (Page, "write")):
            patch.setattr(owner, method, lambda *_: None)
        warnings.simplefilter("always")
        torch.manual_seed(1)
        if pattern.fit is not None:
            trainer.fit(module, **pattern.fit(package, salreg))
        else:
            data = pattern.data.loader(salreg, 8) if pattern.loaders is None else pattern.loaders(package, salreg)
            trainer.fit(module, data, pattern.data.loader(salreg, SAMPLES))
    penalty = seen.get("penalty")
    metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
    said = "\n".join(str(one.message).replace("\n", " ") for one in caught)
    return Trained(module, None if penalty is None else float(penalty), seen["draws"], metrics, said)


# By hand

_SCORES = {
    "softmax": lambda logits: log_softmax(logits, 1),
    "sigmoid": lambda logits: logsigmoid(logits) + logsigmoid(-logits),
    "regression": lambda outputs: outputs,
}


def penalty_by_hand(pattern: Pattern, package: str, draws: Tensor) -> float:
    """The gradient of the sum of log-probabilities at the batch's own input, times the input's spread, squared on the marks."""
    module = _fresh(pattern, PACKAGES[package]).train()
    batch = next(iter(pattern.data.loader(True, 8)))
    leaf = pattern.input(module, batch.sample).detach().clone().requires_grad_()
    torch.set_rng_state(draws)
    logits = pattern.sees(module, leaf, batch.sample)
    scores = _SCORES[pattern.link](logits)
    (gradient,) = torch.autograd.grad(scores.flatten(2).mean(2).sum() if scores.ndim > 2 else scores.sum(), leaf)
    annotation = batch.annotation
    marked = is_annotated(annotation)
    by_place = (
        leaf.ndim == 3 and annotation.shape == leaf.shape and leaf.shape[1] > 1
    )  # it is not known which axis is the channels
    rest = [0] if by_place else [axis for axis in range(leaf.ndim) if axis != 1]
    spread = leaf.detach()[marked].double().std(rest, correction=0, keepdim=True)
    marks = annotation * places(annotation)
    marks = marks.unsqueeze(1) if marks.ndim < leaf.ndim else marks
    return float((gradient * spread * marks).square().flatten(1).sum(1)[marked].mean())


def reliance_by_hand(pattern: Pattern, module: Any) -> float:
    """The worst share of predictions that change when the marked content is exchanged, taken away or put in; of a regression
    how far its outputs move, in units of their spread."""
    module.eval()
    batch = next(iter(pattern.data.loader(True, SAMPLES)))
    marked = batch.annotation.flatten(1).amin(1) < 0
    intervention, shares = Intervention(seed=0), []

    def classes(sample: Any) -> Tensor:
        with torch.no_grad():
            logits = pattern.sees(module, pattern.input(module, sample), sample)
            if pattern.link == "regression":
                return logits.flatten(1) if logits.ndim > 1 else logits.unsqueeze(1)
            return predicted_classes(logits).unsqueeze(1) if pattern.link == "softmax" else logits > 0

    before = classes(batch.sample)
    for present, kinds in ((True, (marked, ~marked)), (False, (marked,))):
        made = intervention.with_presence(present, batch.sample, batch.annotation, batch.looked_at)
        after = classes(made.sample)
        moved = ((after - before).abs() / before.std(0, correction=0)).mean(1) if pattern.link == "regression" else None
        changed = (after != before).any(1).float() if moved is None else moved
        shares += [changed[made.done & kind].mean() for kind in kinds if (made.done & kind).any()]
    return float(torch.stack(shares).max())
