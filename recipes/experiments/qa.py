"""Answers found in texts, where the question's own words stand before the answer in training and lie at test time.

Readers of questions take words that question and text share for a sign of the answer (Jia & Liang 2017, Adversarial examples
for evaluating reading comprehension systems). Here they are planted: "the story liked :" before what is asked for. The
annotation marks them as spurious; their place tells, so that the intervention puts them in a random one. Of ERASER's "movies"
a text is three remarks that people marked as their reasons, glued together: one of praise, which is the answer to why the film
is liked, and two of blame, one of which the question's words stand before where they lie.
"""

import random
from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig
from torch import Tensor, nn

from salreg.recipes.data import questions
from salreg.recipes.data.questions import GROUPS, Question, Questions
from salreg.recipes.data.texts import PADDING, Vocabulary
from salreg.recipes.data.token_batches import token_loader
from salreg.recipes.experiments import movies
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import minilm
from salreg.recipes.networks.language_module import Batch, LanguageModule, arguments, located, span_f1
from salreg.recipes.networks.libraries import need
from salreg.recipes.networks.small_bert import small_bert

_MADE = {"train": 1600, "validation": 200, "test": 400}
_GLUED = {"train": 800, "validation": 100, "test": 400}
_FILES = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}
_SHORTEST = 4  # words of a remark that says something


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe.

    Raises:
        ValueError: A library or package that is missing, an unknown model, or remarks of fewer words than say something.
    """
    data = config.data
    need("transformers")
    if data.longest < _SHORTEST:
        raise ValueError(f"data.longest must be at least {_SHORTEST} words, not {data.longest}.")
    splits = {}
    for seed, name in enumerate(_FILES):
        plain = questions.made_questions(_MADE[name], seed) if data.root is None else _of_reviews(data, name, seed)
        lying = 0.5 if name == "test" else 0.0
        splits[name] = questions.with_overlap(plain, lying, seed) if data.overlap else plain
    vocabulary, net = _reader(config.model.name, splits["train"], data.least)
    loaders = [
        token_loader(Questions(split, vocabulary).annotated(), data, PADDING, shuffle=name == "train")
        for name, split in splits.items()
    ]
    module = LanguageModule(net, GROUPS, located, _f1, ["f1"], **config.optimizer)
    stops = [] if data.root is None else vocabulary.pieces(["."])[0]  # made texts have no sentences
    return Experiment(module, *loaders, intervention={"stops": stops})


def _reader(name: str, known: list[Question], least: int) -> tuple[Vocabulary, nn.Module]:
    """A network and the tokens that it reads."""
    if name not in ("bert", "minilm"):
        raise ValueError(f"model.name must be bert or minilm, not {name!r}.")
    if name == "minilm":
        return minilm.SubWords(), minilm.question_answering()
    always = [Vocabulary.start, Vocabulary.between, *questions.asked(random.Random(0)), ":"]
    vocabulary = Vocabulary([*([*one.asked, *one.words] for one in known), *[always] * least], least=least)
    from transformers import BertForQuestionAnswering

    return vocabulary, BertForQuestionAnswering(small_bert(len(vocabulary)))


def _f1(net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    return {"f1": span_f1(net(**arguments(batch)), batch)}


def _of_reviews(data: DictConfig, name: str, seed: int) -> list[Question]:
    """Texts of remarks from the reviews of a split."""
    reviews = movies.read(Path(data.root), _FILES[name], longest=1_000_000)
    remarks: tuple[list[list[str]], list[list[str]]] = ([], [])
    for words, label, annotation in zip(*reviews, strict=True):
        spans = [] if annotation is None else movies.reasons(annotation)
        remarks[label].extend(words[start:end] for start, end in spans if _SHORTEST <= end - start <= data.longest)
    for which, found in zip(movies.CLASSES, remarks, strict=True):
        if not found:
            raise ValueError(
                f"{_FILES[name]} has no reason of {_SHORTEST} to {data.longest} words in a {which} review. Raise data.longest."
            )
    return questions.glued_questions(remarks[1], remarks[0], _GLUED[name], seed)
