"""A check and a training on annotations as they come from the wild."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ONE_EPOCH

from salreg.recipes.command.cli import main
from salreg.recipes.experiments.image_folder import build
from salreg.recipes.training.config import load

FAST = [*ONE_EPOCH, "data.categories={ruler: spurious, mole: relevant}"]


@pytest.fixture(autouse=True)
def photos(tmp_path):
    """Twelve photos that were stored turned by EXIF, 100 pixels wide and 80 high upright, with a ruler at the upper left."""
    pixels = np.full((80, 100, 3), 90, np.uint8)
    pixels[:10, :20] = (250, 240, 10)
    for number in range(12):
        exif, quarters = Image.Exif(), number % 4
        exif[0x0112] = {0: 1, 1: 6, 2: 3, 3: 8}[quarters]
        path = tmp_path / "photos" / ("a", "b")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(np.rot90(pixels, quarters))).save(path, exif=exif, quality=95)
    return tmp_path / "photos"


def coco(*more):
    images = [{"id": n, "file_name": f"{n}.jpg", "height": 80, "width": 100} for n in range(12)]
    annotations = [{"id": n, "image_id": n, "category_id": 1, "bbox": [0, 0, 20, 10]} for n in range(11)]
    categories = [{"id": 1, "name": "ruler"}, {"id": 2, "name": "mole"}]
    content = {"images": images, "categories": categories, "annotations": [*annotations, *more]}
    Path("coco.json").write_text(json.dumps(content))
    return "coco.json"


def check(*options):
    return main(["annotations", "check", "coco.json", "--data", "photos", "--category", "ruler=spurious", *options])


def test_marks_lie_on_the_thing_however_the_photo_was_stored():
    experiment = build(load("image_folder", ["data.root=photos", f"data.annotations={coco()}", "data.size=40", *FAST[-1:]]))
    for split in (experiment.train, experiment.validation, experiment.test):
        for sample in split.dataset.base:
            image, marks = sample.sample[0], sample.annotation[0]
            if sample.looked_at and marks.any():
                assert image[2][marks < 0].mean() < 0.15  # yellow has no blue
                assert image[2][marks == 0].mean() > 0.3


BAD = [
    {"id": 90, "image_id": 11, "category_id": 1, "bbox": [float("nan"), 1, 5, 5]},
    {"id": 91, "image_id": 3, "category_id": 1, "segmentation": [[1, 1, 2, 2]]},
    {"id": 92, "image_id": 4, "category_id": 1, "bbox": [5000, 5000, 10, 10]},
    {"id": 93, "image_id": 5, "category_id": 1, "segmentation": {"size": [80, 100], "counts": [0, 20]}},
    {"id": 94, "image_id": 6, "category_id": 2, "bbox": [10, 0, 20, 10]},
]


def test_bad_annotations_are_listed_at_once_by_the_check_and_alike_by_the_run(capsys, recwarn):
    coco(*BAD)
    assert check("--category", "mole=relevant") == 0
    out = capsys.readouterr().out
    kinds = [line for line in out.splitlines() if re.match(r"\d+ skipped, ", line)]
    assert len(kinds) == 5
    assert all(part in out for part in ("annotation 90", "annotation 91", "annotation 92", "annotation 93", "image '6.jpg'"))
    assert "1 images whose marks were all skipped, which count as not looked at: b/11.jpg" in out
    recwarn.clear()
    assert main(["run", "image_folder", "data.root=photos", "data.annotations=coco.json", *FAST]) == 0
    said = [str(warning.message).removeprefix("salreg: ") for warning in recwarn]
    drawn_smaller = "both spurious and relevant"  # counts pixels of the training's size
    assert {line for line in kinds if drawn_smaller not in line} <= set(said)
    assert any(drawn_smaller in line for line in said)


def test_strict_refuses_them(capsys):
    coco(BAD[0])
    assert check("--strict") == 2
    assert "image '11.jpg', annotation 90: (nan, 1, 5, 5) are not finite numbers" in capsys.readouterr().err
    run = ["run", "image_folder", "data.root=photos", "data.annotations=coco.json", "data.strict=true"]
    assert main([*run, *FAST]) == 2
    coco(BAD[2])
    assert main([*run, *FAST]) == 2
    assert "is outside the image" in capsys.readouterr().err


def test_a_check_that_matches_nothing_fails(capsys):
    coco()
    for path in list(Path("photos").rglob("*.jpg")):
        path.rename(path.with_name(f"photo{path.name}"))
    assert check() == 2
    assert "None of the 12 annotated names belongs to one of the 12 images" in capsys.readouterr().err


def test_how_names_were_matched_is_said(capsys):
    coco()
    assert check() == 0
    assert "12 names were matched although they differ in the folder: '0.jpg' is for 'a/0.jpg'." in capsys.readouterr().out


def test_the_oddest_marks_come_first_on_the_sheet(capsys):
    coco(BAD[4], {"id": 95, "image_id": 7, "category_id": 1, "bbox": [5, 5, 90, 70]})
    assert check("--category", "mole=relevant", "--sheet", "sheet.png") == 0
    sheet = np.asarray(Image.open("sheet.png")).astype(int)
    assert sheet.shape[:2] == (2 * 198, 6 * 170)
    first, second = sheet[5:85, 5:105], sheet[5:85, 175:275]
    assert (np.abs(first - (0, 158, 115)).max(-1) < 30).any()  # the one with both signs
    assert (np.abs(second[74, 20:80] - (86, 180, 233)).max(-1) < 30).all()  # the lower edge of the largest
