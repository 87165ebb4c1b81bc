"""Ways to train a step: plainly, with salreg's penalty, and with the penalty as it is usually published."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from benchmarks.models import Batch
from salreg import SaliencyPenalty
from salreg.attributions import GradCAM, InputGradient
from salreg.differentiation import FiniteDifference
from salreg.interventions import Intervention
from salreg.penalties import Penalty
from salreg.scores import Sequence

#: The loss of a step.
Loss = Callable[[nn.Module, Batch], Tensor]


def plain(model: nn.Module, batch: Batch) -> Tensor:
    return cross_entropy(logits_of(model(batch.x)), batch.y)


def second_forward(model: nn.Module, batch: Batch) -> Tensor:
    """Ross et al.'s penalty with a forward pass of its own, written from the formula."""
    loss = plain(model, batch)
    leaf = batch.x.clone().requires_grad_()
    log_p = log_softmax(logits_of(model(leaf)), dim=1)
    (gradient,) = torch.autograd.grad(log_p.sum(), leaf, create_graph=True)
    return loss + ((batch.annotation < 0) * gradient).square().flatten(1).sum(1).mean()


def with_penalty(penalty: Penalty, alone: bool = False) -> Loss:
    """The plain loss and the penalty, or the penalty alone."""

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        with penalty.watch(model, batch.annotation, batch.y) as watch:
            logits = logits_of(model(batch.x))
        added = watch.penalty(batch.y, batch.annotation)
        return added if alone else cross_entropy(logits, batch.y) + added

    return loss


def exact(alone: bool = False) -> Loss:
    return with_penalty(SaliencyPenalty(differentiation="exact"), alone)


def one_graph(alone: bool = False) -> Loss:
    """Compiled together with the forward pass."""
    return with_penalty(SaliencyPenalty(compile=True), alone)


def differences(sides: int = 1, alone: bool = False) -> Loss:
    how = FiniteDifference(sides=sides, allow_kinks=True, check_every=0)
    return with_penalty(SaliencyPenalty(differentiation=how), alone)


def every_fourth() -> Loss:
    """``SaliencyRegularizer(every_n_steps=4)``."""
    penalised, steps = exact(), iter(range(10**9))

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return (plain if next(steps) % 4 else penalised)(model, batch)

    return loss


def grad_cam() -> Loss:
    """At the last convolution: only the head is differentiated twice."""
    return with_penalty(SaliencyPenalty(GradCAM(), "energy"))


def logits_of(output: Any) -> Tensor:
    logits: Tensor = getattr(output, "logits", output)
    return logits


def next_token(model: nn.Module, batch: Batch) -> Tensor:
    """The plain loss of a language model, whose labels are those of the next place."""
    return cross_entropy(logits_of(model(input_ids=batch.x)).flatten(0, 1), batch.y.flatten())


def next_token_intervened() -> Loss:
    """The same on texts in which the marked words are another text's."""
    intervention = Intervention(padding_token=0)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        changed = intervention({"input_ids": batch.x, "labels": batch.y}, batch.annotation)
        return next_token(model, Batch(changed.sample["input_ids"], changed.sample["labels"], changed.annotation))

    return loss


def next_token_penalised(differentiation: FiniteDifference | Literal["exact"]) -> Loss:
    """The same and a penalty on the answer's log-probability at the marked words."""
    penalty = SaliencyPenalty(InputGradient(Sequence()), differentiation=differentiation)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        with penalty.watch(model, batch.annotation, batch.y) as watch:
            task = next_token(model, batch)
        return task + watch.penalty(batch.y, batch.annotation)

    return loss


def intervened() -> Loss:
    """The plain loss on samples in which what is marked tells nothing; somebody looked at all of them."""
    intervention = Intervention(padding_token=0)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        changed = intervention(batch.x, batch.annotation, torch.ones(len(batch.x), dtype=torch.bool, device=batch.x.device))
        return plain(model, Batch(changed.sample, batch.y, changed.annotation))

    return loss
