"""Carrying the marks of some images over to a folder of them."""

import contextlib
import csv
import io
import shutil
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from salreg.propagation import propagate
from salreg.readers import FileAnnotations, read_masks
from salreg.recipes.command import annotations_propagate
from salreg.recipes.command.cli import main
from salreg.recipes.command.parser import parsed
from salreg.recipes.experiments.image_folder import made_folder

PHOTOS, MARKED = 40, 12


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Forty photos with a tag of 10 x 16 pixels in a corner, twelve of them with a mask."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "photos").mkdir()
    made_folder(folder / "photos", PHOTOS)
    mask = np.zeros((48, 48), np.uint8)
    mask[:10, :16] = 255
    for path in sorted(folder.glob("photos/*/*.png"))[::3][:MARKED]:
        target = folder / "masks" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)
    return folder


def train_less(patch, steps, **others):
    fewer = {"side": 16, "steps": steps, **others}
    patch.setattr(annotations_propagate, "propagate", lambda dataset, **options: propagate(dataset, **options | fewer))


def carry_over(*options):
    return main(["annotations", "propagate", "masks", "--data", "photos", "--out", "all", *options])


@pytest.fixture(scope="module")
def carried(made, tmp_path_factory):
    """A folder in which marks were carried over, and what was printed."""
    folder = shutil.copytree(made, tmp_path_factory.mktemp("carried"), dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.chdir(folder)
        train_less(patch, steps=30)
        assert carry_over("--sheet", "sheet.png") == 0
    return folder, printed.getvalue()


@pytest.fixture
def photos(made, tmp_path, monkeypatch):
    """Photos on which hardly anything is learned, but whose marks are carried over all the same."""
    train_less(monkeypatch, steps=6, least_quality=0.0)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def test_every_image_gets_a_mask_that_is_read_again(carried, monkeypatch):
    folder, said = carried
    monkeypatch.chdir(folder)
    assert f"Masks of {PHOTOS} images: all. {MARKED} are your own; of the other 28, " in said
    assert f"On {MARKED} marked samples" in said
    images = [path.relative_to("photos").as_posix() for path in sorted(Path("photos").glob("*/*.png"))]
    marks = FileAnnotations(images, read_masks(spurious="all"))
    assert marks.without == marks.unused == []
    for path in Path("masks").rglob("*.png"):
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Image.open("all" / path.relative_to("masks"))))
    truth = np.zeros((48, 48), bool)
    truth[:10, :16] = True
    masks = [np.asarray(Image.open(path)) > 0 for path in Path("all").rglob("*.png")]
    assert np.mean([(mask & truth).sum() / (mask | truth).sum() for mask in masks]) > 0.7


