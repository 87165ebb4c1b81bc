"""What reading and drawing annotations costs: ``python -m benchmarks.readers``.

The files are made: 100,000 polygons of COCO's over 20,000 images, and single marks of 5,000 x 5,000 pixels. Peaks of memory are
those that ``tracemalloc`` counts, NumPy's arrays included, beside what was there before.
"""

import argparse
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from salreg.readers import FileAnnotations, read_coco, read_masks
from salreg.readers.checked import polygon, runs
from salreg.readers.regions import ImageMarks, Mark
from salreg.readers.shapes import Shape

SIDE = 5000
_RING = 2500 + 2400 * np.stack([f(np.linspace(0, 2 * np.pi, 200, endpoint=False)) for f in (np.cos, np.sin)], 1)


def coco_file(folder: Path, images: int, polygons: int) -> Path:
    """A file of that many polygons of 20 corners over that many images of 640 x 480 pixels."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    centres = rng.uniform(60, 400, (polygons, 1, 2))
    corners = (centres + ring * rng.uniform(10, 60, (polygons, 1, 1))).round(2).reshape(polygons, -1)
    content = {
        "images": [{"id": n, "file_name": f"{n:06}.jpg", "height": 480, "width": 640} for n in range(images)],
        "categories": [{"id": 1, "name": "ruler"}],
        "annotations": [
            {"id": n, "image_id": n % images, "category_id": 1, "segmentation": [one]} for n, one in enumerate(corners.tolist())
        ],
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def mask_file(folder: Path) -> Path:
    """A folder with one mask image of 5,000 x 5,000 pixels, half of them marked."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[: SIDE // 2] = 255
    Image.fromarray(pixels).save(folder / "a.png")
    return folder


def measured(work: Callable[[], Any]) -> tuple[float, float]:
    """The least seconds of three times, and the peak of memory in bytes."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return min(seconds), peak


def row(what: str, work: Callable[[], Any], pixels: int | None = None) -> str:
    """A line of the table."""
    seconds, peak = measured(work)
    each = f"{peak / pixels:.1f}" if pixels else ""
    return f"| {what} | {seconds:.3f} | {peak / 2**20:.0f} | {each} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--polygons", type=int, default=100_000)
    options = parser.parse_args()
    print("| what | seconds | peak, MiB | bytes a pixel |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        path = coco_file(Path(name), options.images, options.polygons)
        print(row(f"read {options.polygons:,} polygons over {options.images:,} images", lambda: _read(path)))
        regions = read_coco(path, {"ruler": "spurious"})
        paths = [f"photos/{number:06}.jpg" for number in range(options.images)]
        print(row("match them with the images by the end of their path", lambda: FileAnnotations(paths, regions)))
        chosen = list(regions.values())[:1000]
        print(row("draw 1,000 of the images at 480 x 640", lambda: [one.drawn((480, 640)) and None for one in chosen]))
        small = (64, 64)
        print(row("draw 1,000 of the images at 64 x 64", lambda: [one.drawn(small, (480, 640)) and None for one in chosen]))
        folder = Path(name) / "masks"
        folder.mkdir()
        mask = read_masks(spurious=mask_file(folder))["a"]
        half = SIDE * SIDE // 2
        large: dict[str, Shape] = {"polygon": polygon(_RING), "mask of run lengths": runs([0, half, half], (SIDE, SIDE))}
        made = {what: ImageMarks("made", "a", (SIDE, SIDE), [Mark("spurious", "", "", one)]) for what, one in large.items()}
        for what, one in {**made, "mask image": mask}.items():
            for size in ((SIDE, SIDE), (224, 224)):
                print(row(f"draw a {what} of {SIDE} x {SIDE} at {size[0]} x {size[1]}", _drawing(one, size), SIDE * SIDE))
        again = FileAnnotations(["a.jpg"], {"a": made["polygon"]}, size_of=lambda index: (SIDE, SIDE))
        sample = torch.empty(3, 224, 224)
        again(0, sample)
        print(row("take it from the cache at 224 x 224", lambda: again(0, sample), 224 * 224))


def _read(path: Path) -> Any:
    return read_coco(path, {"ruler": "spurious"})


def _drawing(one: ImageMarks, size: tuple[int, int]) -> Callable[[], Any]:
    return lambda: one.drawn(size, (SIDE, SIDE))


if __name__ == "__main__":
    main()
