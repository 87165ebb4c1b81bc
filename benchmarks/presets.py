"""Every preset at its best weight, beside the intervention: how much of what a shortcut costs does it win back?

Run:  python -m benchmarks.presets --recipe hospital_tag data.root=path/to/cifar10 --weights 1,100 --out presets.jsonl

Each training is a line of the file, written when it ends: what is there, errors too, is not trained again, so that an
interrupted run goes on. The weight is the one with the best accuracy on the test set, which is generous to the presets: the
intervention has none to choose. Presets that a recipe's network or marks do not suit are listed with the reason.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from tqdm import tqdm

from salreg import presets
from salreg.names import nearest
from salreg.recipes.training.config import assign, load
from salreg.recipes.training.run import run
from salreg.recipes.training.table import REFERENCES, gap_recovered

PLAIN, INTERVENTION = "plain", "regularised"
_QUIET = ("logger=none", "snapshots.sanity=false", "snapshots.panel=2", "snapshots.every_n_epochs=1000000")
_SHOWN = ("test/accuracy", "test/spurious_saliency", "seconds")


class Cell(NamedTuple):
    """One training: an arm of the recipe, or a preset with a weight."""

    name: str
    weight: float | None = None


def cells(config: DictConfig, names: Iterable[str], weights: Sequence[float]) -> list[Cell]:
    """What is trained: plainly, without the shortcut and with the intervention, where there are such arms; and the presets."""
    references = [str(arm) for arm in config.arms if str(arm).startswith(REFERENCES)]
    arms = [Cell(arm) for arm in (PLAIN, *references[:1], INTERVENTION) if arm in config.arms]
    return [*arms, *(Cell(name, weight) for name in names for weight in weights)]


def changes(config: DictConfig, cell: Cell) -> dict[str, Any]:
    """What a training changes in a recipe's configuration."""
    if cell.weight is None:
        return {str(key): value for key, value in config.arms[cell.name].items()}
    return {"regularizer.preset": cell.name, "regularizer.intervene": False, "regularizer.weight": cell.weight}


def train(config: DictConfig, cell: Cell) -> dict[str, Any]:
    """The results of one training, of which nothing else is kept; or the ``error`` that it ended with."""
    one = deepcopy(config)
    for key, value in changes(config, cell).items():
        assign(one, key, value)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return run(one, Path(folder))
        except (ValueError, TypeError, RuntimeError) as error:
            return {"error": str(error).splitlines()[0]}


def measure(path: Path, about: Mapping[str, Any], wanted: Sequence[Cell], trained: Callable[[Cell], dict[str, Any]]) -> None:
    """Train what the file does not hold yet, and append it there.

    Args:
        path: A file of JSON lines.
        about: What else tells one training from another; part of each line.
        wanted: The trainings.
        trained: Gives the results of one.
    """
    done = read(path, about)
    with path.open("a", encoding="utf-8") as file:
        for cell in tqdm([cell for cell in wanted if cell not in done], "Trainings"):
            file.write(json.dumps({**about, **cell._asdict(), "results": trained(cell)}) + "\n")
            file.flush()


def read(path: Path, about: Mapping[str, Any]) -> dict[Cell, dict[str, Any]]:
    """The results in a file of JSON lines, of the trainings that it says the same of."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines]
    return {
        Cell(row["name"], row["weight"]): row["results"]
        for row in rows
        if {key: value for key, value in row.items() if key not in (*Cell._fields, "results")} == about
    }


def table(found: Mapping[Cell, Mapping[str, Any]]) -> str:
    """Each preset at its best weight: accuracy, share of the gap recovered, spurious saliency, and time beside plain's."""
    ended = {cell: results for cell, results in found.items() if "error" not in results}
    best: dict[str, Cell] = {}
    for cell, results in ended.items():
        if cell.name not in best or results[_SHOWN[0]] > ended[best[cell.name]][_SHOWN[0]]:
            best[cell.name] = cell
    accuracy, saliency, seconds = ({name: float(ended[cell][key]) for name, cell in best.items()} for key in _SHOWN)
    recovered = gap_recovered(accuracy)
    lines = [f"{'':28} weight  accuracy  gap recovered  spurious saliency    time"]
    for name in sorted(best, key=lambda name: -accuracy[name]):
        weight = "" if best[name].weight is None else f"{best[name].weight:g}"
        gap = f"{recovered[name]:.0%}" if name in recovered else "-"
        time = f"{seconds[name] / seconds[PLAIN]:.2f}x" if PLAIN in seconds else "-"
        lines.append(f"{name:28} {weight:>6}  {accuracy[name]:8.3f}  {gap:>13}  {saliency[name]:17.3f}  {time:>6}")
    failed = {cell.name: results["error"] for cell, results in found.items() if cell.name not in best}
    return "\n".join([*lines, *(f"{name}: not possible: {error}" for name, error in failed.items())])


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", required=True, help="a name from `salreg ls`, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example data.root=path model=vit")
    parser.add_argument("--weights", default="1,100", help="separated by commas (default: 1,100)")
    parser.add_argument("--presets", default=",".join(presets.NAMED), help="separated by commas (default: all)")
    parser.add_argument("--out", type=Path, default=Path("presets.jsonl"), help="file of JSON lines (default: presets.jsonl)")
    options = parser.parse_intermixed_args(arguments)
    names = options.presets.split(",")
    for name in names:
        if name not in presets.NAMED:
            parser.error(f"no preset is called {name!r}{nearest(name, presets.NAMED)}")
    config = load(options.recipe, [*_QUIET, "trainer.enable_progress_bar=false", *options.overrides])
    wanted = cells(config, names, [float(weight) for weight in options.weights.split(",")])
    about = {"recipe": options.recipe, "overrides": sorted(options.overrides)}
    measure(options.out, about, wanted, lambda cell: train(config, cell))
    print(table(read(options.out, about)))


if __name__ == "__main__":
    main()
