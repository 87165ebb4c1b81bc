"""Looking at annotations before training on them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from salreg.recipes.cli import main


def png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quarter = np.zeros((8, 8))
    quarter[:4, :4] = 1
    for name, mask in (("a", quarter), ("b", np.zeros((8, 8))), ("c", np.ones((8, 8))), ("d", np.ones((4, 4))), ("e", None)):
        png(tmp_path / "photos" / "mole" / f"{name}.png", np.full((8, 8, 3), 90))
        if mask is not None:
            png(tmp_path / "masks" / "mole" / f"{name}.png", mask)
    png(tmp_path / "masks" / "mole" / "z.png", quarter)


def check(*options):
    return main(["annotations", "check", "masks", "--data", "photos", *options])


def test_it_says_what_is_there_and_what_is_odd(tmp_path, capsys):
    (tmp_path / "photos" / "mole" / "f.png").write_bytes(b"no image")
    png(tmp_path / "masks" / "mole" / "f.png", np.ones((8, 8)))
    assert check() == 0
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "3 of 6 images are annotated: 3 spurious, 0 relevant.",
        "Marked share of an image: 25% to 100%, median 100%.",
        "1 images without annotation: mole/e.png",
        "1 annotations without image: mole/z",
        "1 annotations that mark nothing: mole/b.png",
        "2 annotations that mark everything: mole/c.png, mole/d.png",
        "1 annotations of another size than their image: mole/d.png",
        "1 images or annotations that cannot be read: mole/f.png (cannot identify image file 'photos/mole/f.png')",
    ]


def test_the_contact_sheet_outlines_the_marks_and_overwrites_nothing(tmp_path, capsys):
    assert check("--sheet", "sheet.png", "--inside", "relevant") == 0
    assert "3 relevant" in capsys.readouterr().out
    pixels = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert pixels.shape == (186, 510, 3)
    assert (pixels == (0, 158, 115)).all(-1).any()
    assert check("--sheet", "sheet.png") == 2
    assert "exists already" in capsys.readouterr().err


def test_masks_that_belong_to_no_image_and_missing_folders_are_errors(capsys):
    Path("photos/mole").rename("photos/nevus")
    assert check() == 2
    assert "there is 'mole/a', and the images are called like 'nevus/a'" in capsys.readouterr().err
    assert main(["annotations", "check", "photos/nevus", "--data", "nowhere"]) == 2
    assert "no image below 'nowhere'" in capsys.readouterr().err
    assert main(["annotations", "check", "nothing.csv", "--data", "photos"]) == 2
    assert "no annotations at 'nothing.csv'" in capsys.readouterr().err
