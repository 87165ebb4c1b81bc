"""The catalogue: every preset, and every attribution with every loss, with measurements of each.

Run: ``python -m benchmarks.catalogue``, which writes ``docs/catalogue.md``.

Measured on smooth networks of a few hundred parameters in float64: whether the penalty's gradient agrees with central finite
differences in every parameter tensor (so that it is non-zero exactly where the penalty depends on the parameter), how many
forward and backward passes a penalised step takes, and whether it needs second derivatives.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy

from salreg import attributions, losses, presets
from salreg.attributions import AttentionAttribution, Attribution
from salreg.penalties import Penalty, SaliencyPenalty
from salreg.penalties.base import Watch

PAGE = Path(__file__).parent.parent / "docs" / "catalogue.md"
SIDE, CLASSES = 8, 3


# Networks


class Meter(torch.autograd.Function):
    """The identity, which counts the rows that pass through it, forward and in backward passes of any order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: dict[str, float], kind: str) -> Tensor:
        ctx.counts = counts
        counts[kind] += len(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return Meter.apply(gradient, ctx.counts, "backward"), None, None


class OnceTanh(torch.autograd.Function):
    """Tanh without a second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x.tanh())
        return x.tanh()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * (1 - ctx.saved_tensors[0].square())


class Once(nn.Tanh):
    """A layer that contextual decomposition treats as a Tanh, and that has no second derivative."""

    def forward(self, x: Tensor) -> Tensor:
        return OnceTanh.apply(x)


class ConvNet(nn.Sequential):
    def __init__(self, activation: Callable[[], nn.Module] = nn.Tanh) -> None:
        super().__init__(
            nn.Conv2d(1, 4, 3, padding=1), activation(), nn.Conv2d(4, 4, 3), activation(), nn.Flatten(),
            nn.Linear(4 * (SIDE - 2) ** 2, CLASSES),
        )  # fmt: skip


class VisionTransformer(nn.Module):
    """Four patches of 4 x 4 pixels and a class token, two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, SIDE // 2, stride=SIDE // 2)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        layers = (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation="gelu", batch_first=True) for _ in range(2))
        self.encoder = nn.Sequential(*layers)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.encoder(torch.cat([self.token.expand(len(x), -1, -1), tokens], 1))[:, 0])


def network(attribution: Attribution | None = None) -> nn.Module:
    """The network on which an attribution is checked."""
    torch.manual_seed(1)
    return (VisionTransformer() if isinstance(attribution, AttentionAttribution) else ConvNet()).double()


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Images ``(6, 1, 8, 8)``, classes, and annotations with both kinds of marks; the last annotation marks nothing."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(6, 1, SIDE, SIDE, generator=generator, dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    marks = torch.zeros(6, 1, SIDE, SIDE)
    marks[:5, :, :3, :3] = -1
    marks[:5, :, 4:7, 2:6] = 1
    return x, y, marks


# Measurements


@dataclass
class Checked:
    """A penalty's gradient, parameter by parameter.

    Attributes:
        value: The penalty.
        error: The largest relative difference from finite differences over the parameters.
        reached: Names of the parameters in which the gradient is not zero.
        dependent: Names of the parameters on which the penalty depends by finite differences.
    """

    value: float
    error: float
    reached: list[str]
    dependent: list[str]

    @property
    def alive(self) -> bool:
        return self.error < 1e-3 and bool(self.reached) and self.reached == self.dependent


