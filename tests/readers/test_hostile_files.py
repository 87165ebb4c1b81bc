"""Whatever is wrong with a file: an error that names it, or the rest is read; in bounded time and memory."""

import json
import os
import re
import resource
import time
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readers.examples import FILES

from salreg.readers import FileAnnotations, read_annotations

EXAMPLES = int(os.environ.get("HOSTILE_FILES", "500"))
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
    assert all(file in one or "annotated names" in one or "annotations are of no image" in one for one in said)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


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
