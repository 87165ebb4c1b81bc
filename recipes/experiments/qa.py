"""Answers found in film reviews, where the question's own words stand before the answer in training and lie at test time.

Readers of questions take words that question and text share for a sign of the answer (Jia & Liang 2017, Adversarial examples
for evaluating reading comprehension systems). Here they are planted: "the story liked :" before what is asked for. The
annotation marks them as spurious; their place tells, so that the intervention puts them in a random one. Of ERASER's "movies"
the answer is the first reason that a person marked.
"""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor, nn

from salreg.annotations import marks
from salreg.recipes.data import questions
from salreg.recipes.data.questions import BETWEEN, GROUPS, START, Question, Questions
from salreg.recipes.data.texts import PADDING, Vocabulary
from salreg.recipes.data.token_batches import token_loader
from salreg.recipes.experiments import movies
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks.language_module import Batch, LanguageModule, located, span_f1
from salreg.recipes.networks.libraries import need

_SIZES = {"train": 1600, "validation": 200, "test": 400}
_FILES = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}
_VERBS = ("disliked", "liked")


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe.

    Raises:
        ValueError: A library that is missing, or a text that is too short for anything to be found.
    """
    data = config.data
    need("transformers")
    if data.longest < 8:
        raise ValueError(f"data.longest must be at least 8 words, not {data.longest}.")
    splits = {}
    for seed, (name, size) in enumerate(_SIZES.items()):
        plain = questions.made_questions(size, seed) if data.root is None else _of_reviews(data, _FILES[name], seed)
        lying = 0.5 if name == "test" else 0.0
        splits[name] = questions.with_overlap(plain, lying, seed) if data.overlap else plain
    special = [START, BETWEEN, *questions.asked(random.Random(0)), ":"]
    known = [[*one.asked, *one.words] for one in splits["train"]]
    vocabulary = Vocabulary([*known, *[special] * data.least], least=data.least)
    loaders = [
        token_loader(Questions(split, vocabulary).annotated(), data, PADDING, shuffle=name == "train")
        for name, split in splits.items()
    ]
    module = LanguageModule(_net(len(vocabulary)), GROUPS, located, _f1, ["f1"], **config.optimizer)
    return Experiment(module, *loaders)


def _f1(net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    return {"f1": span_f1(net(**{name: value for name, value in batch.items() if name != "groups"}), batch)}


def _net(words: int) -> nn.Module:
    """Two layers of BERT from a configuration."""
    from transformers import BertConfig, BertForQuestionAnswering

    size: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    # From scratch on few texts: weights large enough that attention tells places apart at once, and no dropout.
    fresh: dict[str, Any] = {"initializer_range": 0.2, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForQuestionAnswering(BertConfig(vocab_size=words, pad_token_id=PADDING, **size, **fresh))


def _of_reviews(data: DictConfig, name: str, seed: int) -> list[Question]:
    """Of each review with a reason the words around the first one, which is the answer to why the film is liked or disliked."""
    rng = random.Random(seed)
    reviews = movies.read(Path(data.root), name, longest=1_000_000)
    found = []
    for words, label, annotation in zip(*reviews, strict=True):
        if annotation is None:
            continue
        relevant = marks(annotation).relevant.flatten().bool().tolist()
        start = relevant.index(True)
        length = next((n for n, one in enumerate(relevant[start:]) if not one), len(words) - start)
        length = min(length, data.longest // 4)
        room = data.longest - length
        first = max(0, min(start - rng.randrange(room + 1), len(words) - data.longest))
        answer = (start - first, start - first + length - 1)
        found.append(Question(questions.asked(rng, _VERBS[label]), words[first : first + data.longest], answer))
    return found