def test_a_list_and_a_picture_say_what_to_look_at_next(carried, monkeypatch):
    monkeypatch.chdir(carried[0])
    with Path("all_look_next.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == PHOTOS - MARKED
    assert not {Path(row["path"]) for row in rows} & {path.relative_to("masks") for path in Path("masks").rglob("*.png")}
    uncertainties = [float(row["uncertainty"]) for row in rows]
    assert uncertainties == sorted(uncertainties, reverse=True)
    assert Image.open("sheet.png").size == (6 * 170, 4 * 186)


def unmarked():
    return sorted(path for path in Path("photos").glob("*/*.png") if not Path("masks", path.relative_to("photos")).exists())


@pytest.mark.usefixtures("photos")
def test_the_picture_shows_photos_upright_like_their_masks():
    for path in unmarked()[:10]:  # so that the picture shows all others
        path.unlink()
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (60, 20), "red").save("photos/turned.jpg", exif=turned)
    assert carry_over() == 0
    with Path("all_look_next.csv").open() as file:
        place = [row["path"] for row in csv.DictReader(file)].index("turned.jpg")
    tile = np.asarray(Image.open("contact_sheet.png"))[186 * (place // 6) :, 170 * (place % 6) :][:165, :165]
    red = (tile[..., 0] > 200) & (tile[..., 1] < 60)
    assert red.any(1).sum() > 2 * red.any(0).sum()


@pytest.mark.usefixtures("photos")
def test_photos_that_differ_only_in_the_suffix_each_get_their_mask():
    twin = unmarked()[0].with_suffix(".jpg")
    Image.open(unmarked()[0]).crop((0, 0, 48, 30)).save(twin)
    assert carry_over() == 0
    images = [path.relative_to("photos").as_posix() for path in Path("photos").glob("*/*.*")]
    marks = FileAnnotations(images, read_masks(spurious="all"))
    assert marks.without == marks.unused == []
    drawn = marks(images.index(twin.relative_to("photos").as_posix()), torch.zeros(3, 30, 48))
    assert drawn.shape == (1, 30, 48)


@pytest.mark.usefixtures("photos")
def test_relevant_marks_stay_in_a_folder_of_their_own():
    shutil.move("masks", "marks/spurious")
    first = next(Path("marks/spurious").rglob("*.png"))
    target = Path("marks/relevant") / first.relative_to("marks/spurious")
    target.parent.mkdir(parents=True)
    Image.fromarray(np.flipud(np.asarray(Image.open(first)))).save(target)
    shutil.move("marks", "masks")
    assert carry_over() == 0
    assert len(list(Path("all/spurious").rglob("*.png"))) == PHOTOS
    assert [path.relative_to("all/relevant") for path in Path("all/relevant").rglob("*.png")] == [
        first.relative_to("marks/spurious")
    ]


@pytest.mark.usefixtures("photos")
def test_a_run_s_checkpoint_says_where_it_uses_what_was_found(capsys):
    fast = ["trainer.max_epochs=1", "snapshots.panel=2", "snapshots.sanity=false", "logger=none", "data.size=16"]
    quiet = ["trainer.enable_progress_bar=false", "regularizer.preset=null"]
    assert main(["run", "image_folder", "data.root=photos", "data.annotations=masks", *fast, *quiet]) == 0
    (checkpoint,) = Path("runs").rglob("last.ckpt")
    assert carry_over("--checkpoint", str(checkpoint)) == 0
    with Path("all_look_next.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["influence"]) >= 0 for row in rows)
    assert len({row["influence"] for row in rows}) > 10

    for number, damaged in enumerate((b"", b"no checkpoint", checkpoint.read_bytes()[:1000])):
        Path(checkpoint.parent, "damaged.ckpt").write_bytes(damaged)
        options = ("--out", f"{number}", "--sheet", f"{number}.png", "--checkpoint", f"{checkpoint.parent}/damaged.ckpt")
        assert carry_over(*options) == 2
        assert "damaged.ckpt cannot be read, so it is damaged or no checkpoint" in capsys.readouterr().err

    settings = checkpoint.parent.parent / "config.yaml"
    settings.write_text(settings.read_text().replace("recipe: image_folder", "recipe: decoy"))
    assert carry_over("--out", "others", "--sheet", "other.png", "--checkpoint", str(checkpoint)) == 2
    assert "belongs to the recipe 'decoy'; --checkpoint accepts only runs of image_folder" in capsys.readouterr().err
    settings.unlink()
    assert carry_over("--out", "others", "--sheet", "other.png", "--checkpoint", str(checkpoint)) == 2
    assert "config.yaml: the checkpoint must be in the folder" in capsys.readouterr().err
    assert not Path("others").exists()


@pytest.mark.usefixtures("photos")
def test_nothing_is_overwritten(capsys):
    for name in ("all/mask.png", "contact_sheet.png", "all_look_next.csv"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
        assert carry_over() == 2
        assert "exists already; nothing was written" in capsys.readouterr().err
        Path(name).unlink()


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--out", "photos/all"),
            "photos/all would lie in the folder of the images, photos, and be taken for one of them later",
        ),
        (("--sheet", "photos/sheet.png"), "photos/sheet.png would lie in the folder of the images"),
        (("--sheet", "sheet.xyz"), "call it sheet.png with --sheet"),
        (("--out", "report.txt/all"), "is no folder that you may write to: see --out"),
    ],
)
def test_places_that_cannot_be_written_are_refused_before_anything_is_learned(options, message, capsys, monkeypatch):
    Path("report.txt").touch()
    monkeypatch.setattr(annotations_propagate, "propagate", lambda *_, **__: pytest.fail("learned"))
    assert carry_over(*options) == 2
    assert message in capsys.readouterr().err
    assert not Path("all").exists()


@pytest.mark.usefixtures("photos")
def test_the_folder_of_the_picture_is_made():
    assert carry_over("--sheet", "a/new/sheet.png") == 0
    assert Path("a/new/sheet.png").is_file()


@pytest.mark.usefixtures("photos")
def test_a_low_quality_is_refused_and_nothing_is_written(capsys, monkeypatch):
    train_less(monkeypatch, steps=2)
    assert carry_over("--least-quality", "0.95") == 2
    error = capsys.readouterr().err
    assert "The IoU is below the least IoU of 0.95, so nothing was carried over" in error
    assert not Path("all").exists()
    assert not Path("contact_sheet.png").exists()


def test_the_command_asks_for_the_quality_that_the_function_asks_for():
    options = parsed(["annotations", "propagate", "marks", "--data", "photos", "--out", "all"])
    assert options.least_quality == signature(propagate).parameters["least_quality"].default


@pytest.mark.usefixtures("photos")
def test_few_marks_are_refused(capsys):
    for path in sorted(Path("masks").rglob("*.png"))[3:]:
        path.unlink()
    assert carry_over() == 2
    assert "3 of 40 samples have a spurious mark, 3 were looked at; at least 4 marked ones" in capsys.readouterr().err
