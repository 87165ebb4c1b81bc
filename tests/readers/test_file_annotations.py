"""How regions are brought to samples: at their size, once, and only what is certain."""

import tracemalloc

import numpy as np
import pytest
import torch

from salreg.readers import FileAnnotations, file_annotations, read_boxes
from salreg.readers.checked import polygon
from salreg.readers.regions import ImageMarks, Mark


@pytest.fixture
def regions(tmp_path):
    (tmp_path / "a.csv").write_text("image,x1,y1,x2,y2\na.jpg,0,0,20,10\n")
    return read_boxes(tmp_path / "a.csv")


@pytest.fixture
def drawings(monkeypatch):
    sizes = []
    drawn = ImageMarks.drawn
    monkeypatch.setattr(ImageMarks, "drawn", lambda self, size, frame=None: sizes.append(size) or drawn(self, size, frame))
    return sizes


def test_marks_are_drawn_at_the_size_of_the_sample_and_once(regions, drawings):
    annotations = FileAnnotations(["a.jpg"], regions, size_of=lambda index: (80, 100))
    sample = torch.zeros(3, 8, 10)
    first = annotations(0, sample)
    assert np.array_equal(first[0], np.pad([[-1, -1]], ((0, 7), (0, 8))))
    first[:] = 5  # the caller's own
    assert int(annotations(0, sample).sum()) == -2
    assert drawings == [(8, 10)]


def test_no_more_is_kept_than_the_bound(regions, drawings, monkeypatch):
    monkeypatch.setattr(file_annotations, "_KEPT_BYTES", 79)
    annotations = FileAnnotations(["a.jpg"], regions, size_of=lambda index: (80, 100))
    for _ in range(2):
        assert int(annotations(0, torch.zeros(3, 8, 10)).sum()) == -2
    assert drawings == [(8, 10)] * 2


def test_a_mark_of_a_stated_size_is_brought_to_an_image_of_another_only_if_asked_to(tmp_path):
    (tmp_path / "a.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,200,160,x,0,0,40,20\n")
    regions = read_boxes(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"of size \(H, W\) = \(160, 200\), its image of \(80, 100\)"):
        FileAnnotations(["a.jpg"], regions, size_of=lambda index: (80, 100))(0, torch.zeros(3, 8, 10))
    annotations = FileAnnotations(["a.jpg"], regions, size_of=lambda index: (80, 100), resize=True)
    assert int(annotations(0, torch.zeros(3, 80, 100)).sum()) == -200
    assert annotations.resized == 1


@pytest.mark.parametrize("resize", [False, True])
def test_a_mark_on_the_photo_on_its_side_is_never_brought_to_the_upright_one(tmp_path, resize):
    (tmp_path / "a.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,100,80,x,0,0,40,20\n")
    regions = read_boxes(tmp_path / "a.csv")
    for upright in ((100, 80), (50, 40)):
        with pytest.raises(ValueError, match="made on the image as stored"):
            FileAnnotations(["a.jpg"], regions, resize=resize)(0, torch.zeros(3, *upright))
    squares = FileAnnotations(["a.jpg"], regions, resize=True)
    assert squares(0, torch.zeros(3, 64, 64)).any()


def test_a_drawing_takes_at_most_four_bytes_a_pixel():
    ring = 1000 + 900 * np.stack([f(np.linspace(0, 6, 50)) for f in (np.cos, np.sin)], 1)
    marks = ImageMarks("made", "a", marks=[Mark("spurious", "", "0", polygon(ring))])
    tracemalloc.start()
    marks.drawn((2000, 2000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2000 * 2000
