"""A user's own images and annotations."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import ONE_EPOCH

from salreg.recipes.command.cli import main
from salreg.recipes.experiments import image_folder
from salreg.recipes.experiments.image_folder import ImageFolder, build, made_folder
from salreg.recipes.training.config import ConfigError, load


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return made_folder(tmp_path / "photos", 24)


def built(photos, annotations, *overrides):
    config = load("image_folder", [f"data.root={photos}", f"data.annotations={annotations}", *overrides])
    return build(config)


def masks_of(photos):
    mask = np.zeros((48, 48), np.uint8)
    mask[:10, :16] = 255
    for path in photos.glob("*/*.png"):
        target = photos.parent / "masks" / path.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)
    return photos.parent / "masks"


def coco_of(photos):
    paths = sorted(photos.glob("*/*.png"))
    content = {
        "images": [
            {"id": i, "file_name": path.relative_to(photos).as_posix(), "height": 48, "width": 48}
            for i, path in enumerate(paths)
        ],
        "categories": [{"id": 0, "name": "tag"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 0, "bbox": [0, 0, 16, 10]} for i in range(len(paths))],
    }
    (photos.parent / "coco.json").write_text(json.dumps(content))
    return photos.parent / "coco.json"


def label_studio_of(photos):
    value = {"x": 0, "y": 0, "width": 1600 / 48, "height": 1000 / 48, "rectanglelabels": ["tag"]}
    result = {"type": "rectanglelabels", "original_width": 48, "original_height": 48, "value": value}
    tasks = [
        {
            "data": {"image": f"/data/local-files/?d=photos/{path.relative_to(photos).as_posix()}"},
            "annotations": [{"result": [result]}],
        }
        for path in sorted(photos.glob("*/*.png"))
    ]
    (photos.parent / "studio.json").write_text(json.dumps(tasks))
    return photos.parent / "studio.json"


def test_masks_boxes_and_annotation_tools_say_the_same(photos):
    plain = ["data.size=48"]
    batches = [
        next(iter(built(photos, path, *plain, *more).test))
        for path, more in (
            (masks_of(photos), []),
            (photos / "boxes.csv", []),
            (coco_of(photos), ["data.categories={tag: spurious}"]),
            (label_studio_of(photos), ["data.categories={tag: spurious}"]),
        )
    ]
    assert int(batches[0].annotation[0].sum()) == -160
    for batch in batches[1:]:
        assert torch.equal(batch.annotation, batches[0].annotation)
        assert torch.equal(batch.sample[0], batches[0].sample[0])


@pytest.mark.parametrize(("empty", "looked_at"), [("looked at", 22), ("unknown", 20)])
def test_images_without_marks_were_looked_at_unless_it_is_said_otherwise(photos, caplog, empty, looked_at):
    table = photos / "boxes.csv"
    rows = table.read_text().splitlines()
    cleared = [f"{row.partition(',')[0]},,,," for row in rows[1:3]]  # and two others are left out
    table.write_text("\n".join([rows[0], *cleared, *rows[5:]]))
    with caplog.at_level("INFO"):
        experiment = built(photos, table, f"data.empty={empty}")
    assert f"24 images of 2 classes: {looked_at} were looked at, 20 carry marks" in caplog.text
    batches = [batch for split in ("train", "validation", "test") for batch in getattr(experiment, split)]
    assert sum(int(batch.looked_at.sum()) for batch in batches) == looked_at
    assert sum(int(batch.annotation.flatten(1).any(1).sum()) for batch in batches) == 20


def test_masks_without_a_mark_are_said(photos):
    with pytest.warns(UserWarning, match="no image carries a mark, so there is nothing to train against; they have none of 15"):
        built(photos, masks_of(photos), "data.categories={'15': spurious}")


def test_an_annotation_that_does_not_fit_is_named_before_anything_is_trained(photos):
    (photos / "boxes.csv").write_text("image,x1,y1,x2,y2\nbars/000.png,60,0,70,9\n")
    with pytest.raises(
        ValueError, match="No annotation fits its image: .*image 'bars/000.png', annotation in line 2: it is outside"
    ):
        built(photos, photos / "boxes.csv")


def test_two_folders_of_masks_mark_both_sides(photos):
    masks = photos.parent / "both"
    for side, rows in (("spurious", slice(0, 6)), ("relevant", slice(20, 30))):
        mask = np.zeros((48, 48), np.uint8)
        mask[rows] = 255
        for path in photos.glob("*/*.png"):
            target = masks / side / path.relative_to(photos)
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(target)
    annotation = next(iter(built(photos, masks, "data.size=48").test)).annotation[0]
    assert ((annotation < 0).sum(), (annotation > 0).sum()) == (6 * 48, 10 * 48)


def test_categories_may_be_named_only_where_there_are_some():
    with pytest.raises(ConfigError, match=r"no key 'data.categories.tag'"):
        load("decoy_digits", ["data.categories={tag: spurious}"])


def test_classes_are_folders_and_splits_do_not_overlap(photos):
    experiment = built(photos, photos / "boxes.csv")
    chosen = [set(getattr(experiment, split).dataset.base.base.indices) for split in ("train", "validation", "test")]
    assert [len(one) for one in chosen] == [18, 3, 3]
    assert set.union(*chosen) == set(range(24))
    assert ImageFolder(photos).classes == ["bars", "spot"]


def test_an_unreadable_image_is_named_or_left_out(photos):
    (photos / "bars" / "000.png").write_bytes(b"no image")
    images = ImageFolder(photos)
    with pytest.raises(ValueError, match=r"bars/000.png cannot be read.*data.unreadable=skip"):
        images[0]
    tolerant = ImageFolder(photos, skip_unreadable=True)
    assert tolerant.skipped == [Path("bars/000.png")]
    assert len(tolerant) == 23
    assert tolerant[0][0].shape == (3, 48, 48)


def test_an_image_that_is_a_link_out_of_the_root_is_not_read(photos):
    (photos / "bars" / "999.png").symlink_to(photos.parent / "elsewhere.png")
    Image.new("RGB", (4, 4)).save(photos.parent / "elsewhere.png")
    assert len(ImageFolder(photos)) == 24


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.annotations=null"], "data.annotations is missing"),
        (["data.annotations=coco.json"], "Say which categories of coco.json"),
        (["data.root=nowhere", "data.annotations=photos/boxes.csv"], "no folder 'nowhere' of images"),
        (["data.annotations=nowhere.csv"], "no annotations at 'nowhere.csv'"),
        (
            ["data.annotations=photos/bars/000.png"],
            "000.png has no known format. Supported formats: COCO",
        ),
        (["data.annotations=photos/boxes.csv", "data.unreadable=perhaps"], "fatal or skip, not 'perhaps'"),
        (["data.annotations=photos/boxes.csv", "data.held_out=0.6"], "held_out must be a share"),
        (["data.annotations=photos/boxes.csv", "data.empty=nothing"], "empty must be 'looked at' or 'unknown', not 'nothing'"),
    ],
)
def test_mistakes_are_one_line(photos, capsys, overrides, message):
    coco_of(photos)
    assert main(["run", "image_folder", f"data.root={photos}", *overrides, *ONE_EPOCH]) == 2
    assert message in capsys.readouterr().err


def test_it_runs_on_a_users_folder_and_on_a_made_one(photos, monkeypatch):
    assert main(["run", "image_folder", f"data.root={photos}", f"data.annotations={masks_of(photos)}", *ONE_EPOCH]) == 0
    monkeypatch.setattr(image_folder.made_folder, "__defaults__", (24,))
    assert main(["run", "image_folder", *ONE_EPOCH]) == 0
    assert len(list(Path("runs").rglob("film_strip.png"))) >= 2
