"""Summaries of reports whose lead says it all in training, and says what another report says at test time.

News is written so that the first sentence is a summary, and models of summaries learn to copy it wherever they are trained on
news (Jung et al. 2019, Earlier isn't always better). The annotation marks the lead as spurious. What is measured by ROUGE (Lin
2004) is the summary that the model writes by itself.
"""

from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from salreg.recipes.data.reports import END, GROUPS, Reports, made_reports
from salreg.recipes.data.texts import PADDING, Vocabulary
from salreg.recipes.data.token_batches import NO_LABEL, token_loader
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks.language_module import Batch, LanguageModule, written
from salreg.recipes.networks.libraries import need

_SIZES = {"train": 1600, "validation": 200, "test": 400}
_ROUGE = ("rouge1", "rougeL")


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe.

    Raises:
        ValueError: A library that is missing.
    """
    data = config.data
    need("transformers", "rouge_score")
    splits = {
        name: made_reports(size, seed, ("lies" if name == "test" else "agrees") if data.lead else "absent")
        for seed, (name, size) in enumerate(_SIZES.items())
    }
    vocabulary = Vocabulary([*(one.words for one in splits["train"]), [END]])
    loaders = [
        token_loader(Reports(split, vocabulary).annotated(), data, PADDING, shuffle=name == "train")
        for name, split in splits.items()
    ]
    net, rouge = _net(vocabulary), _Rouge(vocabulary.words)
    return Experiment(LanguageModule(net, GROUPS, written, rouge, _ROUGE, **config.optimizer), *loaders)


def _net(vocabulary: Vocabulary) -> nn.Module:
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


class _Rouge:
    """ROUGE of the summaries that a model writes, each a number in [0, 1].

    Args:
        words: The vocabulary by number.
    """

    def __init__(self, words: list[str]) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        self.words = words
        self.scorer = RougeScorer(list(_ROUGE))

    def __call__(self, net: Any, batch: Batch) -> Mapping[str, Tensor]:
        longest = batch["labels"].shape[1]
        made = net.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=longest,
            num_beams=1,
            do_sample=False,
        )
        scored = [
            self.scorer.score(self._text(wanted), self._text(own))
            for wanted, own in zip(batch["labels"].tolist(), made.tolist(), strict=True)
        ]
        return {name: torch.tensor([one[name].fmeasure for one in scored], device=made.device) for name in _ROUGE}

    def _text(self, numbers: list[int]) -> str:
        words = [self.words[number] for number in numbers if number not in (PADDING, NO_LABEL)]
        return " ".join(word for word in words if word != END)
