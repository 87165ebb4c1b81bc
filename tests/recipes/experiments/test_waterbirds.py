"""Waterbirds in its official layout."""

import shutil
from pathlib import Path

import pytest
import torch

from salreg.recipes.experiments import waterbirds
from salreg.recipes.experiments.waterbirds import BOXES, GROUPS, METADATA, BirdMarks, build, make, read
from salreg.recipes.training.config import load


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    make(folder := tmp_path_factory.mktemp("waterbirds"))
    return folder


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def test_labels_groups_splits_and_boxes_are_those_of_the_files(root):
    birds = read(root, root / BOXES)
    image, label, group = birds.images[0]
    assert image.shape == (3, 64, 64)
    assert (label, GROUPS[group]) == (0, "land bird on land")
    assert {GROUPS[group] for group, split in zip(birds.images.groups, birds.splits, strict=True) if split == 0} == {
        "land bird on land", "water bird on water",
    }  # fmt: skip
    assert set(birds.images.groups) == {0, 1, 2, 3}
    x, y, width, height = map(float, (root / BOXES).read_text().splitlines()[0].split()[1:])
    assert birds.boxes[0] == (x, y, x + width, y + height)


def test_the_bird_is_inside_its_box(root):
    birds = read(root, root / BOXES)
    image = birds.images[0][0]
    marks = BirdMarks(birds.boxes, "both")(0, birds.images[0])
    bright = image[0] > 0.5
    assert bright.sum() > 300
    assert (marks[0][bright] == 1).all()


@pytest.mark.parametrize(("marked", "values"), [("both", {-1, 1}), ("relevant", {0, 1}), ("spurious", {-1, 0})])
def test_what_is_marked(root, marked, values):
    birds = read(root, root / BOXES)
    assert set(BirdMarks(birds.boxes, marked)(0, birds.images[0]).unique().tolist()) == values


def test_the_official_split_is_kept_and_only_training_images_move(root):
    experiment = build(load("waterbirds", [f"data.root={root}", "data.size=64"]))
    sizes = [len(getattr(experiment, name).dataset) for name in ("train", "validation", "test")]
    assert sizes == [120, 40, 80]
    validation = experiment.validation.dataset
    assert torch.equal(validation[0].sample[0], validation[0].sample[0])
    train = experiment.train.dataset
    assert any(not torch.equal(train[0].annotation, train[0].annotation) for _ in range(5))


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="data.boxes at bounding_boxes.txt of CUB"):
        read(root, root / "nowhere.txt")
    with pytest.raises(FileNotFoundError, match="Point data.root at the folder of Waterbirds"):
        read(root / "nowhere", root / BOXES)
    with pytest.raises(ValueError, match="data.marks must be both, relevant or spurious, not 'box'"):
        build(load("waterbirds", ["data.marks=box"]))
    lines = (root / BOXES).read_text().splitlines()
    (root / BOXES).write_text("\n".join(lines[1:]))
    with pytest.raises(ValueError, match="or .*bounding_boxes.txt has no line '0'"):
        read(root, root / BOXES)
    (root / BOXES).write_text("\n".join([*lines[:3], "3 1 2"]))
    with pytest.raises(ValueError, match="line 4, is not img_id x y width height"):
        read(root, root / BOXES)
    (root / METADATA).write_text("img_id,y\n0,1\n")
    (root / BOXES).write_text("\n".join(lines))
    with pytest.raises(ValueError, match="has no column 'place', or"):
        read(root, root / BOXES)


def test_a_split_without_images_is_named(root):
    text = (root / METADATA).read_text().splitlines()
    (root / METADATA).write_text("\n".join(line for line in text if line.split(",")[3] != "1"))
    with pytest.raises(ValueError, match="has no image for validation"):
        build(load("waterbirds", [f"data.root={root}"]))


def test_the_made_sample_is_made_once():
    assert waterbirds.made(make) == waterbirds.made(make)
    assert (Path(waterbirds.made(make)) / METADATA).is_file()


def test_an_ellipse_leaves_the_corners_of_the_box_to_the_background():
    sample = (torch.zeros(3, 40, 60), 0, 0)
    box = BirdMarks([(10.0, 5.0, 50.0, 25.0)], "both")(0, sample)[0]
    ellipse = BirdMarks([(10.0, 5.0, 50.0, 25.0)], "both", "ellipse")(0, sample)[0]
    assert ((ellipse > 0) <= (box > 0)).all()
    assert ellipse[15, 30] == 1
    assert ellipse[6, 11] == -1
    share = float((ellipse > 0).sum() / (box > 0).sum())
    assert abs(share - 0.64 * torch.pi / 4) < 0.02
    with pytest.raises(ValueError, match="data.outline must be box or ellipse, not 'circle'"):
        BirdMarks([], "both", "circle")


def test_both_birds_count_alike_in_the_loss(root):
    module = build(load("waterbirds", [f"data.root={root}", "data.size=32"])).module
    labels = torch.tensor(read(root, root / BOXES).images.labels)[torch.tensor(read(root, root / BOXES).splits) == 0]
    assert torch.allclose(module.class_weights * labels.bincount(), torch.full((2,), len(labels) / 2))
    assert build(load("waterbirds", [f"data.root={root}", "data.balanced=false"])).module.class_weights is None
