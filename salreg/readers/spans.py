"""Marks of texts: spans of characters from doccano, Prodigy, Label Studio and brat."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from salreg.readers.content import objects, read_json, read_json_lines, read_text
from salreg.readers.folders import single_files
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import SIDES, ImageMarks, Side
from salreg.readers.shapes import Size


class Span(NamedTuple):
    """Characters ``start`` to ``end``, excluded, of a text."""

    start: int
    end: int

    @property
    def own_size(self) -> None:
        return None

    def cover(self, canvas: Any, frame: Size) -> bool:
        raise BadShape("no area", "a span of characters is on no image")


class TextMarks(NamedTuple):
    """The marks of a text that somebody looked at.

    Attributes:
        text: The text.
        spurious: Spans ``(start, end)`` in characters, the end excluded, that the model must not use.
        relevant: Spans that it should use.
        skipped: The number of marks that were skipped.
    """

    text: str
    spurious: list[tuple[int, int]]
    relevant: list[tuple[int, int]]
    skipped: int = 0


class _Text(NamedTuple):
    """A text as a file has it, with its spans (labels, id, start, end, the marked words or None)."""

    text: str
    name: str
    spans: list[tuple[Any, Any, Any, Any, Any]]


def read_spans(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> tuple[dict[str, TextMarks], Readings]:
    """Read the marks of texts, by text, from doccano's or Prodigy's JSONL, Label Studio's JSON of named entities, or brat's
    ``.ann`` next to its ``.txt``.

    Every text that the file lists was looked at, except Prodigy's examples that were not accepted and Label Studio's tasks that
    nobody finished. If a file says which words a span marks, they are checked.

    Args:
        path: The file; for brat, also a folder.
        labels: Which labels are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether a span without a clear meaning raises an error instead of being skipped, named and counted.

    Returns:
        The marks by text, and what else was found: ``problems``, ``notes`` and ``labels``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is none of these formats, or a wanted label does not occur in it.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "a.jsonl")
        >>> _ = open(path, "w").write('{"text": "A ruler", "label": [[2, 7, "thing"]]}\\n{"text": "A mole", "label": []}\\n')
        >>> marks, found = read_spans(path, {"thing": "spurious"})
        >>> marks["A ruler"].spurious, marks["A mole"].spurious
        ([(2, 7)], [])
    """
    path, reading = Path(path), Reading(path, labels, strict)
    texts: dict[str, Any] = {}
    for one in _texts(path, reading):
        image = texts.setdefault(one.text, None) or reading.image(one.name)
        texts[one.text] = image
        for given, id, start, end, words in one.spans:
            reading.mark(image, given, id, _span, one.text, start, end, words)
    found = reading.finish()
    return {text: TextMarks(text, *_by_side(image), image.skipped) for text, image in texts.items()}, found


def _by_side(image: ImageMarks) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    spans = [(mark.side, mark.shape) for mark in image.marks if isinstance(mark.shape, Span)]
    spurious, relevant = ([(span.start, span.end) for of, span in spans if of == side] for side in SIDES)
    return spurious, relevant


def _texts(path: Path, reading: Reading) -> Iterator[_Text]:
    if path.is_dir() or path.suffix.lower() in (".ann", ".txt"):
        yield from _of_brat(path)
        return
    content = None
    if path.suffix.lower() != ".jsonl":
        try:
            content = read_json(path)
        except ValueError:
            if len(read_text(path).splitlines()) < 2:
                raise
    lines = list(enumerate(content if isinstance(content, list) else [content], 1)) if content else read_json_lines(path)
    kinds: tuple[tuple[str, Callable[[Any, str], _Text | None]], ...] = (("data", _of_label_studio), ("text", _of_line))
    for number, one in lines:
        make = next((make for key, make in kinds if isinstance(one, dict) and key in one), None)
        if make is None:
            reading.skip("", f"in line {number}", "malformed", "it is not an object with a text")
        elif (text := make(one, f"text {number}")) is not None:
            yield text


def _of_line(one: Any, name: str) -> _Text | None:
    """Of doccano or Prodigy."""
    if not isinstance(one["text"], str) or one.get("answer", "accept") != "accept":
        return None
    spans: list[tuple[Any, Any, Any, Any, Any]] = []
    for key in ("label", "labels", "spans", "entities"):
        for number, span in enumerate(one[key] if isinstance(one.get(key), list) else ()):
            if isinstance(span, list) and len(span) == 3:
                spans.append((span[2], number, span[0], span[1], None))
            elif isinstance(span, dict):
                start, end = (span.get(edge, span.get(f"{edge}_offset")) for edge in ("start", "end"))
                spans.append((span.get("label"), span.get("id", number), start, end, span.get("text")))
    return _Text(one["text"], name, spans)


def _of_label_studio(task: Any, name: str) -> _Text | None:
    finished = [one for one in objects(task.get("annotations", task.get("completions"))) if not one.get("was_cancelled")]
    results = [result for one in finished for result in objects(one.get("result"))]
    data = task["data"] if isinstance(task["data"], dict) else {}
    fields = {key: value for key, value in data.items() if isinstance(value, str)}
    text = fields.get("text", max(fields.values(), key=len, default=None))
    if not finished or text is None:
        return None
    values = [(one.get("id", number), _value(one)) for number, one in enumerate(results) if "start" in _value(one)]
    spans = [(value.get("labels", []), id, value.get("start"), value.get("end"), value.get("text")) for id, value in values]
    return _Text(text, name, spans)


def _value(one: Mapping[str, Any]) -> Mapping[str, Any]:
    value = one.get("value")
    return value if isinstance(value, dict) else {}


def _of_brat(path: Path) -> Iterator[_Text]:
    """Lines like ``T1<tab>ruler 2 7<tab>ruler``; the spans of one that is in pieces count apart."""
    for file, folder in single_files(path.with_suffix(".ann") if path.suffix == ".txt" else path, ".ann"):
        beside = file.with_suffix(".txt")
        if not beside.is_file():
            raise FileNotFoundError(f"{file} has only the places of marks; {beside} with the text is missing.")
        spans: list[tuple[Any, Any, Any, Any, Any]] = []
        for line in read_text(file).split("\n"):
            id, _, rest = line.partition("\t")
            if id.startswith("T"):
                label, _, places = rest.partition("\t")[0].partition(" ")
                pieces = [piece.split() for piece in places.split(";")]
                words = rest.partition("\t")[2].rstrip("\r") if len(pieces) == 1 else None
                spans += [(label, id, *(piece if len(piece) == 2 else (None, None)), words) for piece in pieces]
        yield _Text(read_text(beside), f"{folder}/{file.stem}", spans)


def _span(text: str, start: Any, end: Any, words: Any) -> Span:
    """A span of a text that says the words it marks, if the file does; also where characters beyond U+FFFF count twice."""
    try:
        first, last = int(start), int(end)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadShape("no number", f"its start {start!r} and end {end!r} are not whole numbers") from error
    if isinstance(start, bool) or isinstance(end, bool):
        raise BadShape("no number", f"its start {start!r} and end {end!r} are not whole numbers")
    if isinstance(start, float) and (start != first or end != last):
        raise BadShape("no number", f"its start {start!r} and end {end!r} are not whole numbers")
    if isinstance(words, str) and text[first:last].split() != words.split():
        units = text.encode("utf-16-le")
        try:
            first, last = (len(units[: 2 * place].decode("utf-16-le")) for place in (first, last))
        except UnicodeDecodeError as error:
            raise BadShape("another text", "it cuts a character in two") from error
        if text[first:last].split() != words.split():
            raise BadShape("another text", f"it marks {words[:40]!r}, but the text has {text[first:last][:40]!r} there")
    if not 0 <= first < last <= len(text):
        raise BadShape("outside the text", f"the characters {first} to {last} are outside a text of {len(text)}")
    return Span(first, last)
