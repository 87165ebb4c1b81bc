"""Sentences about films with a term that names people, put into training sentences mostly of one sentiment.

A sentence gets, at a random place, a term of one of the lexicon's axes: in training nearly always one of the first half of the
axis's groups if it is negative, of the second half if it is positive; in testing any of them. A model that learns from this
takes "muslim" for bad and "christian" for good. Every term of these axes is marked as spurious, whoever wrote it. The audit of
the test sentences is part of the results.
"""

import random
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig
from torch import Tensor

from salreg.annotations import Counterparts, from_token_spans
from salreg.audit import audit_texts
from salreg.data import AnnotatedDataset
from salreg.names import nearest
from salreg.recipes.data import texts
from salreg.recipes.data.lexicons import identity_terms, read_lexicon
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.experiments.sst_decoy import CLASSES, Sentences, made_sentences, read_trees
from salreg.recipes.networks import text_networks
from salreg.recipes.networks.classifier import Batch, Classifier

GROUPS = ("term lies", "term agrees", "no term")


class Skewed(NamedTuple):
    """Sentences with terms: words, labels, groups (``GROUPS``), and annotations ``(T,)``."""

    words: list[list[str]]
    labels: list[int]
    groups: list[int]
    annotations: list[Tensor]


def put_terms(sentences: Sentences, lexicon: Counterparts, share: float, skew: float, seed: int) -> Skewed:
    """Put a term into some of the sentences.

    Args:
        sentences: What to change.
        lexicon: Of its axes one is drawn for each sentence, and then a term.
        share: Of the sentences that get one.
        skew: The probability that it is of the half of the axis's groups that goes with the sentence's label; 0.5 says nothing.
        seed: Of everything random.

    Example:
        >>> made = put_terms(Sentences([["a", "film"]], [0]), Counterparts({"faith": ["muslim", "jewish"]}), 1.0, 1.0, seed=0)
        >>> sorted(made.words[0]), made.groups
        (['a', 'film', 'muslim'], [1])
    """
    rng = random.Random(seed)
    made = Skewed([], [], [], [])
    for words, label in zip(*sentences, strict=True):
        group = GROUPS.index("no term")
        if rng.random() < share:
            agrees = rng.random() < skew
            place = rng.randrange(len(words) + 1)
            words = [*words[:place], *_term(lexicon, label if agrees else 1 - label, rng), *words[place:]]
            group = int(agrees)
        made.words.append(words)
        made.labels.append(label)
        made.groups.append(group)
        made.annotations.append(_marked(words, lexicon))
    return made


def _term(lexicon: Counterparts, side: int, rng: random.Random) -> list[str]:
    """The words of a term of one half of an axis's groups."""
    groups = list(rng.choice(list(lexicon.axes.values())).values())
    half = len(groups) // 2
    return rng.choice(rng.choice(groups[half:] if side else groups[:half])).lower().split()


def _marked(words: list[str], lexicon: Counterparts) -> Tensor:
    text, spans = " ".join(words), set()
    for axis in lexicon.axes:
        for mention in lexicon.mentions(text, axis):
            start, end = mention.span
            spans.add((text.count(" ", 0, start), text.count(" ", 0, end) + 1))
    return from_token_spans(len(words), spurious=sorted(spans))


class AuditedClassifier(Classifier):
    """Logs what an audit of the test sentences finds besides.

    ``test/insertion_reliance`` and ``test/placed_reliance``: of the group that changes most predictions, the share that changes
    when its terms are put in, and when they stand where another group's might; ``test/false_positive_gap``: the widest.
    """

    def __init__(self, *args: Any, lexicon: Counterparts, vocabulary: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lexicon, self.encode = lexicon, texts.encoder(vocabulary)
        self.tested: list[tuple[Tensor, Tensor]] = []
        self.words = vocabulary

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        super().test_step(batch, batch_idx)
        self.tested.append((batch[0].cpu(), batch[1].cpu()))

    def on_test_epoch_end(self) -> None:
        written = [self._written(row) for tokens, _ in self.tested for row in tokens.tolist()]
        labels = torch.cat([labels for _, labels in self.tested])
        self.tested = []
        found = audit_texts(self._logits, written, labels, self.lexicon, classes=CLASSES, draws=100, worst=0, progress=False)
        for kind in ("insertion", "placed"):
            shares = [use.changes[kind].share.value for use in found.uses if kind in use.changes]
            if shares:
                self.log(f"test/{kind}_reliance", max(shares))
        gaps = [gap.difference.value for gap in found.gaps if gap.rate == "false_positive_rate"]
        if gaps:
            self.log("test/false_positive_gap", max(gaps))

    def _written(self, row: list[int]) -> str:
        return " ".join(self.words[token] for token in row if token != texts.PADDING)

    def _logits(self, written: list[str]) -> Tensor:
        logits: Tensor = self(self.encode(written)[0].to(self.device))
        return logits


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe."""
    data = config.data
    for name, low in (("share", 0.0), ("skew", 0.5), ("test_skew", 0.0)):
        if not low <= data[name] <= 1:
            raise ValueError(f"data.{name} must be a probability from {low} to 1, not {data[name]}.")
    lexicon = identity_terms() if data.lexicon is None else read_lexicon(Path(data.lexicon))
    unknown = [axis for axis in data.axes if axis not in lexicon.axes]
    if unknown or not data.axes:
        known = f"the lexicon has: {', '.join(lexicon.axes)}"
        raise ValueError(
            f"data.axes names {f'{unknown[0]!r}{nearest(unknown[0], lexicon.axes)}' if unknown else 'none'}; {known}."
        )
    put_in = Counterparts({axis: lexicon.axes[axis] for axis in data.axes})
    if data.root is None:
        sentences = [made_sentences(size, seed) for seed, size in enumerate((800, 200, 400))]
    else:
        sentences = [read_trees(Path(data.root) / f"{name}.txt") for name in ("train", "dev", "test")]
    shares = (data.share if data.terms else 0.0, data.share if data.terms else 0.0, data.share)
    skews = (data.skew, data.skew, data.test_skew)
    splits = [
        put_terms(some, put_in, share, skew, seed)
        for seed, (some, share, skew) in enumerate(zip(sentences, shares, skews, strict=True))
    ]
    terms = [term.lower().split() for axis in lexicon.axes for term in lexicon.terms(axis)]
    vocabulary = texts.Vocabulary([*splits[0].words, *terms, *terms], least=2)
    net = text_networks.build(config.model.name, len(vocabulary))
    module = AuditedClassifier(net, GROUPS, len(CLASSES), lexicon=put_in, vocabulary=vocabulary.words, **config.optimizer)
    loaders = [
        texts.text_loader(
            AnnotatedDataset(texts.Texts(split.words, split.labels, split.groups, vocabulary, CLASSES), split.annotations),
            data,
            shuffle=number == 0,
        )
        for number, split in enumerate(splits)
    ]
    return Experiment(module, *loaders, lexicon=lexicon)
