"""Looking at annotations before training on them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from salreg.recipes.command.cli import main


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
        "4 of 6 images were looked at: 3 marked (3 spurious, 0 relevant); 1 looked at, nothing marked.",
        "images                       6",
        "  matched                    5",
        "  looked at                  4",
        "  marked                     3",
        "    spurious                 3",
        "marked share, least to most  25%  62.5%  100%  100%  100%",
        "1 images that nobody looked at: mole/e.png",
        "1 annotations without image: mole/z",
        "2 annotations that mark everything: mole/c.png, mole/d.png",
        "1 annotations whose size differs from their image's: mole/d.png",
        "1 skipped, unreadable: image 'mole/f.png': cannot identify image file 'photos/mole/f.png'",
    ]


ADVICE = (
    "Every image that was looked at has a spurious mark, so they cannot show when the marked feature is absent: "
    "add some images without it, with empty marks."
)


def test_it_asks_for_images_without_the_thing_where_every_one_has_it(tmp_path, capsys):
    assert check() == 0
    assert ADVICE not in capsys.readouterr().out
    (tmp_path / "masks" / "mole" / "b.png").unlink()
    assert check("--sheet", "second.png") == 0
    assert ADVICE in capsys.readouterr().out.splitlines()
    assert check("--sheet", "third.png", "--inside", "relevant") == 0
    assert ADVICE not in capsys.readouterr().out


def test_masks_that_are_all_empty_draw_no_picture(tmp_path, capsys):
    for path in (tmp_path / "masks").rglob("*.png"):
        png(path, np.zeros((8, 8)))
    assert check() == 0
    out = capsys.readouterr().out
    assert "4 of 5 images were looked at: 0 marked (0 spurious, 0 relevant); 4 looked at, nothing marked." in out
    assert ADVICE not in out
    assert "Picture" not in out
    assert not (tmp_path / "contact_sheet.png").exists()


def test_the_contact_sheet_outlines_the_marks_and_overwrites_nothing(tmp_path, capsys):
    assert check("--sheet", "sheet.png", "--inside", "relevant") == 0
    assert "3 relevant" in capsys.readouterr().out
    pixels = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert pixels.shape == (198, 510, 3)
    assert (pixels == (0, 158, 115)).all(-1).any()
    assert check("--sheet", "sheet.png") == 2
    assert "exists already" in capsys.readouterr().err


def test_the_contact_sheet_goes_to_a_new_folder_and_an_unknown_kind_of_picture_is_refused(tmp_path, capsys):
    assert check("--sheet", "a/new/sheet.png") == 0
    assert (tmp_path / "a/new/sheet.png").is_file()
    assert check("--sheet", "sheet.xyz") == 2
    assert "call it sheet.png with --sheet" in capsys.readouterr().err


def test_the_contact_sheet_shows_marked_images_however_many_are_without(tmp_path):
    for number in range(60):
        png(tmp_path / "photos" / "nevus" / f"{number}.png", np.full((8, 8, 3), 90))
        png(tmp_path / "masks" / "nevus" / f"{number}.png", np.zeros((8, 8)))
    assert check() == 0
    assert Image.open(tmp_path / "contact_sheet.png").size == (510, 198)  # three tiles


def test_an_image_that_is_cut_off_is_said_and_not_shown(tmp_path, capsys):
    path = tmp_path / "photos" / "mole" / "a.png"
    png(path, np.random.default_rng(0).integers(0, 255, (8, 8, 3)))
    path.write_bytes(path.read_bytes()[:-60])
    assert check() == 0
    assert "1 skipped, unreadable: image 'mole/a.png': the image cannot be read" in capsys.readouterr().out
    assert Image.open(tmp_path / "contact_sheet.png").size == (340, 198)


def test_masks_that_belong_to_no_image_and_missing_folders_are_errors(capsys):
    Path("photos/mole").rename("photos/nevus")
    assert check() == 2
    assert "there is 'mole/a', and the images are called like 'nevus/a.png'" in capsys.readouterr().err
    assert main(["annotations", "check", "photos/nevus", "--data", "nowhere"]) == 2
    assert "There is no folder 'nowhere' of images" in capsys.readouterr().err
    assert main(["annotations", "check", "nothing.csv", "--data", "photos"]) == 2
    assert "no annotations at 'nothing.csv'" in capsys.readouterr().err
