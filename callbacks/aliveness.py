"""The first penalty of a training must be able to change the model."""

from itertools import takewhile

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from salreg.differentiation import sharded_parts
from salreg.penalties import gradient_norms
from salreg.taps import Recording


def check_alive(loss: Tensor, penalty: Tensor, recording: Recording, module: pl.LightningModule) -> None:
    """Once: the penalty's gradient must reach parameters, and the loss must depend on the logits that were explained."""
    if loss.requires_grad and not (recording.found is not None and recording.found.is_derived):
        logits = recording.require_logits()
        if torch.autograd.grad(loss, logits, retain_graph=True, allow_unused=True)[0] is None:
            raise RuntimeError(
                "The training loss does not depend on the explained logits, so another forward pass must be training the "
                "model. Name the module whose output is the logits with forward_module='...'."
            )
    norms = gradient_norms(penalty, parts_of(module))
    reached = ", ".join(f"{name} {norm:.3g}" for name, norm in norms.items() if norm)
    rank_zero_info(f"salreg: gradient norm of the first penalty ({float(penalty.detach()):.3g}): {reached}")
    missed = [name for name, norm in norms.items() if not norm]
    if missed:
        rank_zero_warn(f"The saliency penalty's gradient does not reach: {', '.join(missed)}.")


def parts_of(module: pl.LightningModule) -> dict[str, list[Tensor]]:
    """The trainable parameters by the part of the module that they belong to, one level below what all have in common."""
    named = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    known = {id(parameter) for parameter in named.values()}
    paths = [name.split(".") for name in named]
    common = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*(path[:-1] for path in paths), strict=False)))
    parts: dict[str, list[Tensor]] = {}
    for path, parameter in zip(paths, named.values(), strict=True):
        parts.setdefault(".".join(path[: common + 1]), []).append(parameter)
    optimized = [p for optimizer in module.trainer.optimizers for group in optimizer.param_groups for p in group["params"]]
    hidden = [p for p in optimized if id(p) not in known and p.requires_grad]  # of a module kept in a plain list
    if sharded_parts(module):  # the optimizer has shards of what the module holds now
        hidden = []
    return {**parts, **({"parameters that only the optimizer knows": hidden} if hidden else {})}
