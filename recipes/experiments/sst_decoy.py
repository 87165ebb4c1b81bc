"""Sentences about films with a word that gives their sentiment away in training, and misleads or is absent at test time.

Rieger et al. 2020, section 4.4 (CDEP): a word is put at a random place into every sentence of the Stanford Sentiment Treebank's
training data, ``text`` into positive and ``video`` into negative sentences; the test sentences have none. Here they may also
have a random one of the two. The annotation marks the word as spurious.
"""

import random
import re
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig
from torch import Tensor, nn

from salreg.annotations import from_token_spans
from salreg.data import AnnotatedDataset
from salreg.recipes.data import texts
from salreg.recipes.data.few_marks import training_marks
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import minilm, text_networks
from salreg.recipes.networks.classifier import Classifier

CLASSES = ("negative", "positive")
#: The decoy of each class.
DECOYS = ("video", "text")
GROUPS = ("decoy lies", "decoy agrees", "no decoy")
_WORD = re.compile(r"\(\d ([^()]+)\)")


class Sentences(NamedTuple):
    """The words of each sentence, and labels: 0 negative, 1 positive."""

    words: list[list[str]]
    labels: list[int]


class Decoys(NamedTuple):
    """Sentences with a decoy: words, labels, groups, and annotations ``(T,)``."""

    words: list[list[str]]
    labels: list[int]
    groups: list[int]
    annotations: list[Tensor | None]


def read_trees(path: Path) -> Sentences:
    """The sentences with a sentiment in a file of trees, in lower case.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is not a tree.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there{nearest_path(path)}. "
            f"Point data.root at the folder with train.txt, dev.txt and test.txt of the Stanford "
            "Sentiment Treebank (trees.zip), or leave data.root empty for a small generated sample."
        )
    words, labels = [], []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        leaves = _WORD.findall(line)
        if not leaves or not re.match(r"\([0-4] ", line):
            raise ValueError(f"{path}, line {number}, is not a tree of the Stanford Sentiment Treebank: {line[:40]!r}.")
        rating = int(line[1])
        if rating != 2:
            words.append([word.lower() for word in leaves])
            labels.append(int(rating > 2))
    return Sentences(words, labels)


def made_sentences(size: int, seed: int) -> Sentences:
    """Sentences of eight words, one or two of which express the sentiment."""
    good, bad = ["good", "great", "fine", "lovely", "moving"], ["bad", "poor", "dull", "awful", "boring"]
    filler = [f"word{number}" for number in range(40)]
    rng = random.Random(seed)
    words, labels = [], []
    for number in range(size):
        label = number % 2
        sentence = rng.choices(filler, k=8)
        for place in rng.sample(range(8), rng.choice((1, 2))):
            sentence[place] = rng.choice(good if label else bad)
        words.append(sentence)
        labels.append(label)
    return Sentences(words, labels)


def add_decoys(sentences: Sentences, decoy: str, seed: int) -> Decoys:
    """Put a word into every sentence.

    Args:
        sentences: The sentences to change.
        decoy: ``informative``: the word of the class; ``random``: one of the two words; ``absent``: no word, and no mark.
        seed: The seed for drawing places and random words.

    Raises:
        ValueError: ``decoy`` is none of these.
    """
    if decoy not in ("informative", "random", "absent"):
        raise ValueError(f"decoy must be informative, random or absent, not {decoy!r}.")
    rng = random.Random(seed)
    if decoy == "absent":
        size = len(sentences.labels)
        return Decoys(sentences.words, sentences.labels, [GROUPS.index("no decoy")] * size, [None] * size)
    words, groups = [], []
    annotations: list[Tensor | None] = []
    for sentence, label in zip(*sentences, strict=True):
        shown = label if decoy == "informative" else rng.randrange(2)
        place = rng.randrange(len(sentence) + 1)
        words.append([*sentence[:place], DECOYS[shown], *sentence[place:]])
        groups.append(int(shown == label))
        annotations.append(from_token_spans(len(sentence) + 1, spurious=[(place, place + 1)]))
    return Decoys(words, sentences.labels, groups, annotations)


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    data = config.data
    if data.root is None:
        train, dev, test = (made_sentences(size, seed) for seed, size in enumerate((800, 200, 400)))
    else:
        train, dev, test = (read_trees(Path(data.root) / f"{name}.txt") for name in ("train", "dev", "test"))
    seen = "informative" if data.decoy else "absent"
    splits = {
        "train": add_decoys(train, seen, seed=0),
        "validation": add_decoys(dev, seen, seed=1),
        "test": add_decoys(test, data.test_decoy if data.decoy else "absent", seed=2),
    }
    vocabulary, net = _reader(config.model.name, splits["train"].words)
    module = Classifier(net, GROUPS, len(CLASSES), **config.optimizer)
    annotated = {name: _annotated(decoys, vocabulary) for name, decoys in splits.items()}
    if data.decoy:
        annotated["train"] = training_marks(annotated["train"], config)
    loaders = (texts.text_loader(one, data, shuffle=name == "train") for name, one in annotated.items())
    return Experiment(module, *loaders)


def _reader(name: str, words: list[list[str]]) -> tuple[texts.Vocabulary, nn.Module]:
    """A network and the tokens that it reads."""
    if name == "minilm":
        return minilm.SubWords(), minilm.MiniLM(len(CLASSES))
    vocabulary = texts.Vocabulary([*words, DECOYS, DECOYS], least=2)
    return vocabulary, text_networks.build(name, len(vocabulary))


def _annotated(decoys: Decoys, vocabulary: texts.Vocabulary) -> AnnotatedDataset:
    words, labels, groups, annotations = decoys
    marks = [None if one is None else vocabulary.marks(text, one) for text, one in zip(words, annotations, strict=True)]
    return AnnotatedDataset(texts.Texts(words, labels, groups, vocabulary, CLASSES), marks)
