"""ISIC 2017 in its official layout."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from salreg.recipes.command.cli import main
from salreg.recipes.data.made_lesions import make
from salreg.recipes.experiments.isic import CLASSES, build, read, read_lesions
from salreg.recipes.training.config import load


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("isic"), (18, 6, 12))


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def built(root, *overrides):
    return build(load("isic", [f"data.root={root}", f"data.artefacts={root}/artefacts", *overrides]))


def groups_of(loader):
    return [int(sample.sample[2]) for sample in loader.dataset]


def table(root, split="Test_v2"):
    return root / f"ISIC-2017_{split}_Part3_GroundTruth.csv"


def test_diagnoses_and_splits_are_those_of_the_tables(root):
    table(root).write_text("image_id,melanoma,seborrheic_keratosis\nISIC_0000024,0.0,1.0\nISIC_0000025,0.0,0.0\n")
    images, splits = read(root)
    assert [len(split) for split in splits] == [18, 6, 2]
    assert [CLASSES[images[index][1]] for index in splits[2]] == ["seborrheic_keratosis", "nevus"]
    assert images.paths[splits[2][0]] == Path("ISIC-2017_Test_v2_Data/ISIC_0000024.jpg")
    assert images[0][0].shape == (3, 128, 128)


def test_the_lesion_is_relevant_and_the_rest_spurious(root):
    lesion = read_lesions(root, "both")["ISIC-2017_Training_Data/ISIC_0000002"].draw((0, 0))
    image = read(root)[0][2][0]
    assert set(lesion.unique().tolist()) == {-1, 1}
    assert image[0][lesion[0] > 0].mean() + 0.15 < image[0][lesion[0] < 0].mean()
    for marked, values in (("relevant", {0, 1}), ("spurious", {-1, 0})):
        regions = read_lesions(root, marked)["ISIC-2017_Training_Data/ISIC_0000002"]
        assert set(regions.draw((0, 0)).unique().tolist()) == values


def test_nobody_looked_at_a_lesion_without_outline(root):
    (root / "ISIC-2017_Test_v2_Part1_GroundTruth" / "ISIC_0000024_segmentation.png").unlink()
    test = built(root, "data.marks=both").test.dataset
    assert [test[0].looked_at, test[1].looked_at] == [False, True]
    assert test[1].annotation.any()
    assert test[1].annotation.shape == (1, 48, 48)


def test_an_image_with_an_empty_mask_was_looked_at_and_has_no_artefacts(root):
    experiment = built(root)
    for split in (experiment.train, experiment.validation, experiment.test):
        assert all(sample.looked_at for sample in split.dataset)
        assert [bool(sample.annotation.any()) for sample in split.dataset] == [group >= 3 for group in groups_of(split)]
        assert all((sample.annotation <= 0).all() for sample in split.dataset)


def test_each_class_is_tested_with_and_without_artefacts(root):
    experiment = built(root)
    assert sorted(groups_of(experiment.test)) == [group for group in range(6) for _ in range(2)]
    names = [name for name in experiment.module.by_group if "melanoma" in name]
    assert names == ["accuracy_melanoma_without_artefacts", "accuracy_melanoma_with_artefacts"]
    assert groups_of(built(root, "data.marks=both").test) == [0, 1, 2] * 4


def test_the_reference_trains_on_images_without_artefacts_and_is_tested_on_all(root):
    experiment = built(root, "data.artefacts_in_training=false")
    assert groups_of(experiment.train) == [0, 1, 2] * 3
    assert groups_of(experiment.validation) == [0, 1, 2]
    assert len(experiment.test.dataset) == 12


def test_a_table_of_boxes_may_mark_the_artefacts(root, caplog):
    (root / "boxes.csv").write_text("image,x1,y1,x2,y2\nISIC_0000000.jpg,0,0,20,20\nISIC_0000001.jpg,,,,\n")
    with caplog.at_level("INFO"):
        train = built(root, f"data.artefacts={root}/boxes.csv").train.dataset
    assert [train[index].looked_at for index in range(3)] == [True, True, False]
    assert "36 images, 1 of them with artefacts; nobody looked at 34, which count as images without artefacts." in caplog.text


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(ValueError, match="data.marks must be artefacts, both, relevant, spurious, not 'lesion'"):
        built(root, "data.marks=lesion")
    with pytest.raises(ValueError, match=r"data.artefacts is missing: a folder of masks.* data.marks=both"):
        build(load("isic", [f"data.root={root}"]))
    with pytest.raises(ValueError, match="artefacts_in_training=false needs data.marks=artefacts"):
        built(root, "data.marks=both", "data.artefacts_in_training=false")
    for text, message in (
        ("image_id,melanoma,seborrheic_keratosis\nISIC_0000024,1,1\n", "ISIC_0000024 has several diagnoses"),
        ("image_id,melanoma\nISIC_0000024,0\n", "has no column 'seborrheic_keratosis'"),
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
    assert main(["run", "isic", f"data.root={root}", f"data.artefacts={root}/artefacts", *fast, *small]) == 0
    (folder,) = Path("runs/isic").iterdir()
    results = (folder / "results.json").read_text()
    assert {"test/accuracy_melanoma_with_artefacts", "test/spurious_saliency"} <= set(json.loads(results))
    assert "salreg/penalty" in (folder / "logs" / "metrics.csv").read_text()
    assert (folder / "snapshots" / "input_gradient" / "film_strip.png").is_file()


def test_training_images_keep_their_marks_when_they_move(root):
    train = built(root, "data.size=64", "data.marks=both").train.dataset
    for index in range(10):
        drawn = train[index]
        inside, outside = (drawn.sample[0][0][drawn.annotation[0] == side].mean() for side in (1, -1))
        assert inside + 0.05 < outside
    assert not torch.equal(train[0].annotation, train[1].annotation)
