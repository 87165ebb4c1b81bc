"""The made photos of skin lesions: the shortcut lies on one class in training, and on the other in the test set."""

import csv

import numpy as np
import pytest
from PIL import Image

from salreg.recipes.data.made_lesions import make

SPLITS = ("Training", "Validation", "Test_v2")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make(tmp_path_factory.mktemp("lesions"), (60, 12, 60))


def photos(root, split):
    """Of each: whether it is a melanoma, its pixels, and its masks of lesion and artefacts."""
    with (root / f"ISIC-2017_{split}_Part3_GroundTruth.csv").open() as file:
        for row in csv.DictReader(file):
            name = row["image_id"]
            pixels, lesion, artefacts = (
                np.asarray(Image.open(path))
                for path in (
                    root / f"ISIC-2017_{split}_Data" / f"{name}.jpg",
                    root / f"ISIC-2017_{split}_Part1_GroundTruth" / f"{name}_segmentation.png",
                    root / "artefacts" / f"{name}.png",
                )
            )
            yield row["melanoma"] == "1.0", pixels.astype(float), lesion > 0, artefacts > 0


def is_ruler(artefacts):
    """Whether the marked region reaches from one border to the opposite one."""
    return artefacts.any(0).all() or artefacts.any(1).all()


@pytest.mark.parametrize("split", SPLITS)
def test_patches_lie_on_benign_lesions_in_training_and_on_melanomas_in_the_test_set(root, split):
    patched, ruled = [], []
    for melanoma, _, _, artefacts in photos(root, split):
        if artefacts.any():
            (ruled if is_ruler(artefacts) else patched).append(melanoma)
    on_melanomas = split == "Test_v2"
    assert set(patched) == {on_melanomas}
    assert set(ruled) == {not on_melanomas}


@pytest.mark.parametrize("split", SPLITS)
def test_half_of_each_class_has_artefacts_and_every_photo_a_mask(root, split):
    has = [(melanoma, bool(artefacts.any())) for melanoma, *_, artefacts in photos(root, split)]
    for melanoma in (True, False):
        assert np.mean([one for kind, one in has if kind == melanoma]) == 0.5


def test_lesions_are_darker_than_the_skin_and_no_artefact_covers_them(root):
    for _, pixels, lesion, artefacts in photos(root, "Training"):
        assert not (lesion & artefacts).any()
        assert 0.05 < lesion.mean() < 0.6
        assert pixels[lesion].mean() + 5 < pixels[~lesion & ~artefacts].mean()


def test_the_same_photos_are_made_every_time(root, tmp_path):
    again = make(tmp_path, (60, 12, 60))
    for path in sorted(root.rglob("*.*")):
        assert (again / path.relative_to(root)).read_bytes() == path.read_bytes()
