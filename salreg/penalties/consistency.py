"""Consistency: the model should get a sample right whatever its spurious region shows. First-order gradients suffice."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from salreg import annotations, attributions, checks, scores
from salreg.attributions import Attribution
from salreg.attributions.passes import gradients_at
from salreg.input_spread import InputSpread
from salreg.interventions.replacements import REPLACEMENTS, Replacement, replace
from salreg.losses.base import PerSample, misplaced
from salreg.penalties.base import Evaluated, Penalty
from salreg.rng import Rng
from salreg.taps import Recording


class ConsistencyPenalty(Penalty):
    r"""The task loss on samples in which the region that should not matter was changed.

    .. math:: L_i = \mathrm{CE}\big(f(\tilde x_i), y_i\big)

    The region is everything outside the relevant marks of a sample that has any, otherwise its spurious marks. It is changed by
    normal ``noise`` (CoRM) or projected gradient ascent on the loss (``pgd``, PGD-Ex), both from the family of Heo et al. 2023;
    by replacing it with ``uniform`` noise (CE, Teso & Kersting 2019); by ``shuffle``, which permutes its places; by a ``swap``
    with the same places of another sample; or by a ``transplant`` of the other sample's own region. IBP-Ex's bound propagation
    is left out: it needs a propagator for every kind of layer.

    It costs one more forward pass and its first-order backward pass; ``pgd`` adds one of each per step.

    Args:
        perturbation: ``noise``, ``uniform``, ``shuffle``, ``swap``, ``transplant`` or ``pgd``.
        strength: Standard deviation of the noise, or the largest change by ``pgd``, in standard deviations of the input.
        steps: Gradient steps of ``pgd``.
        seed: The seed of the random numbers; each step goes on drawing from the same sequence.

    Raises:
        ValueError: The perturbation is unknown, or a number is not positive.

    Example:
        >>> model = torch.nn.Linear(3, 2)
        >>> x, y, annotation = torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([[-1, 0, 0]] * 4)
        >>> with ConsistencyPenalty("noise").watch(model) as watch:
        ...     logits = model(x)
        >>> watch.penalty(y, annotation).backward()
    """

    def __init__(
        self,
        perturbation: Replacement | Literal["pgd"] = "noise",
        strength: float = 1.0,
        steps: int = 5,
        *,
        seed: int = 0,
    ) -> None:
        checks.number("(0, inf)", strength=strength)
        checks.whole(1, steps=steps)
        super().__init__()
        if perturbation not in (*REPLACEMENTS, "pgd"):
            raise ValueError(f"perturbation must be {', '.join(REPLACEMENTS)} or pgd, not {perturbation!r}.")
        if strength <= 0 or steps < 1:
            raise ValueError(f"strength ({strength}) must be above 0 and steps ({steps}) at least 1.")
        self.perturbation = perturbation
        self.strength = strength
        self.steps = steps
        self.spread = InputSpread()
        self.rng = Rng(seed)

    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        inputs = recording.activation(None).detach()
        annotation = annotations.align(annotation, inputs)
        annotated = annotations.is_annotated(annotation)
        self.spread.update(inputs, annotated)
        changed = self._changed(recording, inputs, misplaced(annotation), target)
        logits = recording.repeat(changed).require_logits()
        losses = scores.evaluate(scores.task_loss, logits, target, recording.link)
        return Evaluated(PerSample(losses, annotated, torch.zeros_like(annotated)), None, annotation)

    def state_dict(self) -> dict[str, Any]:
        return {"spread": self.spread.state_dict(), "rng": self.rng.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spread.load_state_dict(state["spread"])
        self.rng.load_state_dict(state["rng"])

    def __str__(self) -> str:
        return f"ConsistencyPenalty under {self.perturbation}"

    def _changed(self, recording: Recording, inputs: Tensor, region: Tensor, target: Tensor | None) -> Tensor:
        size = self.strength * self.spread(inputs)
        if self.perturbation != "pgd":
            return replace(inputs, region, self.perturbation, self.rng, size)
        limit = region * size
        change = limit * (2 * self.rng.uniform(inputs.shape, like=inputs) - 1)
        for _ in range(self.steps):
            gradient = gradients_at(recording, (inputs + change).unsqueeze(0), scores.task_loss, target, create_graph=False)[0]
            step = 2.5 / self.steps * limit * gradient.sign()  # can cross the whole range, as in Madry et al. 2018
            change = torch.clamp(change + step, -limit, limit)
        return inputs + change


class SaliencyGuided(Penalty):
    r"""Saliency-guided training (Ismail et al. 2021): the features that seem not to matter must not matter.

    .. math:: L_i = \mathrm{KL}\big(f(x_i) \,\Vert\, f(\tilde x_i)\big)

    where the given share of places with the least absolute saliency is replaced in x-tilde by uniform noise in the channel's
    range. It needs no annotation and no second derivative, and costs one more forward pass, its backward pass, and the map.

    It departs from the published code in taking the least *absolute* saliency (the default there is the least signed one), and
    in computing the map from the training's own forward pass rather than from another one in eval mode.

    Args:
        share: The share of places that are replaced, in (0, 1).
        attribution: The attribution that ranks the places; it must be at the input.
        seed: The seed of the noise; each step goes on drawing from the same sequence.

    Raises:
        ValueError: ``share`` is not inside (0, 1), or the attribution is at a layer.

    Example:
        >>> model = torch.nn.Linear(4, 2)
        >>> with SaliencyGuided().watch(model) as watch:
        ...     logits = model(torch.randn(3, 4))
        >>> watch.penalty(torch.tensor([0, 1, 0]), torch.zeros(3, 4)).backward()
    """

    needed_marks = "nothing"
    attribution: Attribution

    def __init__(self, share: float = 0.5, attribution: str | Attribution | None = None, *, seed: int = 0) -> None:
        checks.number("(0, 1)", share=share)
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"share must be more than 0 and less than 1, not {share}.")
        self.attribution = attributions.resolve(attribution or attributions.InputGradient("target_logit"))
        if self.attribution.layer is not None:
            raise ValueError("Saliency-guided training replaces places of the input: the attribution must be at the input.")
        self.share = share
        self.rng = Rng(seed)

    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        inputs, logits = recording.activation(None).detach(), recording.require_logits()
        saliency = self.attribution.explain(recording, target).detach()
        places = saliency.abs().sum(1, keepdim=True) if saliency.ndim > 2 else saliency.abs()
        least = places.flatten(1).argsort(1)[:, : round(self.share * places[0].numel())]
        region = torch.zeros_like(places).flatten(1).scatter_(1, least, 1).view_as(places)
        changed = recording.repeat(replace(inputs, region, "uniform", self.rng)).require_logits()
        before, after = (log_softmax(scores.classes_in_front(z, recording.link), dim=1) for z in (logits, changed))
        value = scores.over_places(kl_div(after, before, reduction="none", log_target=True).sum(1), target)
        every = torch.ones(len(value), dtype=torch.bool, device=value.device)
        annotation = annotations.align(annotation, saliency)
        return Evaluated(PerSample(value, every, ~every), saliency, annotation)

    def state_dict(self) -> dict[str, Any]:
        return {"rng": self.rng.state_dict(), "attribution": self.attribution.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rng.load_state_dict(state["rng"])
        self.attribution.load_state_dict(state["attribution"])
