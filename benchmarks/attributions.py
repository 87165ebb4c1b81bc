"""Post-hoc attributions beside Captum's, and metrics beside Quantus's: the same values, and how long they take.

Run:  pip install -e ".[benchmark]" && python -m benchmarks.attributions [--rounds 5] [--threads 2] [--keep-memory]

64 images of 32 x 32 pixels through a small ResNet in eval mode; 1,000 maps of 32 x 32 for the metrics. Each pair is checked
to give the same maps, then timed in turn, salreg first in one round and last in the next; the ratio is the median over the
rounds.

With ``--keep-memory`` glibc keeps freed memory. By itself it gives an activation's back after each pass, or not, depending on
what happens to lie above it, and the page faults that follow can double the time of either side.
"""

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from captum import attr as captum
from torch import Tensor, nn

from salreg import attributions
from salreg.metrics import functional

BATCH, SIDE, CLASSES = 64, 32, 10
Way = Callable[[], Tensor]


class Block(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.skip = nn.Conv2d(channels, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.skip(x))


def resnet() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES),
    ).eval()  # fmt: skip


def pairs() -> dict[str, tuple[Way, Way]]:
    """salreg's way and Captum's, each with Captum's defaults."""
    model, generator = resnet(), torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
    y = torch.randint(CLASSES, (BATCH,), generator=generator)
    layer = model[3]
    window, stride = (3, 4, 4), (3, 4, 4)
    groups = (torch.arange(SIDE).view(-1, 1) // 8 * 4 + torch.arange(SIDE) // 8).expand(1, SIDE, SIDE)

    def ours(attribution: attributions.Attribution) -> Way:
        return lambda: attribution(model, x, y)

    def theirs(method: Any, **options: Any) -> Way:
        return lambda: method.attribute(x, target=y, **options).detach()

    return {
        "Saliency": (ours(attributions.InputGradient("target_logit")), theirs(captum.Saliency(model), abs=False)),
        "InputXGradient": (ours(attributions.InputTimesGradient()), theirs(captum.InputXGradient(model))),
        "IntegratedGradients": (ours(attributions.IntegratedGradients()), theirs(captum.IntegratedGradients(model))),
        "LayerGradCam": (ours(attributions.GradCAM(layer)), theirs(captum.LayerGradCam(model, layer), relu_attributions=True)),
        "Occlusion 4 x 4": (
            ours(attributions.Occlusion(4)),
            lambda: captum.Occlusion(model).attribute(x, window, strides=stride, target=y)[:, :1],
        ),
        "FeatureAblation 16 groups": (
            ours(attributions.FeatureAblation(groups)),
            theirs(captum.FeatureAblation(model), feature_mask=groups.unsqueeze(0)),
        ),
    }


def metrics() -> dict[str, tuple[Way, Way]]:
    """salreg's functions and Quantus's metrics, on non-negative maps, where Quantus's values can be trusted."""
    import quantus

    generator = torch.Generator().manual_seed(2)
    maps = torch.rand(1000, 1, SIDE, SIDE, generator=generator)
    marks = torch.zeros(1000, 1, SIDE, SIDE, dtype=torch.int8)
    marks[:, :, 8:20, 6:22] = 1
    given = {
        "x_batch": np.zeros((1000, 1, SIDE, SIDE), np.float32), "y_batch": np.zeros(1000, int),
        "a_batch": maps.numpy(), "s_batch": marks.numpy().astype(bool),
    }  # fmt: skip
    options = {"disable_warnings": True, "display_progressbar": False, "normalise": False, "abs": False}
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2)).eval()

    def theirs(make: Any) -> Way:
        metric = make(**options)
        return lambda: torch.tensor(np.array(metric(model=network, device="cpu", **given), dtype=np.float64).ravel())

    return {
        "AttributionLocalisation": (
            lambda: functional.relevant_saliency(maps, marks),
            theirs(quantus.AttributionLocalisation),
        ),
        "RelevanceRankAccuracy": (lambda: functional.relevance_rank(maps, marks), theirs(quantus.RelevanceRankAccuracy)),
        "PointingGame": (lambda: functional.pointing_game(maps, marks), theirs(quantus.PointingGame)),
    }


def compare(name: str, ours: Way, theirs: Way, rounds: int) -> None:
    """Print the ratio of salreg's time to the other's."""
    mine, other = ours().double(), theirs().double()
    error = float((mine - other).abs().max() / other.abs().max())
    assert error < 1e-5, f"{name}: the maps differ by {error:.1e}"
    ratios, times = [], []
    for number in range(rounds):
        first, second = (ours, theirs) if number % 2 == 0 else (theirs, ours)
        taken = {first: _seconds(first), second: _seconds(second)}
        ratios.append(taken[ours] / taken[theirs])
        times.append((taken[ours], taken[theirs]))
    milliseconds = [1000 * statistics.median(column) for column in zip(*times, strict=True)]
    ratio = statistics.median(ratios)
    print(f"| {name} | {milliseconds[0]:.1f} | {milliseconds[1]:.1f} | {ratio:.3f} ({1 / ratio:.1f}x faster) | {error:.0e} |")


def _seconds(way: Way) -> float:
    """The mean over as many runs as fill 20 ms."""
    runs, start = 0, time.perf_counter()
    while True:
        way()
        runs += 1
        elapsed = time.perf_counter() - start
        if elapsed > 0.02:
            return elapsed / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep-memory", action="store_true", help="let glibc keep freed memory")
    options = parser.parse_args()
    if options.keep_memory and "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        kept = {"MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**32)}
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.attributions", *sys.argv[1:]], {**os.environ, **kept})
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    for title, cases in (("Captum", pairs), ("Quantus", metrics)):
        print(f"\n| against {title} | salreg, ms | {title}, ms | ratio | largest difference |\n| --- | --- | --- | --- | --- |")
        for name, (ours, theirs) in cases().items():
            compare(name, ours, theirs, options.rounds)


if __name__ == "__main__":
    main()
