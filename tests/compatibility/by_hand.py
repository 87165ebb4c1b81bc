"""Trainings in which the intervention or the second derivative is written by hand."""

import torch
from support import fresh, loader, trainer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, log_softmax
from two_processes import Interleaved

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
            logits = getattr(module, "logits", module.net)(x)
        loss = getattr(module, "criterion", cross_entropy)(logits, y)
        if weight and marked.any():
            (gradient,) = torch.autograd.grad(log_softmax(logits.float(), 1).sum(), x, create_graph=True)
            penalty = ((x * gradient * annotation.clamp(max=0)) ** 2).flatten(1).sum(1)[marked].mean()
            loss = loss + weight * penalty
        if module.automatic_optimization:
            return loss
        return module.update(loss)

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
