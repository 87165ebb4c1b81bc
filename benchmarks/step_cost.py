"""What a penalised training step costs, relative to the plain step on the same machine in the same run.

Run:  python -m benchmarks.step_cost [--models mlp,cnn,...] [--rounds 9] [--threads 2] [--device cuda] [--precision bf16] ...
      python -m benchmarks.step_cost --growth       the ratio against batch size, depth and image size
      python -m benchmarks.step_cost --intervention the step on changed samples, which is the default
      python -m benchmarks.step_cost --presets      every preset
      python -m benchmarks.step_cost --language 100m  a language model's step, its vocabulary's logits at every place
      python -m benchmarks.step_cost --trainer      the step as a user runs it

Ways: ``exact`` and ``differences`` are salreg's; ``second forward`` is what most published code does, written from the formula.
Shares are of the samples that are annotated. Time is the median ratio over the rounds (its 10% and 90% quantiles); memory the
peak of what autograd saves, or of what CUDA allocates; error that of the penalty's gradient against double precision.
"""

import argparse
import copy
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import ways
from benchmarks.measures import gradient_of, peak_memory, ratios, step_of
from benchmarks.models import CASES, LANGUAGE_MODELS, LARGE, Batch, Case, images, instructions, language_model, resnet
from benchmarks.ways import Loss
from salreg import AnnotatedDataset, presets
from salreg.attributions import ClassActivationMap
from salreg.callbacks import SaliencyRegularizer
from salreg.differentiation import FiniteDifference, relative_error, reusable_graphs
from salreg.recipes.experiments.decoy import build_model
from salreg.recipes.networks.classifier import Classifier
from salreg.recipes.networks.image_networks import SmallViT

BATCH = 256  # in a Trainer
SHARES = (1.0, 0.25, 0.05)
EXACT, FOURTH, CAM, SECOND = "exact", "exact, every 4th step", "Grad-CAM", "second forward"


def ways_of(name: str, share: float, compile: bool = False) -> dict[str, Callable[..., Loss]]:
    """What is compared on a model."""
    chosen: dict[str, Callable[..., Loss]] = {EXACT: ways.exact, "differences, one side": ways.differences}
    if share == 1:
        if compile and name != "lstm":  # token numbers do not compile
            chosen["exact, one graph"] = ways.one_graph
        chosen["differences, two sides"] = partial(ways.differences, 2)
        chosen[FOURTH] = ways.every_fourth
        if name in ("cnn", "resnet", "resnet50"):
            chosen[CAM] = ways.grad_cam
    if name != "lstm":  # token numbers carry no gradient
        chosen[SECOND] = lambda: ways.second_forward
    return chosen


def measure(name: str, case: Case, options: argparse.Namespace) -> None:
    """Print the table of one model."""
    torch.manual_seed(0)
    model, whole = case.model().to(options.device), case.batch().to(options.device)
    net = torch.compile(copy.deepcopy(model)) if options.compile else copy.deepcopy(model)
    cast = partial(_as_asked, options=options)
    memory = peak_memory(copy.deepcopy(model), cast(ways.plain), whole, options.device)
    print(f"{name}, batch {len(whole.x)}:")
    for share in SHARES:
        batch, makers = whole.annotated(share), ways_of(name, share, options.compile)
        losses = {way: cast(make()) for way, make in makers.items()}
        losses = {way: loss for way, loss in losses.items() if _is_possible(net, loss, batch, way)}
        steps = {way: step_of(net, loss, batch) for way, loss in {"plain": cast(ways.plain), **losses}.items()}
        plain, found = ratios(steps, options.rounds, options.device)
        print(f"  {share:4.0%} annotated, plain step {1000 * plain:6.1f} ms        time           memory   error", flush=True)
        for way, times in found.items():
            cells = [_with_spread(times)]
            held = peak_memory(copy.deepcopy(model), losses[EXACT if way == FOURTH else way], batch, options.device)
            cells.append(f"{held / memory:5.2f}x")
            if way not in (FOURTH, CAM, SECOND) and options.device == "cpu":
                cells.append(f"{_error(model, batch, makers[way](alone=True)):.0e}")
            print(f"    {way:24} {'   '.join(cells)}", flush=True)


def _with_spread(times: list[float]) -> str:
    low, *_, high = statistics.quantiles(times, n=10)
    return f"{statistics.median(times):5.2f}x ({low:.2f} to {high:.2f})"


