"""Your own texts, from a table, with marks from an annotation tool's spans or a list of words."""

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from salreg.annotations import from_character_spans, from_lexicon
from salreg.data import AnnotatedDataset
from salreg.names import nearest
from salreg.readers import SkippedAnnotations
from salreg.readers.content import read_table
from salreg.readers.problems import Problem, by_kind
from salreg.readers.spans import TextMarks, read_spans
from salreg.recipes.data import texts
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import text_networks
from salreg.recipes.networks.classifier import Classifier

_WORD = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")


def column(rows: list[tuple[int, dict[str, str]]], name: str, columns: list[str], path: Path, key: str) -> list[str]:
    """A column of a table.

    Raises:
        ValueError: There is no column of that name.
    """
    if name not in columns:
        raise ValueError(
            f"{path} has no column {name!r}{nearest(name, columns)}; {key} names it. It has: {', '.join(columns)}."
        )
    return [row.get(name, "") for _, row in rows]


def classes_of(labels: list[str], path: Path) -> list[str]:
    """The classes that occur, sorted.

    Raises:
        ValueError: There are fewer than two classes, an empty one, or nearly as many as rows.
    """
    classes = sorted(set(labels))
    if "" in classes:
        raise ValueError(f"{path}: row {labels.index('') + 1} has no label.")
    if not 2 <= len(classes) <= max(2, len(labels) // 2):
        raise ValueError(
            f"{path} has {len(classes)} classes in {len(labels)} rows; it needs at least two, with several rows each."
        )
    return classes


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module; every seed draws the held-out texts anew."""
    data = config.data
    written, labels, marks = made_reviews() if data.root is None else _read(data)
    path = Path(data.root or "the made table")
    classes = classes_of(labels, path)
    words = [list(_WORD.finditer(text))[: data.longest] for text in written]
    empty = [number for number, found in enumerate(words) if not found]
    if empty:
        raise ValueError(f"{path}: row {empty[0] + 1} has no words.")
    annotations, problems = _annotations(written, words, marks, data)
    for line in by_kind(problems):
        rank_zero_warn(f"salreg: {line}")
    looked_at = sum(one is not None for one in annotations)
    marked = sum(one is not None and bool(one.any()) for one in annotations)
    rank_zero_info(
        f"salreg: {len(written)} texts of {len(classes)} classes: {looked_at} were looked at, {marked} carry marks; "
        f"{len(set(marks) - set(written))} annotations without text."
    )
    if not looked_at and (data.annotations or data.root is None):
        raise ValueError(f"None of the {len(marks)} annotated texts is one of the {len(written)} in {path}.")
    if not 0 < data.held_out < 0.5:
        raise ValueError(f"data.held_out must be a share in (0, 0.5), because it is held out twice, not {data.held_out}.")
    order = torch.randperm(len(written), generator=torch.Generator().manual_seed(config.seed)).tolist()
    held_out = max(int(data.held_out * len(written)), 2)
    splits = order[2 * held_out :], order[held_out : 2 * held_out], order[:held_out]
    lower = [[word.group().lower() for word in found] for found in words]
    vocabulary = texts.Vocabulary([lower[number] for number in splits[0]], least=data.least)
    net = text_networks.build(config.model.name, len(vocabulary), len(classes))
    loaders = [
        texts.text_loader(
            AnnotatedDataset(
                texts.Texts(
                    [lower[n] for n in chosen],
                    [classes.index(labels[n]) for n in chosen],
                    [0] * len(chosen),
                    vocabulary,
                    classes,
                ),
                [annotations[n] for n in chosen],
                empty=data.empty,
            ),
            data,
            shuffle=chosen is splits[0],
        )
        for chosen in splits
    ]
    return Experiment(Classifier(net, ["all"], len(classes), **config.optimizer), *loaders)


def _read(data: Any) -> tuple[list[str], list[str], dict[str, TextMarks]]:
    """The texts, their labels, and the marks by text."""
    path = Path(data.root)
    columns, rows = read_table(path, verbatim=True)
    written = column(rows, data.text, columns, path, "data.text")
    labels = [label.strip() for label in column(rows, data.label, columns, path, "data.label")]
    if data.annotations is None and not data.words:
        raise ValueError("data.annotations is missing: a file of spans; or data.words, a list of words that must not be used.")
    if data.annotations is None:
        return written, labels, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedAnnotations)  # reported below
        marks, found = read_spans(data.annotations, dict(data.categories), strict=data.strict)
    for line in by_kind(found.problems):
        rank_zero_warn(f"salreg: {line}")
    return written, labels, marks


def _annotations(
    written: list[str], words: list[list[re.Match[str]]], marks: dict[str, TextMarks], data: Any
) -> tuple[list[Tensor | None], list[Problem]]:
    """The annotation of each text, None if nobody looked: the words in ``data.words`` in all texts, or the spans."""
    found: list[Tensor | None] = []
    problems: list[Problem] = []
    for number, (text, tokens) in enumerate(zip(written, words, strict=True)):
        one = marks.get(text)
        if data.words:
            found.append(from_lexicon([token.group() for token in tokens], spurious=list(data.words)))
        elif one is None or (one.skipped and not one.spurious and not one.relevant):
            found.append(None)
        else:
            offsets = [token.span() for token in tokens]
            try:
                found.append(from_character_spans(offsets, spurious=one.spurious, relevant=one.relevant, truncated=True))
            except ValueError as error:
                if data.strict:
                    raise
                found.append(None)
                problems.append(Problem(str(data.annotations), "", f"of the text in row {number + 1}", "no words", str(error)))
    return found, problems


def made_reviews(size: int = 400) -> tuple[list[str], list[str], dict[str, TextMarks]]:
    """Short reviews with a rating that gives the label away; the rating is marked in every other review."""
    generator = torch.Generator().manual_seed(0)
    good, bad = ("warm", "clever", "moving", "funny"), ("dull", "slow", "empty", "loud")
    written, labels, marks = [], [], {}
    for number in range(size):
        pick = torch.randint(4, (3,), generator=generator).tolist()
        kind = number % 2
        start = f"The film, number {number}, was {(bad, good)[kind][pick[0]]} and {(good, bad)[kind][pick[1]]}, then "
        text = f"{start}{(bad, good)[kind][pick[2]]}: {('one', 'five')[kind]} stars."
        written.append(text)
        labels.append(("bad", "good")[kind])
        if number % 4 < 2:
            begin = text.index(": ") + 2
            marks[text] = TextMarks(text, [(begin, len(text) - 1)], [])
    return written, labels, marks
