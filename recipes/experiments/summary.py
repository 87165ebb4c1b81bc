"""Summaries of texts whose lead says it all in training, and something else at test time.

News is written so that the first sentence is a summary, and models of summaries learn to copy it wherever they are trained on
news (Jung et al. 2019, Earlier isn't always better). Made reports repeat their summary in a lead, and BART writes it. Of
ERASER's "movies" a text is three sentences of a review, and its summary is the one that a person marked as a reason for the
verdict: the first one in training, another one in half of the test texts. A model that tags words extracts the sentence that it
tags most. The annotation marks the lead as spurious. What is measured is ROUGE (Lin 2004) of what is written or extracted.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor, nn

from salreg.recipes.data.extracts import STOP, Extracts, extracts
from salreg.recipes.data.reports import END, GROUPS, Reports, made_reports
from salreg.recipes.data.texts import PADDING, Vocabulary
from salreg.recipes.data.token_batches import token_loader
from salreg.recipes.experiments import movies
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import minilm
from salreg.recipes.networks.extracting import Extracting
from salreg.recipes.networks.language_module import Batch, LanguageModule, written
from salreg.recipes.networks.libraries import need
from salreg.recipes.networks.rouge import ROUGE, Rouge
from salreg.recipes.networks.small_bert import small_bert

_MADE = {"train": 1600, "validation": 200, "test": 400}
_OF_REVIEWS = {"train": 3000, "validation": 100, "test": 400}
_FILES = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe.

    Raises:
        ValueError: A library or package that is missing, an unknown model, or sentences too short for there to be any.
    """
    need("transformers", "rouge_score")
    leads = {name: ("lies" if name == "test" else "agrees") if config.data.lead else "absent" for name in _MADE}
    return _written(config, leads) if config.data.root is None else _extracted(config, leads)


def _written(config: DictConfig, leads: Mapping[str, str]) -> Experiment:
    """Reports whose summaries are written."""
    if config.model.name != "bert":
        raise ValueError(
            f"model.name={config.model.name} is for reviews (data.root): BART writes the summaries of made reports."
        )
    splits = {name: made_reports(size, seed, leads[name]) for seed, (name, size) in enumerate(_MADE.items())}
    vocabulary = Vocabulary([*(one.words for one in splits["train"]), [END]])
    loaders = [
        token_loader(Reports(split, vocabulary).annotated(), config.data, PADDING, shuffle=name == "train")
        for name, split in splits.items()
    ]
    writing = _Writing(Rouge(vocabulary.words, [PADDING, *vocabulary.encode([END]).tolist()]))
    return Experiment(LanguageModule(_bart(vocabulary), GROUPS, written, writing, ROUGE, **config.optimizer), *loaders)


def _extracted(config: DictConfig, leads: Mapping[str, str]) -> Experiment:
    """Texts of reviews of which a sentence is extracted."""
    data = config.data
    splits = {}
    for seed, name in enumerate(_FILES):
        reviews = movies.read(Path(data.root), _FILES[name], longest=1_000_000)
        reasons = ([] if one is None else movies.reasons(one) for one in reviews.annotations)
        texts = zip(reviews.words, reasons, strict=True)
        splits[name] = extracts(texts, _OF_REVIEWS[name], data.longest, seed, leads[name])
        if not splits[name]:
            raise ValueError(f"{_FILES[name]} has no text of three sentences of 5 to {data.longest} words. Raise data.longest.")
    known = [[word for sentence in one.sentences for word in sentence] for one in splits["train"]]
    vocabulary, net = _tagger(config.model.name, known, data.least)
    loaders = [
        token_loader(Extracts(split, vocabulary).annotated(), data, PADDING, shuffle=name == "train")
        for name, split in splits.items()
    ]
    ((stop,),) = vocabulary.pieces([STOP])
    extracting = Extracting(stop, Rouge(vocabulary.words, [stop]))
    module = LanguageModule(net, GROUPS, extracting.correct, extracting.tested, ROUGE, **config.optimizer)
    # What tells is where the lead stands, and not what it says.
    moved = {"place": "random", "exchange": False, "stops": [stop]}
    return Experiment(module, *loaders, intervention=moved)


def _tagger(name: str, known: list[list[str]], least: int) -> tuple[Vocabulary, nn.Module]:
    """A network that tags tokens, and the tokens that it reads."""
    if name not in ("bert", "minilm"):
        raise ValueError(f"model.name must be bert or minilm, not {name!r}.")
    if name == "minilm":
        return minilm.SubWords(), minilm.tagging(2)
    vocabulary = Vocabulary([*known, *[[Vocabulary.start, Vocabulary.between]] * least], least=least)
    from transformers import BertForTokenClassification

    return vocabulary, BertForTokenClassification(small_bert(len(vocabulary)))


def _bart(vocabulary: Vocabulary) -> nn.Module:
    """One layer of BART's encoder and one of its decoder, from a configuration."""
    from transformers import BartConfig, BartForConditionalGeneration

    (end,) = vocabulary.encode([END]).tolist()
    layers: dict[str, Any] = {
        f"{part}_{what}": size
        for part in ("encoder", "decoder")
        for what, size in (("layers", 1), ("attention_heads", 4), ("ffn_dim", 128))
    }
    numbers: dict[str, Any] = {"pad_token_id": PADDING, "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": end}
    # From scratch on few texts: weights large enough that attention tells places apart at once, and no dropout.
    fresh: dict[str, Any] = {"init_std": 0.2, "dropout": 0.0, "forced_eos_token_id": None}
    size: dict[str, Any] = {"d_model": 64, "max_position_embeddings": 64, "vocab_size": len(vocabulary)}
    return BartForConditionalGeneration(BartConfig(**size, **layers, **numbers, **fresh))


class _Writing:
    """Scores the summaries that a model writes by itself."""

    def __init__(self, rouge: Rouge) -> None:
        self.rouge = rouge

    def __call__(self, net: Any, batch: Batch) -> Mapping[str, Tensor]:
        longest = batch["labels"].shape[1]
        made = net.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=longest,
            num_beams=1,
            do_sample=False,
        )
        return self.rouge(batch["labels"].tolist(), made.tolist())