def _as_asked(loss: Loss, options: argparse.Namespace) -> Loss:
    """The loss in the precision that was asked for."""

    def cast(model: nn.Module, batch: Batch) -> Tensor:
        with torch.autocast(options.device, torch.bfloat16):
            return loss(model, batch)

    return loss if options.precision == "fp32" else cast


def _is_possible(net: nn.Module, loss: Loss, batch: Batch, way: str) -> bool:
    try:
        loss(net, batch).backward()
    except RuntimeError as error:
        print(f"    {way}: not possible: {str(error).splitlines()[0][:100]}")
        return False
    return True


def _error(model: nn.Module, batch: Batch, loss: Loss) -> float:
    """Of the penalty's gradient, against exact second derivatives in double precision."""
    x = batch.x.double() if batch.x.is_floating_point() else batch.x
    exact = gradient_of(copy.deepcopy(model).double(), ways.exact(alone=True), Batch(x, batch.y, batch.annotation))
    return relative_error(gradient_of(copy.deepcopy(model), loss, batch), exact)


def measure_interventions(name: str, case: Case, options: argparse.Namespace) -> None:
    """The step on changed samples, all of which were looked at: content alone, or content and presence."""
    torch.manual_seed(0)
    model, whole = case.model().to(options.device), case.batch().to(options.device)
    losses = {"plain": (ways.plain, whole)}
    losses |= {f"{share:.0%} marked": (ways.intervened(), whole.annotated(share)) for share in (1.0, 0.5, 0.05)}
    steps = {way: step_of(copy.deepcopy(model), _as_asked(loss, options), batch) for way, (loss, batch) in losses.items()}
    plain, found = ratios(steps, options.rounds, options.device)
    cells = [f"{what} {_with_spread(times)}" for what, times in found.items()]
    print(f"{name}, batch {len(whole.x)}, plain step {1000 * plain:.1f} ms:  {'   '.join(cells)}", flush=True)


def measure_language(parameters: str, rounds: int, device: str) -> None:
    """A GPT-2 from a configuration that learns answers of 16 tokens to prompts of 48: by intervention and by penalty."""
    torch.manual_seed(0)
    size, layers, words, samples = LANGUAGE_MODELS[parameters]
    model, batch = language_model(size, layers, words).to(device), instructions(samples, words=words).to(device)
    how = FiniteDifference(sides=1, check_every=0)
    losses = {
        "plain": ways.next_token,
        "intervention": ways.next_token_intervened(),
        "differences, one side": ways.next_token_penalised(how),
        EXACT: ways.next_token_penalised("exact"),
    }
    steps = {way: step_of(copy.deepcopy(model), loss, batch) for way, loss in losses.items()}
    plain, found = ratios(steps, rounds, device)
    held = {way: peak_memory(copy.deepcopy(model), loss, batch, device) for way, loss in losses.items()}
    count = sum(one.numel() for one in model.parameters())
    print(f"gpt2 of {count / 1e6:.0f}M parameters, batch {len(batch.x)} of {batch.x.shape[1]} tokens, ", end="")
    print(f"plain step {1000 * plain:.1f} ms   time   memory")
    for way, times in found.items():
        print(f"  {way:24} {_with_spread(times)}   {held[way] / held['plain']:5.2f}x", flush=True)


def preset_ways(name: str) -> Mapping[str, Loss]:
    """Every preset; on the mlp, which has no convolution, without those that read Grad-CAM."""
    on_layers = {"actdiff": {"layer": "2"}, "rr_clarc": {"layer": "2"}} if name == "mlp" else {}
    resolved = {one: presets.resolve({"name": one, **on_layers.get(one, {})}) for one in presets.NAMED}
    if name == "mlp":
        resolved = {
            one: penalty for one, penalty in resolved.items() if not isinstance(penalty.attribution, ClassActivationMap)
        }
    return {one: ways.with_penalty(penalty) for one, penalty in resolved.items()}


def measure_presets(name: str, rounds: int) -> None:
    torch.manual_seed(0)
    batch = CASES[name].batch()
    batch.annotation[:, :, 8:20, 8:20] = 1
    losses = {"plain": ways.plain, **preset_ways(name)}
    plain, found = ratios({way: step_of(build_model(name), loss, batch) for way, loss in losses.items()}, rounds)
    print(f"{name}: plain step {1000 * plain:.2f} ms")
    for way, times in found.items():
        print(f"  {way:24} {_with_spread(times)}")


