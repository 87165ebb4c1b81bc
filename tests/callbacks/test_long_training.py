"""Hundreds of steps leave nothing behind: no tensors, no hooks, no memory."""

import gc
import os
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from support import Lit, conv_net, fit, fresh, regularizer


def hooks_of(module):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(part, kind)) for part in module.modules() for kind in kinds)


class Census(pl.Callback):
    """What is alive after so many steps: tensors, autograd nodes, hooks; and the process's memory."""

    def __init__(self, *steps):
        self.steps, self.counts, self.megabytes = steps, [], []

    def on_train_batch_end(self, trainer, module, *_):
        if trainer.global_step in self.steps:
            gc.collect()
            alive = gc.get_objects()
            tensors = sum(issubclass(type(one), torch.Tensor) for one in alive)
            nodes = sum(issubclass(type(one), torch.autograd.graph.Node) for one in alive)
            self.counts.append({"tensors": tensors, "nodes": nodes, "hooks": hooks_of(module)})
            memory = Path("/proc/self/statm")  # Linux's
            pages = int(memory.read_text().split()[1]) if memory.exists() else 0
            self.megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


@pytest.mark.parametrize("way", ["exact", "finite_difference"])
def test_nothing_grows_over_hundreds_of_steps(way):
    census = Census(100, 250, 400)
    module = fresh(lambda: Lit(conv_net(smooth=True)))
    fit(module, regularizer(differentiation=way), census, epochs=-1, max_steps=400, limit_val_batches=0)
    assert len(census.counts) == 3
    first, _, last = census.counts
    assert all(last[kind] <= first[kind] for kind in first)  # fewer, where garbage of earlier tests was collected
    assert census.megabytes[2] - census.megabytes[1] < 3
