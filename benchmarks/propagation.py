"""How well marks are carried over, by how many samples somebody looked at.

Run:  python -m benchmarks.propagation --data FOLDER [--shares 0.01,0.02,0.1] [--cases ruler,patch] [--seed 0] [--threads 2]

FOLDER holds ``cifar10``, ``mnist``, ``fashion-mnist`` and ``waterbirds`` as the recipes read them. Shortcuts with known masks
are put onto the images (``benchmarks/shortcuts.py``); a random share of the samples is looked at. The IoU is counted over the
pixels of all others; ``told`` is what held-out samples said of it before. ``missed`` is the share of the others' regions of
which nothing was found, ``invented`` that of samples without one on which something was.
"""

import argparse
import time
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from benchmarks.shortcuts import CASES, Marked
from salreg import AnnotatedDataset
from salreg.propagation import Propagated, PropagationError, propagate


def measure(shortcut: Marked, share: float, seed: int) -> str:
    """One row of the table."""
    images, masks = shortcut
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).tolist()
    looked_at, rest = order[: round(share * len(images))], order[round(share * len(images)) :]
    annotations = {index: -masks[index].to(torch.int8) for index in looked_at}
    marked = sum(bool(masks[index].any()) for index in looked_at)
    started = time.monotonic()
    try:
        found = propagate(AnnotatedDataset(TensorDataset(images), annotations), seed=seed, progress=False)
    except PropagationError as error:
        return f"{len(looked_at):6} {marked:6}   {error}"
    seconds = time.monotonic() - started
    assert found.quality is not None
    return f"{len(looked_at):6} {marked:6} {found.quality.iou:6.3f} {_scores(found, shortcut, rest)} {seconds:6.0f} s"


def _scores(found: Propagated, shortcut: Marked, rest: list[int]) -> str:
    both = either = missed = invented = present = 0
    for index in rest:
        marks, mask = found.annotations[index] < 0, shortcut.masks[index]
        both += int((marks & mask).sum())
        either += int((marks | mask).sum())
        present += bool(mask.any())
        missed += bool(mask.any()) and not marks.any()
        invented += bool(marks.any()) and not mask.any()
    absent = len(rest) - present
    return f"{both / either:6.3f} {missed / present:8.4f} {f'{invented / absent:8.4f}' if absent else '       -'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--shares", default="0.01,0.02,0.1", help="of the samples that somebody looked at")
    parser.add_argument("--cases", default="", help="parts of their names, separated by commas; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{'':36} {'looked':>6} {'marked':>6} {'told':>6} {'IoU':>6} {'missed':>8} {'invented':>8} {'time':>8}")
    for share in map(float, options.shares.split(",")):
        for name, make in CASES.items():
            if any(part in name for part in options.cases.split(",")):
                print(f"{name:36} {measure(make(options.data), share, options.seed)}", flush=True)


if __name__ == "__main__":
    main()