def measure_growth(rounds: int) -> None:
    """The ratio of an exact step to the plain one, over 8x in batch size, depth and image size."""
    series: dict[str, list[tuple[int, Callable[[], nn.Module], Batch]]] = {
        "vit, batch": [(size, lambda: SmallViT(10, 32), images(size)) for size in (8, 16, 32, 64)],
        "vit, layers": [(n, lambda n=n: SmallViT(10, 32, layers=n), images(16)) for n in (1, 2, 4, 8)],  # type: ignore[misc]
        "resnet, batch": [(size, lambda: resnet(8), images(size)) for size in (8, 16, 32, 64)],
        "resnet, blocks a stage": [(n, lambda n=n: resnet(8, n), images(16)) for n in (1, 2, 4, 8)],  # type: ignore[misc]
        "resnet, pixels": [(side**2, lambda: resnet(8), images(8, 3, side)) for side in (32, 45, 64, 90)],
    }
    for what, members in series.items():
        values = []
        for _, make, batch in members:
            torch.manual_seed(0)
            model = make()
            steps = {way: step_of(model, loss, batch) for way, loss in (("plain", ways.plain), (EXACT, ways.exact()))}
            values.append(statistics.median(ratios(steps, rounds)[1][EXACT]))
        cells = [f"{size}: {value:.2f}x" for (size, _, _), value in zip(members, values, strict=True)]
        print(f"{what:24} {'  '.join(cells)}   spread {max(values) / min(values) - 1:.0%}", flush=True)


class StepTimes(pl.Callback):
    """Seconds from the start of a training batch to the start of the next."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_batch_start(self, *_: object) -> None:
        self.starts.append(time.perf_counter())

    def median(self) -> float:
        return statistics.median(after - before for before, after in pairwise(self.starts))


def measure_in_trainer(name: str, rounds: int, device: str) -> None:
    """The step as a user runs it: loading the batch, the callback, the optimizer, logging."""
    size = 40 * BATCH
    images, labels = torch.rand(size, 1, 28, 28), torch.randint(0, 10, (size,))
    annotations = torch.zeros(size, 1, 28, 28, dtype=torch.int8)
    annotations[:, :, :4, :4] = -1
    data = DataLoader(AnnotatedDataset(TensorDataset(images, labels, labels), annotations), BATCH)

    def step_time(**options: Any) -> float:
        times = StepTimes()
        callbacks = [times, SaliencyRegularizer(**options)]
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        trainer = pl.Trainer(max_epochs=1, accelerator=device, devices=1, callbacks=callbacks, **quiet)
        trainer.fit(Classifier(build_model(name), groups=tuple("0123456789"), lr=1e-3), data)
        return times.median()

    ways_to_train: dict[str, dict[str, Any]] = {
        "plain": {"weight": 0, "intervene": False},
        "default": {},
        "penalty": {"intervene": False},
    }
    taken = [{way: step_time(**options) for way, options in ways_to_train.items()} for _ in range(rounds)]
    print(f"{name} in a Trainer: plain step {1000 * statistics.median(one['plain'] for one in taken):.2f} ms")
    for way in ("default", "penalty"):
        print(f"  {way:15} {statistics.median(one[way] / one['plain'] for one in taken):5.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", default=",".join(CASES), help=f"of {', '.join([*CASES, *LARGE])}")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    parser.add_argument("--intervention", action="store_true", help="the step on changed samples")
    parser.add_argument("--presets", action="store_true", help="time every preset")
    parser.add_argument("--growth", action="store_true", help="against batch size, depth and image size")
    parser.add_argument("--language", nargs="?", const="tiny", choices=LANGUAGE_MODELS, help="the step of a language model")
    parser.add_argument("--trainer", action="store_true", help="the step as a user runs it, in a Trainer")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} CPU threads"
    print(f"torch {torch.__version__}, {where}, {options.precision}{', compiled' if options.compile else ''}", flush=True)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    if options.language:
        measure_language(options.language, options.rounds, options.device)
    elif options.growth:
        measure_growth(options.rounds)
    elif options.presets:
        for name in ("mlp", "cnn"):
            measure_presets(name, options.rounds)
    elif options.trainer:
        for name in ("mlp", "cnn"):
            measure_in_trainer(name, options.rounds, options.device)
    else:
        with reusable_graphs():
            for name in options.models.split(","):
                (measure_interventions if options.intervention else measure)(name, {**CASES, **LARGE}[name], options)


if __name__ == "__main__":
    main()
