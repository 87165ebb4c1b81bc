"""The pictures and tables of docs/gallery.md, from what ``salreg compare`` wrote.

Run: salreg compare hospital_tag && python -m benchmarks.gallery runs/compare_hospital_tag/<time> ...
"""

import argparse
import json
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from PIL import Image

from salreg.history import Frame, History
from salreg.plotting import film_strip, stack
from salreg.recipes.training.table import table

OUT = Path(__file__).parents[1] / "docs" / "gallery"
SAMPLES, EPOCHS = 4, 4


def main() -> None:
    """Write a picture for each comparison, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="as `salreg compare` printed them")
    parser.add_argument("--arms", default="plain,regularised", help="which to draw, separated by commas")
    options = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    for folder in options.folders:
        name = folder.parent.name.removeprefix("compare_")
        drawn = picture(folder, options.arms.split(","))
        Image.fromarray(drawn).save(OUT / f"{name}.webp", quality=75, method=6)
        print(f"## {name}\n\n![{name}](gallery/{name}.webp)\n\n{markdown(folder)}\n")


def picture(folder: Path, arms: list[str]) -> Any:
    """The same samples at some epochs, arm below arm: ``uint8`` pixels ``(height, width, 3)``."""
    strips = {}
    for arm in arms:
        seen = History.load(next((folder / arm.replace(" ", "_")).glob("seed_*/snapshots/history.pt")))
        chosen = itemgetter(*_chosen(seen))
        attribution, frames = next(iter(seen.frames.items()))
        panel = (chosen(values) if values else () for values in (seen.images, seen.annotations, seen.labels))
        columns = [
            replace(one, saliency=chosen(one.saliency), predictions=chosen(one.predictions), shares=chosen(one.shares))
            for one in _spread([frame for frame in frames if frame.epoch])
        ]
        strips[arm] = film_strip(*panel, columns, attribution, chosen(seen.names) if seen.names else ())
    return stack(strips)


def _spread(frames: list[Frame]) -> list[Frame]:
    """The first trained epoch, the last, and some between."""
    step = max(1, (len(frames) - 1) // (EPOCHS - 1))
    return [*frames[: step * (EPOCHS - 1) : step], frames[-1]]


def _chosen(seen: History) -> list[int]:
    """Samples with a mark, of all classes in turn."""
    marked = [index for index, mark in enumerate(seen.annotations) if (mark < 0).any()]
    places = {index: seen.labels[: index + 1].count(seen.labels[index]) for index in marked}
    return sorted(sorted(marked, key=lambda index: (places[index], index))[:SAMPLES])


def markdown(folder: Path) -> str:
    """The table of the comparison."""
    lines = table(json.loads((folder / "compare.json").read_text("utf-8"))).splitlines()
    widths = [len(part) for part in lines[1].split("  ")]
    edges = [sum(widths[:column]) + 2 * column for column in range(len(widths))]
    spans = list(zip(edges, widths, strict=True))[:-1]  # without the seconds
    rows = [[line[start : start + width].strip() for start, width in spans] for line in lines]
    rows[1] = ["---"] * len(spans)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
