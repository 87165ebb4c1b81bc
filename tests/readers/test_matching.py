"""Names of images and of annotations, which meet although tools write them differently."""

import pytest

from salreg.readers.matching import match


def differences(image, regions):
    found = match([image, "other/zzz.jpg"], [regions])
    return list(found.differences) if found.regions[0] == 0 else None


@pytest.mark.parametrize(
    ("image", "regions", "by"),
    [
        ("moles/a.jpg", "moles/a.jpg", []),
        ("moles/a.jpg", "moles/a", []),
        ("moles/a.jpg", "moles\\a.jpg", []),
        ("moles/a.jpg", "moles/a.png", ["the suffix"]),
        ("moles/a.jpg", "a.jpg", ["the folder"]),
        ("moles/a.jpg", "images/moles/a.jpg", ["the folder"]),
        ("moles/a.jpg", "/photos/moles/a.jpg", ["the folder"]),
        ("moles/a.jpg", "D:\\photos\\moles\\a.jpg", ["the folder"]),
        ("moles/a.jpg", "https://example.org/moles/a.jpg", ["the folder"]),
        ("moles/a.jpg", "/photos/a.jpg", ["the folders"]),
        ("moles/a.jpg", "s3://bucket/unsorted/a.jpg", ["the folders"]),
        ("moles/a.jpg", "unsorted/a.jpg", None),
        ("a b.jpg", "a%20b.jpg", ["percent signs or the way of writing accents"]),
        (
            "\u00fc.jpg",
            "u\u0308.jpg",
            ["percent signs or the way of writing accents"],
        ),
        ("IMG_1.JPG", "img_1.jpg", ["upper and lower case"]),
        ("ISIC_1.jpg", "ISIC_1_segmentation", ["what a tool added"]),
        ("ISIC_1.jpg", "ISIC_1_superpixels", ["what a tool added"]),
        ("a.jpg", "a_mask", ["what a tool added"]),
        ("a.jpg", "a.jpg.png", ["what a tool added"]),
        ("x/My Image (1).jpg", "My_Image_1.jpg", ["the folder, what a tool added"]),
        ("a.jpg", "8e2b5dff-a.jpg", ["what a tool added"]),
        ("scan:1.png", "scan:1.png", []),
        ("1.2.840.1", "1.2.840.1", []),
        ("1.2.840.1", "1.2.840.2", None),
        ("a.jpg", "b.jpg", None),
    ],
)
def test_names_meet_by_the_weakest_difference(image, regions, by):
    assert differences(image, regions) == by


def test_the_exact_name_comes_first():
    found = match(["a.jpg", "A.jpg", "x/a.jpg"], ["a.jpg", "A.jpg", "x/a.png"])
    assert found.regions == [0, 1, 2]
    assert found.ambiguous == []


def test_twins_that_differ_in_the_suffix_are_never_merged():
    assert match(["x/a.jpg", "x/a.png"], ["x/a.png", "x/a.jpg"]).regions == [1, 0]
    assert match(["x/a.jpg"], ["x/a.jpg", "x/a.png"]).regions == [0]


def test_what_fits_several_is_named_with_two_of_them():
    found = match(["a.jpg", "A.jpg"], ["a_mask"])
    assert found.regions == [None, None]
    assert found.ambiguous == ["the annotations of 'a_mask' fit the images 'a.jpg' and 'A.jpg'"]
    found = match(["a.jpg"], ["a_mask", "a_segmentation"])
    assert found.ambiguous == ["the image 'a.jpg' fits the annotations of 'a_mask' and 'a_segmentation'"]


def test_a_path_from_another_root_meets_a_bare_name_last_of_all():
    found = match(["moles/a.png", "x/a.jpg"], ["/data/moles/a.jpg"])
    assert found.regions == [0, None]
    assert match(["x/a.jpg", "y/a.jpg"], ["/data/a.jpg"]).regions == [None, None]
