"""One rasteriser and one rule for all formats."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from readers.examples import FILES, SIDES

from salreg.readers import read_annotations, read_coco
from salreg.readers.checked import box, ellipse, line, polygon, runs
from salreg.readers.coco import run_length_encoded
from salreg.readers.problems import BadShape
from salreg.readers.raster import fill
from salreg.readers.shapes import Line

CORNERS = st.lists(st.tuples(*[st.floats(-20, 60, width=32)] * 2), min_size=3, max_size=12)


@settings(max_examples=200, deadline=None)
@given(CORNERS, st.integers(1, 40), st.integers(1, 40))
def test_polygons_are_those_of_pycocotools_to_the_pixel(corners, height, width):
    canvas = np.zeros((height, width), np.uint8)
    fill(canvas, [np.array(corners)])
    (encoded,) = coco_mask.frPyObjects([[edge for corner in corners for edge in corner]], height, width)
    assert np.array_equal(canvas, coco_mask.decode(encoded))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_run_lengths_are_those_of_pycocotools(data):
    height, width = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits, np.uint8).reshape(height, width)
    encoded = coco_mask.encode(np.asfortranarray(mask))
    segmentation = {"size": [height, width], "counts": encoded["counts"].decode()}
    canvas = np.zeros_like(mask)
    run_length_encoded(segmentation, None).cover(canvas, mask.shape)
    assert np.array_equal(canvas, mask)


def test_a_box_has_the_same_area_from_every_format(tmp_path):
    counts = {}
    for name, (file, text, categories) in FILES.items():
        (tmp_path / file).write_text(text)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            regions = next(iter(read_annotations(tmp_path / file, categories).values()))
        counts[name] = int(-regions.drawn((60, 80), (6, 8)).annotation.sum())
    assert counts == dict.fromkeys(FILES, 600)


def test_a_box_turns_clockwise_about_its_centre():
    canvas = np.zeros((80, 100), np.uint8)
    box(20, 35, 80, 45, rotation=90).cover(canvas, (80, 100))
    assert canvas[10:70, 45:55].all()
    assert canvas.sum() == 600
    canvas[:] = 0
    box(40, 10, 60, 70, rotation=30).cover(canvas, (80, 100))
    assert canvas[15, 60 + 2] == 1  # the upper end leans to the right
    assert canvas[15, 40 - 2] == 0


def test_ellipses_and_lines_have_their_area():
    canvas = np.zeros((200, 200), np.uint8)
    ellipse(100, 100, 60, 30, rotation=45).cover(canvas, (200, 200))
    assert canvas.sum() == pytest.approx(np.pi * 60 * 30, rel=0.01)
    canvas[:] = 0
    line([[20, 100], [180, 100]], 10).cover(canvas, (200, 200))
    assert canvas.sum() == pytest.approx(160 * 10 + np.pi * 25, rel=0.02)
    assert isinstance(line([[0, 0], [1, 1]]), Line)


def test_what_is_too_small_for_the_centre_of_a_pixel_marks_the_pixel_it_lies_in():
    canvas = np.zeros((10, 10), np.uint8)
    assert box(4.1, 4.1, 4.3, 4.3).cover(canvas, (10, 10))
    assert np.argwhere(canvas).tolist() == [[4, 4]]
    small = np.zeros((5, 5), np.uint8)
    assert runs([5050, 1, 4949], (100, 100)).cover(small, (100, 100))
    assert np.argwhere(small).tolist() == [[2, 2]]


@pytest.mark.parametrize(
    "make", [lambda: polygon([[0, 0], [50, 0], [50, 100], [0, 100]]), lambda: runs([0, 5000, 5000], (100, 100))]
)
def test_what_is_drawn_small_lies_where_it_lies_in_the_image(make):
    for size in ((10, 10), (33, 47)):
        canvas = np.zeros(size, np.uint8)
        make().cover(canvas, (100, 100))
        half = round(size[1] / 2)
        assert canvas[:, : half - 1].all()
        assert not canvas[:, half + 1 :].any()


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: box(0, 0, float("nan"), 1), "no number"),
        (lambda: box(5, 5, 1, 1), "no area"),
        (lambda: box(0, 0, None, 1), "no number"),
        (lambda: polygon([[0, 0], [1, 1]]), "too few corners"),
        (lambda: polygon([[0, 0], [1, 0], [2, 0]]), "no area"),
        (lambda: polygon([[0, 0], [5e12, 5], [9, 1]]), "far outside the image"),
        (lambda: polygon("0,0"), "malformed"),
        (lambda: runs([0, -5, 8005], (80, 100)), "wrong run lengths"),
        (lambda: runs([0, 20], (80, 100)), "wrong run lengths"),
        (lambda: runs([0, 2**63], (80, 100)), "wrong run lengths"),
        (lambda: ellipse(1, 1, 0, 1), "no area"),
    ],
)
def test_a_shape_without_a_certain_meaning_is_refused_before_anything_draws_it(make, kind):
    with pytest.raises(BadShape) as error:
        make()
    assert error.value.kind == kind


@pytest.mark.parametrize(
    ("corners", "kind"), [((20, 0, 30, 5), "outside the image"), ((0, 0, 200, 5), "far outside the image")]
)
def test_a_shape_of_another_image_is_refused_when_it_is_drawn(corners, kind):
    with pytest.raises(BadShape) as error:
        box(*corners).cover(np.zeros((10, 10), np.uint8), (10, 10))
    assert error.value.kind == kind


@pytest.mark.parametrize(
    ("segmentation", "pixels", "skipped"),
    [
        ([10, 10, 40, 10, 40, 40], 435, 0),  # a flat list
        ([[[10, 10], [40, 10], [40, 40]]], 435, 0),
        ([[{"x": 10, "y": 10}, {"x": 40, "y": 10}, {"x": 40, "y": 40}]], 435, 0),
        ([[50, 50, 60, 60], [10, 10, 40, 10, 40, 40]], 435, 1),
        ([[]], 600, 0),  # none: the box counts
        ([[10, 10, 40, 40]], 0, 1),
        ("[[1, 2, 3]]", 0, 1),
    ],
)
def test_cocos_polygons_are_drawn_where_their_meaning_is_certain(tmp_path, segmentation, pixels, skipped):
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 80, "width": 100}],
        "categories": [{"id": 1, "name": "ruler"}],
        "annotations": [{"id": 1, "image_id": "1", "category_id": 1, "segmentation": segmentation, "bbox": [10, 10, 30, 20]}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regions = read_coco(tmp_path / "a.json", SIDES)
    assert int(-regions["a"].draw((80, 100)).sum()) == pixels
    assert len(regions.problems) == regions["a"].skipped == skipped
