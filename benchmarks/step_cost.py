"""What a penalised training step costs, relative to the plain step on the same machine in the same run.

Run:  python -m benchmarks.step_cost [--rounds 15] [--threads 2] [--presets]

Ways: ``shared forward`` is salreg's (the forward pass that trains the model serves the penalty); ``second forward`` is what
most published code does, written here as a plain function from the formula; ``Grad-CAM`` reads at the last convolution.
``--presets`` times every preset instead. All samples are annotated. The ways are timed in turn, so that a slow moment of the
machine falls on all of them; the ratio is the median over the rounds, its spread the 10% and 90% quantiles.
"""

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from itertools import pairwise

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset, SaliencyPenalty, presets
from salreg.attributions import ClassActivationMap, GradCAM
from salreg.callbacks import SaliencyRegularizer
from salreg.penalties import Penalty
from salreg.recipes.classifier import Classifier
from salreg.recipes.decoy import build_model

BATCH = 256
Loss = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


def plain(model: nn.Module, x: Tensor, y: Tensor, annotation: Tensor) -> Tensor:
    return cross_entropy(model(x), y)


def second_forward(model: nn.Module, x: Tensor, y: Tensor, annotation: Tensor) -> Tensor:
    """Ross et al.'s penalty with a forward pass of its own."""
    loss = cross_entropy(model(x), y)
    leaf = x.clone().requires_grad_()
    log_p = log_softmax(model(leaf), dim=1)
    (gradient,) = torch.autograd.grad(log_p.sum(), leaf, create_graph=True)
    return loss + ((annotation < 0) * gradient).square().flatten(1).sum(1).mean()


def shared(penalty: Penalty) -> Loss:
    def loss(model: nn.Module, x: Tensor, y: Tensor, annotation: Tensor) -> Tensor:
        with penalty.watch(model) as watch:
            logits = model(x)
        return cross_entropy(logits, y) + watch.penalty(y, annotation)

    return loss


def cases() -> dict[str, dict[str, Loss]]:
    """The ways to train each model."""
    return {
        "mlp": {"plain": plain, "shared forward": shared(SaliencyPenalty()), "second forward": second_forward},
        "cnn": {
            "plain": plain,
            "shared forward": shared(SaliencyPenalty()),
            "second forward": second_forward,
            "Grad-CAM": shared(SaliencyPenalty(GradCAM("3"), "energy")),
        },
    }


def preset_cases() -> dict[str, dict[str, Loss]]:
    """Every preset; on the mlp, which has no convolution, without those that read Grad-CAM."""
    on_layers = {"actdiff": {"layer": "2"}, "rr_clarc": {"layer": "2"}}
    flat = {
        name: presets.resolve({"name": name, **on_layers.get(name, {})})
        for name in presets.NAMED
        if not isinstance(presets.resolve(name).attribution, ClassActivationMap)
    }
    return {
        "mlp": {"plain": plain, **{name: shared(penalty) for name, penalty in flat.items()}},
        "cnn": {"plain": plain, **{name: shared(presets.resolve(name)) for name in presets.NAMED}},
    }


def seconds(step: Callable[[], None], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def measure(name: str, ways: dict[str, Loss], rounds: int) -> None:
    torch.manual_seed(0)
    x, y = torch.rand(BATCH, 1, 28, 28), torch.randint(0, 10, (BATCH,))
    annotation = torch.zeros(BATCH, 1, 28, 28, dtype=torch.int8)
    annotation[:, :, :4, :4] = -1
    annotation[:, :, 8:20, 8:20] = 1

    def step_of(loss: Loss) -> Callable[[], None]:
        model = build_model(name)
        optimizer = torch.optim.Adam(model.parameters())

        def step() -> None:
            optimizer.zero_grad()
            loss(model, x, y, annotation).backward()
            optimizer.step()

        return step

    steps = {way: step_of(loss) for way, loss in ways.items()}
    repeats = max(2, int(0.2 / seconds(steps["plain"], 5)))
    times: dict[str, list[float]] = {way: [] for way in steps}
    for _ in range(rounds + 1):
        for way, step in steps.items():
            times[way].append(seconds(step, repeats))
    base = times["plain"][1:]  # the first round warms up
    print(f"{name}: plain step {1000 * statistics.median(base):.2f} ms")
    for way in list(steps)[1:]:
        ratios = [a / b for a, b in zip(times[way][1:], base, strict=True)]
        low, *_, high = statistics.quantiles(ratios, n=10)
        print(f"  {way:24} {statistics.median(ratios):5.2f}x   ({low:.2f} to {high:.2f})")


class StepTimes(pl.Callback):
    """Seconds from the start of a training batch to the start of the next."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_batch_start(self, *_: object) -> None:
        self.starts.append(time.perf_counter())

    def median(self) -> float:
        return statistics.median(after - before for before, after in pairwise(self.starts))


def measure_in_trainer(name: str, rounds: int) -> None:
    """The step as a user runs it: loading the batch, the callback, the optimizer, logging."""
    size = 40 * BATCH
    images, labels = torch.rand(size, 1, 28, 28), torch.randint(0, 10, (size,))
    annotations = torch.zeros(size, 1, 28, 28, dtype=torch.int8)
    annotations[:, :, :4, :4] = -1
    data = DataLoader(AnnotatedDataset(TensorDataset(images, labels, labels), annotations), BATCH)

    def step_time(weight: float) -> float:
        times = StepTimes()
        callbacks = [times, SaliencyRegularizer(weight=weight)]
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        trainer = pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=callbacks, **quiet)
        trainer.fit(Classifier(build_model(name), groups=1, lr=1e-3), data)
        return times.median()

    pairs = [(step_time(0.0), step_time(1.0)) for _ in range(rounds)]
    ratio = statistics.median(penalised / plain for plain, penalised in pairs)
    print(f"{name} in a Trainer: plain step {1000 * statistics.median(p for p, _ in pairs):.2f} ms")
    print(f"  {'shared forward':15} {ratio:5.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--presets", action="store_true", help="time every preset")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} CPU threads, batch {BATCH}, float32")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    for name, ways in (preset_cases() if options.presets else cases()).items():
        measure(name, ways, options.rounds)
        if not options.presets:
            measure_in_trainer(name, max(2, options.rounds // 4))


if __name__ == "__main__":
    main()
