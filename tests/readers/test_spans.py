"""Marks of texts, from the tools that make them."""

import json

import pytest

from salreg.readers import SkippedAnnotations, sniff
from salreg.readers.spans import read_spans

SIDES = {"thing": "spurious", "reason": "relevant"}
TEXT = "A ruler 😀 is here."


def doccano(folder):
    lines = [{"id": 1, "text": TEXT, "label": [[2, 7, "thing"], [13, 17, "reason"]]}, {"id": 2, "text": "None.", "label": []}]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder / "a.jsonl"


def doccano_relations(folder):
    entities = [
        {"id": 4, "label": "thing", "start_offset": 2, "end_offset": 7},
        {"id": 5, "label": "reason", "start_offset": 13, "end_offset": 17},
    ]
    lines = [{"text": TEXT, "entities": entities}, {"text": "None.", "entities": []}]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder / "a.jsonl"


def prodigy(folder):
    spans = [{"start": 2, "end": 7, "label": "thing"}, {"start": 13, "end": 17, "label": "reason"}]
    lines = [{"text": TEXT, "spans": spans, "answer": "accept"}, {"text": "None."}, {"text": "Skipped.", "answer": "ignore"}]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder / "a.jsonl"


def label_studio(folder):
    values = [
        {"start": 2, "end": 7, "text": "ruler", "labels": ["thing"]},
        {"start": 14, "end": 18, "text": "here", "labels": ["reason"]},  # counted as browsers do, in which the face is two
    ]
    made = [{"result": [{"type": "labels", "value": value} for value in values]}]
    tasks = [{"data": {"text": TEXT}, "annotations": made}, {"data": {"text": "None."}, "annotations": [{"result": []}]}]
    tasks.append({"data": {"text": "Waiting."}, "annotations": []})
    (folder / "a.json").write_text(json.dumps(tasks))
    return folder / "a.json"


def brat(folder):
    for name, text, marks in (
        ("a", TEXT, "T1\tthing 2 7\truler\nT2\treason 13 17\there\nR1\tis Arg1:T1 Arg2:T2\n"),
        ("b", "None.", ""),
    ):
        (folder / f"{name}.txt").write_text(text)
        (folder / f"{name}.ann").write_text(marks)
    return folder


@pytest.mark.parametrize("tool", [doccano, doccano_relations, prodigy, label_studio, brat])
def test_every_tool_says_the_same_of_a_text(tmp_path, tool):
    marks, found = read_spans(tool(tmp_path), SIDES, strict=True)
    assert set(marks) == {TEXT, "None."}
    assert marks[TEXT].spurious == [(2, 7)]
    assert [TEXT[start:end] for start, end in marks[TEXT].relevant] == ["here"]
    assert marks["None."].spurious == marks["None."].relevant == []
    assert found.labels == {"thing": 1, "reason": 1}


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ([0, 99, "thing"], "the characters 0 to 99 are outside a text of 18"),
        ([5, 2, "thing"], "the characters 5 to 2"),
        ([None, 2, "thing"], "start None and end 2 are not whole numbers"),
        ([0.5, 2, "thing"], "not whole numbers"),
        ([float("nan"), 2, "thing"], "not whole numbers"),
    ],
)
def test_a_span_that_means_nothing_is_skipped_and_named(tmp_path, span, reason):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": TEXT, "label": [[2, 7, "thing"], span]}) + "\nno json\n")
    with pytest.warns(SkippedAnnotations, match=reason):
        marks, found = read_spans(path, {"thing": "spurious"})
    assert marks[TEXT].spurious == [(2, 7)]
    assert (marks[TEXT].skipped, len(found.problems)) == (1, 2)
    with pytest.raises(ValueError, match=reason):
        read_spans(path, {"thing": "spurious"}, strict=True)


def test_words_that_are_not_those_of_the_text_are_named(tmp_path):
    folder = brat(tmp_path)
    (folder / "a.txt").write_text("Another text, quite.")
    with pytest.warns(SkippedAnnotations, match="it marks 'ruler', but the text has 'other' there"):
        read_spans(folder, SIDES)


def test_files_of_texts_are_told_from_those_of_images(tmp_path):
    for tool in (doccano, prodigy, label_studio):
        found = sniff(tool(tmp_path))
        assert found.name == "marks of texts"
        assert "salreg run text_classification" in found.advice


def test_other_ends_of_lines_belong_to_a_text(tmp_path):
    line = json.dumps({"text": "a\u2028ruler\x85x", "label": [[2, 7, "thing"], [True, 5, "thing"]]}, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_text(line + "\r\n", "utf-8", newline="")
    with pytest.warns(SkippedAnnotations, match="1 skipped, no number: .*True"):
        marks, _ = read_spans(tmp_path / "a.jsonl", {"thing": "spurious"})
    assert marks["a\u2028ruler\x85x"].spurious == [(2, 7)]
    (tmp_path / "b.txt").write_text("a\u2028ruler", "utf-8")
    (tmp_path / "b.ann").write_text("T1\tthing 0 7\ta\u2028ruler\r\n", "utf-8", newline="")
    marks, _ = read_spans(tmp_path / "b.ann", {"thing": "spurious"}, strict=True)
    assert marks["a\u2028ruler"].spurious == [(0, 7)]
