"""ISIC 2017 in its official layout."""

import json
from pathlib import Path

import pytest
import torch

from salreg.recipes.cli import main
from salreg.recipes.config import load
from salreg.recipes.isic import CLASSES, build, make, read, read_lesions


@pytest.fixture
def root(tmp_path):
    make(tmp_path)
    return tmp_path


def table(root, split="Test_v2"):
    return root / f"ISIC-2017_{split}_Part3_GroundTruth.csv"


def test_diagnoses_and_splits_are_those_of_the_tables(root):
    table(root).write_text("image_id,melanoma,seborrheic_keratosis\nISIC_0000000,0.0,1.0\nISIC_0000001,0.0,0.0\n")
    images, splits = read(root)
    assert [len(split) for split in splits] == [90, 30, 2]
    assert [CLASSES[images[index][1]] for index in splits[2]] == ["seborrheic_keratosis", "nevus"]
    assert images.paths[splits[2][0]] == Path("ISIC-2017_Test_v2_Data/ISIC_0000000.jpg")
    assert images[0][0].shape == (3, 64, 64)


def test_the_lesion_is_relevant_and_the_rest_spurious(root):
    lesion = read_lesions(root, "both")["ISIC-2017_Training_Data/ISIC_0000002"].draw((64, 64))
    image = read(root)[0][2][0]
    assert set(lesion.unique().tolist()) == {-1, 1}
    assert image[0][lesion[0] > 0].mean() < 0.5 < image[0][lesion[0] < 0].mean()
    for marked, values in (("relevant", {0, 1}), ("spurious", {-1, 0})):
        regions = read_lesions(root, marked)["ISIC-2017_Training_Data/ISIC_0000002"]
        assert set(regions.draw((64, 64)).unique().tolist()) == values


def test_a_lesion_without_outline_is_not_annotated(root):
    (root / "ISIC-2017_Test_v2_Part1_GroundTruth" / "ISIC_0000000_segmentation.png").unlink()
    test = build(load("isic", [f"data.root={root}"])).test.dataset
    assert not test[0].annotation.any()
    assert test[1].annotation.any()
    assert test[1].annotation.shape == (1, 128, 128)


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(ValueError, match="data.marks is both, relevant, spurious, not 'lesion'"):
        build(load("isic", ["data.marks=lesion"]))
    for text, message in (
        ("image_id,melanoma,seborrheic_keratosis\nISIC_0000000,1,1\n", "ISIC_0000000 has several diagnoses"),
        ("image_id,melanoma\nISIC_0000000,0\n", "has no column 'seborrheic_keratosis'"),
        ("image_id,melanoma,seborrheic_keratosis\n../../secret,1,0\n", "ISIC-2017_Test_v2_Data/secret.jpg is missing"),
    ):
        table(root).write_text(text)
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            read(root)
    table(root).unlink()
    with pytest.raises(FileNotFoundError, match="Point data.root at the folder with the unpacked archives"):
        read(root)


def test_it_runs_and_logs_end_to_end(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fast = ["trainer.max_epochs=1", "snapshots.panel=4", "snapshots.sanity=false", "trainer.enable_progress_bar=false"]
    small = ["data.size=32", "trainer.limit_train_batches=2", "trainer.log_every_n_steps=1", "logger=csv"]
    assert main(["run", "isic", f"data.root={root}", *fast, *small]) == 0
    (folder,) = Path("runs/isic").iterdir()
    results = (folder / "results.json").read_text()
    assert {"test/accuracy_melanoma", "test/spurious_saliency"} <= set(json.loads(results))
    assert "salreg/penalty" in (folder / "logs" / "metrics.csv").read_text()
    assert (folder / "snapshots" / "input_gradient" / "film_strip.png").is_file()


def test_training_images_keep_their_marks_when_they_move(root):
    train = build(load("isic", [f"data.root={root}", "data.size=64"])).train.dataset
    for index in range(10):
        drawn = train[index]
        inside, outside = (drawn.sample[0][0][drawn.annotation[0] == side].mean() for side in (1, -1))
        assert inside + 0.15 < outside
    assert not torch.equal(train[0].annotation, train[1].annotation)
