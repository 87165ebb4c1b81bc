"""Film reviews with the words from which a person inferred the sentiment: does a network learn to use the same words?

ERASER's "movies" (DeYoung et al. 2020; reviews and rationales of Zaidan et al. 2007). The rationale is marked relevant.
"""

import json
import random
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig
from torch import Tensor

from salreg.annotations import from_token_spans, marks
from salreg.data import AnnotatedDataset
from salreg.recipes.data import texts
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import text_networks
from salreg.recipes.networks.classifier import Classifier

CLASSES = ("negative", "positive")
_LABELS = {"NEG": 0, "POS": 1}
_FILES = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}


class Reviews(NamedTuple):
    """The words of each review, labels, and annotations ``(T,)``; None if nobody gave a reason."""

    words: list[list[str]]
    labels: list[int]
    annotations: list[Tensor | None]


def read(root: Path, name: str, longest: int) -> Reviews:
    """A split in ERASER's layout: ``<name>.jsonl`` and ``docs/<id>``.

    Args:
        root: The folder.
        name: ``train.jsonl``, ``val.jsonl`` or ``test.jsonl``.
        longest: The number of words read of a review; rationales after it are cut off, too.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A line lacks a field, has an unknown class, a document outside ``docs``, or a rationale outside its
            document; the message names the line.
    """
    path = root / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there{nearest_path(path)}. "
            f"Point data.root at the unpacked movies.tar.gz of ERASER, with {', '.join(_FILES.values())} "
            "and docs, or leave data.root empty for a small generated sample."
        )
    reviews = Reviews([], [], [])
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            words = _document(root / "docs", record["annotation_id"])
            spans = [(one["start_token"], one["end_token"]) for group in record["evidences"] for one in group]
            spans = [(start, end) for start, end in spans if start != end]  # some rationales of the test set are empty
            label = _LABELS[record["classification"]]
            found = from_token_spans(len(words), relevant=spans) if spans else None
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        reviews.words.append(words[:longest])
        reviews.labels.append(label)
        reviews.annotations.append(None if found is None else found[:longest])
    return reviews


def made_reviews(size: int, seed: int) -> Reviews:
    """Reviews of forty words: two or three state the sentiment, and five others agree with it two times out of three."""
    good, bad = ["good", "great", "fine", "lovely", "moving"], ["bad", "poor", "dull", "awful", "boring"]
    casts, fillers = (["smith", "jones"], ["clark", "davis"]), [f"word{number}" for number in range(60)]
    rng = random.Random(seed)
    reviews = Reviews([], [], [])
    for number in range(size):
        label = number % 2
        words = rng.choices(fillers, k=40)
        places = rng.sample(range(40), 8)
        reasons, along = places[: rng.choice((2, 3))], places[3:]
        for place in reasons:
            words[place] = rng.choice(good if label else bad)
        for place in along:
            words[place] = rng.choice(casts[label if rng.random() < 2 / 3 else 1 - label])
        reviews.words.append(words)
        reviews.labels.append(label)
        reviews.annotations.append(from_token_spans(40, relevant=[(place, place + 1) for place in reasons]))
    return reviews


def keep_rationales(reviews: Reviews, share: float) -> Reviews:
    """Drop all but a share of the annotations, always the same ones.

    Raises:
        ValueError: ``share`` is not in [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"data.rationales must be a share in [0, 1], not {share}.")
    size = len(reviews.labels)
    kept = set(random.Random(0).sample(range(size), round(share * size)))
    return reviews._replace(annotations=[one if i in kept else None for i, one in enumerate(reviews.annotations)])


def reasons(annotation: Tensor) -> list[tuple[int, int]]:
    """Start and end of each run of relevant words.

    Example:
        >>> reasons(from_token_spans(5, relevant=[(0, 2), (4, 5)]))
        [(0, 2), (4, 5)]
    """
    relevant = [False, *marks(annotation).relevant.flatten().bool().tolist(), False]
    edges = [place for place in range(len(relevant) - 1) if relevant[place] != relevant[place + 1]]
    return list(zip(edges[::2], edges[1::2], strict=True))


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    data = config.data
    if data.longest < 1:
        raise ValueError(f"data.longest must be at least 1, not {data.longest}.")
    if data.root is None:
        splits = {name: made_reviews(size, seed) for seed, (name, size) in enumerate(zip(_FILES, (800, 200, 400), strict=True))}
    else:
        splits = {name: read(Path(data.root), file, data.longest) for name, file in _FILES.items()}
    splits["train"] = keep_rationales(splits["train"], data.rationales)
    vocabulary = texts.Vocabulary(splits["train"].words, least=data.least)
    net = text_networks.build(config.model.name, len(vocabulary))
    loaders = []
    for name, (words, labels, annotations) in splits.items():
        reviews = texts.Texts(words, labels, [0] * len(labels), vocabulary, CLASSES)
        loaders.append(texts.text_loader(AnnotatedDataset(reviews, annotations), data, shuffle=name == "train"))
    return Experiment(Classifier(net, ["all"], len(CLASSES), **config.optimizer), *loaders, rationale=True)


def _document(folder: Path, name: str) -> list[str]:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"the document {name!r} is not below {folder}.")
    if not path.is_file():
        raise ValueError(f"there is no document {path}.")
    return path.read_text("utf-8").split()
