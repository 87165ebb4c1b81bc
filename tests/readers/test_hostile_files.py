"""Whatever is wrong with a file: an error that names it, or the rest is read; in bounded time and memory."""

import contextlib
import io
import json
import logging
import os
import re
import resource
import time
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from readers.dicom_files import dicom
from readers.examples import FILES

from salreg.readers import FileAnnotations, read_annotations, read_masks, slides, volumes
from salreg.readers.pictures import opened, size_of

EXAMPLES = int(os.environ.get("HOSTILE_FILES", "150"))
HOSTILE = [
    None, True, "", "x", "nan", "1e999", -1, 0, 0.5, 1e308, -5e12, float("nan"), float("inf"), 2**40, 10**30, [], {}, [[]],
    [None], [1, 2], [[1, 2], [3]], {"size": [10**9, 10**9], "counts": [0, 10**18]}, "\u0000", "ü" * 300, [[[[1]]]],
]  # fmt: skip
TEXTS = ["", "nan", "inf", "-1", "1e30", "99999999999", "x", "0", "1,2;", ";", "0.5", "-1e9", "\u0001", "2000000000, 1"]


def places(content, path=()):
    """The paths of all values in a JSON content."""
    children = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in children:
        yield (*path, key)
        yield from places(value, (*path, key))


def replaced(content, path, value):
    if not path:
        return value
    copy = dict(content) if isinstance(content, dict) else list(content)
    if len(path) == 1 and value is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = replaced(content[path[0]], path[1:], value)
    return copy


@st.composite
def mutated(draw, text):
    """A file's content with one to three things wrong: values of a JSON, words of another file, or single characters."""
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["value", "value", "value", "characters", "cut"]))
        if kind == "cut":
            text = text[: draw(st.integers(0, len(text)))]
        elif kind == "characters" and text:
            place = draw(st.integers(0, len(text) - 1))
            text = text[:place] + draw(st.sampled_from([*'"{}[]<>,;:-9.e\n', "\u0000", "ß"])) + text[place + 1 :]
        else:
            try:
                content = json.loads(text)
                path = draw(st.sampled_from([(), *places(content)]))
                value = draw(st.sampled_from([*HOSTILE, ...])) if path else draw(st.sampled_from(HOSTILE))
                text = json.dumps(replaced(content, path, value))
            except ValueError:
                words = [found.span() for found in re.finditer(r"[^\s\"<>,;=]+", text)]
                if words:
                    start, end = draw(st.sampled_from(words))
                    text = text[:start] + draw(st.sampled_from(TEXTS)) + text[end:]
    return text


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_of_a_damaged_file_but_named_errors(name, tmp_path):
    file, text, categories = FILES[name]
    path = tmp_path / file

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(mutated(text))
    def read(content):
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        started = time.monotonic()
        try:
            regions = read_annotations(path, categories)
            for one in regions.values():
                one.drawn((6, 8), one.stated_size())
            FileAnnotations(["a.jpg", "b.jpg"], regions)
        except ValueError as error:
            said.append(str(error))
        assert time.monotonic() - started < 2

    said: list[str] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read()
    assert all(file in one or "annotated names" in one or "annotations list no image" in one for one in said)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"])
def test_nothing_comes_of_a_damaged_picture_but_errors_that_name_it(kind, tmp_path):
    picture = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((6, 8), np.uint8)
    pixels[1:3, 2:5] = 255
    Image.fromarray(pixels).save(picture, kind, exif=exif)
    path = tmp_path / "a.png"
    changes = st.lists(st.tuples(st.integers(0, len(picture.getvalue()) - 1), st.integers(0, 255)), min_size=1, max_size=4)

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(changes, st.integers(0, 3))
    def read(changed, cut):
        raw = bytearray(picture.getvalue())
        for place, value in changed:
            raw[place] = value
        path.write_bytes(bytes(raw[: len(raw) // 2] if cut == 3 else raw))
        started = time.monotonic()
        regions = read_masks(spurious=tmp_path)["a"]
        regions.drawn((6, 8), regions.stated_size())
        assert time.monotonic() - started < 5

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read()


def a_slide(path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(path, np.zeros((64, 80, 3), np.uint8), tile=(16, 16), photometric="rgb", compression="zlib")


def a_volume(path):
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.eye(4)), path)


def a_dicom(path):
    dicom(path, np.arange(48).reshape(6, 8), WindowCenter=20, WindowWidth=20, RescaleSlope=2, PixelPaddingValue=3)


@pytest.mark.parametrize(
    ("name", "make"), [("a.dcm", a_dicom), ("a.nii", a_volume), ("a.nii.gz", a_volume), ("a.tif", a_slide)]
)
@pytest.mark.filterwarnings("ignore")
def test_nothing_comes_of_damaged_images_of_medicine_but_os_errors(name, make, tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "_LARGE", 1 << 10)
    path = tmp_path / name
    make(path)
    whole = path.read_bytes()
    changes = st.lists(st.tuples(st.integers(0, min(len(whole), 1200) - 1), st.integers(0, 255)), min_size=1, max_size=4)

    def looked_at(read):
        started = time.monotonic()
        with contextlib.suppress(OSError):
            read()
        assert time.monotonic() - started < 5

    @settings(
        max_examples=EXAMPLES // 5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )
    @given(changes, st.integers(0, 6))
    def read(changed, cut):
        raw = bytearray(whole)
        for place, value in changed:
            raw[place] = value
        path.write_bytes(bytes(raw[: len(raw) // 2] if cut == 3 else raw))
        for one in (size_of, volumes.is_volume, volumes.size_of, volumes.read):
            looked_at(lambda one=one: one(path))
        looked_at(lambda: opened(path).__enter__())

    logging.disable(logging.CRITICAL)
    read()
    logging.disable(logging.NOTSET)


def test_a_file_that_is_nested_deeply_is_an_error_or_a_skipped_annotation(tmp_path):
    found = {}
    for depth in (50, 500, 900, 950, 990, 5000):
        content = FILES["coco"][1].replace("[2, 1, 3, 2]", "[" * depth + "]" * depth)
        (tmp_path / "a.json").write_text(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found[depth] = read_annotations(tmp_path / "a.json", FILES["coco"][2]).problems[0].id
            except ValueError as error:
                found[depth] = str(error).partition("a.json ")[2]
    assert set(found.values()) == {"1", "cannot be read as JSON: RecursionError."}
    assert found[50] == "1" != found[5000]


@pytest.mark.parametrize("name", FILES)
def test_the_example_itself_marks_the_box(name, tmp_path):
    file, text, categories = FILES[name]
    (tmp_path / file).write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regions = read_annotations(tmp_path / file, categories, strict=True)
    drawn = next(iter(regions.values())).draw((6, 8))
    assert drawn[0, 1:3, 2:5].tolist() == [[-1] * 3] * 2
    assert int(drawn.sum()) == -6