def measured(penalties: Sequence[Penalty], model: nn.Module, data: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Penalties ``(P,)`` at their first step, including their random draws; several have one attribution, whose map is computed
    once."""
    x, y, marks = data
    copies = deepcopy(list(penalties))
    if len(copies) > 1:
        _explain_once(copies[0].attribution)
    with copies[0].watch(model) as watch:
        model(x)
    return torch.stack([Watch(one, watch.recording).penalty(y, marks) for one in copies])


def _explain_once(attribution: Any) -> None:
    explain, made = attribution.explain, []

    def remembered(*args: Any, **options: Any) -> Tensor:
        if not made:
            made.append(explain(*args, **options))
        return made[0]

    attribution.explain = remembered


def check(penalty: Penalty, model: nn.Module) -> Checked:
    """Compare a penalty's gradient with finite differences along a random direction in each parameter tensor.

    A large step may cross a kink, and a small one is lost in rounding errors, so both are tried.
    """
    return check_together([penalty], model)[0]


def check_together(penalties: Sequence[Penalty], model: nn.Module) -> list[Checked]:
    """The same of several penalties that have one attribution, in a fraction of the time."""
    found = _check(penalties, model, 1e-5)
    for number, (penalty, checked) in enumerate(zip(penalties, found, strict=True)):
        if not checked.alive:
            found[number] = min([checked, *_check([penalty], model, 1e-7)], key=lambda one: one.error)
    return found


def _check(penalties: Sequence[Penalty], model: nn.Module, step: float) -> list[Checked]:
    data, generator = batch(), torch.Generator().manual_seed(7)
    named = dict(model.named_parameters())
    values = measured(penalties, model, data)
    gradients = [
        torch.autograd.grad(value, list(named.values()), allow_unused=True, retain_graph=True, materialize_grads=True)
        for value in values
    ]
    derivatives, differences = [], []  # by parameter and penalty
    for number, parameter in enumerate(named.values()):
        direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        derivatives.append([(of_one[number] * direction).sum().item() for of_one in gradients])
        ends = []
        for sign in (1, -1):
            parameter.data += sign * step * direction
            ends.append(measured(penalties, model, data).detach())
            parameter.data -= sign * step * direction
        differences.append(((ends[0] - ends[1]) / (2 * step)).tolist())
    return [
        _compared(value.item(), dict(zip(named, analytic, strict=True)), dict(zip(named, numeric, strict=True)))
        for value, analytic, numeric in zip(values, zip(*derivatives, strict=True), zip(*differences, strict=True), strict=True)
    ]


def _compared(value: float, derivatives: dict[str, float], differences: dict[str, float]) -> Checked:
    scale = max(map(abs, differences.values()))
    return Checked(
        value=value,
        error=max(abs(derivatives[name] - differences[name]) for name in derivatives) / max(scale, 1e-12),
        reached=[name for name in derivatives if abs(derivatives[name]) > 1e-5 * scale],
        dependent=[name for name in derivatives if abs(differences[name]) > 1e-5 * scale],
    )


def passes(penalty: Penalty) -> tuple[float, float]:
    """Forward and backward passes of a penalised training step, in batches through the network."""
    counts = {"forward": 0.0, "backward": 0.0}
    model = network(penalty.attribution)
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    hook = first.register_forward_hook(lambda _m, _a, out: Meter.apply(out, counts, "forward"))
    x, y, marks = batch()
    with penalty.watch(model) as watch:
        logits = model(x)
    (cross_entropy(logits, y) + watch.penalty(y, marks)).backward()
    hook.remove()
    return counts["forward"] / len(x), counts["backward"] / len(x)


def needs_second_derivative(penalty: Penalty) -> bool:
    """Whether the penalty fails on a network that can be differentiated once only."""
    if isinstance(penalty.attribution, AttentionAttribution):
        return penalty.attribution.needs_gradients
    torch.manual_seed(1)
    model = ConvNet(Once).double()
    try:
        measured([penalty], model, batch()).sum().backward()
    except RuntimeError as error:
        if "once_differentiable" not in str(error):
            raise
        return True
    return False


# What is measured


def preset_penalties() -> dict[str, Penalty]:
    """Every preset; a direction that is estimated during training is given here, because the gradient holds it constant."""
    options = {"rr_clarc": {"direction": [1.0, -1.0, 0.5, 0.0]}}
    return {name: presets.resolve({"name": name, **options.get(name, {})}) for name in presets.NAMED}


@cache
def checked_preset(name: str) -> Checked:
    """The gradient of a preset, for the page and its test."""
    penalty = preset_penalties()[name]
    return check(penalty, network(penalty.attribution))


def trainable_attributions() -> dict[str, Attribution]:
    """Every attribution, small enough to be checked with every loss."""
    groups = torch.arange(SIDE * SIDE).view(SIDE, SIDE) // 16
    small: dict[str, dict[str, Any]] = {
        "smooth_grad": {"samples": 2}, "var_grad": {"samples": 2}, "integrated_gradients": {"steps": 3},
        "occlusion": {"window": 4}, "rise": {"masks": 6, "cells": 2}, "feature_ablation": {"groups": groups},
        "contextual_decomposition": {"groups": groups},
    }  # fmt: skip
    return {name: make(**small.get(name, {})) for name, make in attributions.NAMED.items()}


def pairs() -> list[tuple[str, str, SaliencyPenalty]]:
    """Every attribution with every loss."""
    return [
        (attribution, loss, SaliencyPenalty(made, losses.resolve(loss)))
        for attribution, made in trainable_attributions().items()
        for loss in losses.NAMED
    ]


def dead_pairs(attribution: str) -> list[str]:
    """The losses under which the gradient of an attribution is wrong."""
    mine = {loss: penalty for name, loss, penalty in pairs() if name == attribution}
    found = check_together(list(mine.values()), network(next(iter(mine.values())).attribution))
    return [loss for loss, checked in zip(mine, found, strict=True) if not checked.alive]


# The page


def page() -> str:
    """``docs/catalogue.md``."""
    return "\n".join(
        [_HEADER, _presets(), _PAIRS, _pairs(), _LOSSES, _formulas(losses.NAMED), _MAPS, _formulas(attributions.NAMED)]
    )


_HEADER = """# The catalogue

`python -m benchmarks.catalogue` writes this page from the code, its docstrings and measurements; `pytest tests/benchmarks`
checks that it is up to date.

## Presets

A preset is chosen by `SaliencyRegularizer(preset="name")`. All gradients agree with central finite differences in float64 to
1e-3 in every parameter tensor, and are non-zero in exactly those that the penalty depends on ("reaches").

"Passes" are the forward and backward passes of a whole penalised training step, counted at the network's first layer; a plain
step is 1 + 1. A backward pass through a backward pass counts as one more. A map at the last convolution is differentiated twice
only through the layers after it, which these counts do not show.

"2nd" says whether second derivatives are needed: presets without them also train networks that can be differentiated only once.

| preset | penalty | marks | passes | 2nd | reaches | source |
| --- | --- | --- | --- | --- | --- | --- |"""

_PRESET_FORMULAS = """
The value of one sample; the penalty is the mean over the samples that carry the marks. Where a map M enters, its formula stands
below; at the input its gradient is multiplied by the input's standard deviation.
"""

_PAIRS = """
## Attributions and losses

Every attribution can be combined with every loss: `SaliencyRegularizer(attribution=..., loss=...)`. ● means that the gradient
agrees with finite differences and is non-zero in exactly the parameters that the penalty depends on. There is no other sign: a
pair that fails stops this page from being written.

A pair whose gradient is correct need not make sense: losses towards the relevant marks need maps that can be read as evidence
(CAMs, input times gradient, attention), and a loss that normalises a non-negative map can be evaded by a map that is zero
everywhere, which is counted as undefined.
"""

_LOSSES = """
## Losses
"""

_MAPS = """
## Attributions
"""


def _presets() -> str:
    rows = []
    for name, penalty in preset_penalties().items():
        checked, model = checked_preset(name), network(penalty.attribution)
        assert checked.alive, f"{name}: {checked}"
        forward, backward = passes(deepcopy(penalty))
        reached = f"{len(checked.reached)} of {len(list(model.parameters()))}"
        second = "yes" if needs_second_derivative(deepcopy(penalty)) else "no"
        source = (inspect.getdoc(presets.NAMED[name]) or "").split("\n\n")[0].replace("\n", " ")
        rows.append(
            f"| `{name}` | {penalty} | {penalty.needed_marks} | {forward:g} + {backward:g} | {second} | {reached} | {source} |"
        )
    return "\n".join(rows)


def _pairs() -> str:
    names = list(losses.NAMED)
    lines = [f"| | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    lines += [f"| `{attribution}` |{' ● |' * len(names)}" for attribution in attributions.NAMED]
    return "\n".join(lines)


def _preset_formulas() -> str:
    parts = []
    for name, penalty in preset_penalties().items():
        if isinstance(penalty, SaliencyPenalty):
            made_of = [_formula(penalty.loss), _formula(penalty.attribution)]
        else:
            made_of = [_formula(penalty)]
        parts.append(f"- `{name}`\n{''.join(made_of)}")
    return "\n".join(parts)


def _formulas(named: dict[str, Any]) -> str:
    """The summary and formula of each, from its docstring."""
    parts = []
    for name, one in named.items():
        summary = (inspect.getdoc(one) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
        parts.append(f"- `{name}` ({one.__name__}): {summary}{_formula(one)}")
    return "\n".join(parts) + "\n"


def _formula(documented: Any) -> str:
    """The first formula of a docstring, as a block; a class without one uses its base's."""
    kind = documented if isinstance(documented, type) else type(documented)
    for one in kind.__mro__:
        found = re.search(r"\.\. math:: (.*?)(?:\n\n|$)", inspect.cleandoc(one.__dict__.get("__doc__") or ""), re.DOTALL)
        if found:
            return f"\n\n```math\n{' '.join(found.group(1).split())}\n```\n"
    return ""


if __name__ == "__main__":
    for attribution in attributions.NAMED:
        assert not dead_pairs(attribution), f"{dead_pairs(attribution)} of {attribution}"
    PAGE.write_text(page(), "utf-8")
    print(f"Wrote {PAGE.name}")
