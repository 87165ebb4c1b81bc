"""Causal language models by name or path, or a tiny one, with their tokenisation."""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from omegaconf import DictConfig
from torch import nn

from salreg.recipes.data.texts import Vocabulary
from salreg.recipes.networks.libraries import need

_WORD = re.compile(r"\w+|[^\w\s]")
_END = "<end>"

Span = tuple[int, int]


class Causal(NamedTuple):
    """A causal language model and the functions that tokenise texts for it.

    Attributes:
        net: The network; it takes ``input_ids``, ``attention_mask`` and ``labels``.
        encode_prompt: Returns the token numbers of a prompt and the characters of each; ``(0, 0)`` for a chat template's.
        encode_answer: Returns the token numbers of an answer and of its end.
        padding: The number of the padding token.
        vocabulary: The tokens by number.
    """

    net: nn.Module
    encode_prompt: Callable[[str], tuple[list[int], list[Span]]]
    encode_answer: Callable[[str], list[int]]
    padding: int
    vocabulary: list[str]


def build(model: DictConfig, texts: Iterable[str]) -> Causal:
    """Build the model that the configuration describes.

    Args:
        model: The configuration: ``name``, ``lora``, ``attention`` and ``gradient_checkpointing``.
        texts: The texts of the training data, whose words form the tiny model's vocabulary.

    Raises:
        ValueError: A library is missing, the name cannot be loaded, or the rank is negative.
    """
    need("transformers", *(("peft",) if model.lora else ()))
    if model.lora < 0:
        raise ValueError(f"model.lora must be the rank of the added matrices, 0 for none, not {model.lora}.")
    causal = _tiny(texts) if model.name == "tiny" else _pretrained(model)
    net: Any = causal.net
    if model.gradient_checkpointing:
        net.gradient_checkpointing_enable({"use_reentrant": False})
    if model.lora:
        from peft import LoraConfig, get_peft_model

        options = LoraConfig(r=model.lora, lora_alpha=2 * model.lora, target_modules="all-linear", task_type="CAUSAL_LM")
        net = get_peft_model(net, options)
    return causal._replace(net=net.train())  # a loaded model is in eval mode, which Lightning does not change


def _tiny(texts: Iterable[str]) -> Causal:
    """Two layers of GPT-2 whose tokens are whole words."""
    from transformers import GPT2Config, GPT2LMHeadModel

    vocabulary = Vocabulary([*(_WORD.findall(text) for text in texts), [_END]])

    def encode(text: str) -> tuple[list[int], list[Span]]:
        words = list(_WORD.finditer(text))
        return vocabulary.encode([word.group() for word in words]).tolist(), [word.span() for word in words]

    config = GPT2Config(vocab_size=len(vocabulary), n_embd=64, n_layer=2, n_head=4, n_positions=256, **_NO_ENDS)
    (end,) = vocabulary.encode([_END]).tolist()
    return Causal(GPT2LMHeadModel(config), encode, lambda text: [*encode(text)[0], end], 0, vocabulary.words)


_NO_ENDS: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0}


def _pretrained(model: DictConfig) -> Causal:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model.name, use_fast=True)
        net: Any = AutoModelForCausalLM.from_pretrained(model.name, attn_implementation=model.attention)
    except (OSError, ImportError, KeyError) as error:
        raise ValueError(f"model.name={model.name} cannot be loaded: {str(error).splitlines()[0]}") from error
    if not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer of {model.name} is not a fast one, so it does not say which characters a token stands for."
        )
    if tokenizer.eos_token_id is None:
        raise ValueError(f"The tokenizer of {model.name} has no token for the end of an answer (eos_token).")
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

    def encode_prompt(text: str) -> tuple[list[int], list[Span]]:
        if tokenizer.chat_template is None:
            encoded = tokenizer(text, return_offsets_mapping=True)
            return list(encoded["input_ids"]), list(encoded["offset_mapping"])
        turns = [{"role": "user", "content": text}]
        whole = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        before = whole.find(text)
        if before < 0:
            raise ValueError(f"The chat template of {model.name} changes the prompt {text[:40]!r}, so marks cannot be placed.")
        encoded = tokenizer(whole, return_offsets_mapping=True, add_special_tokens=False)
        inside = [_within(start - before, end - before, len(text)) for start, end in encoded["offset_mapping"]]
        return list(encoded["input_ids"]), inside

    def encode_answer(text: str) -> list[int]:
        separated = text if tokenizer.chat_template is not None else f" {text}"
        return [*tokenizer(separated, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]

    named = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    return Causal(net, encode_prompt, encode_answer, padding, [str(one) for one in named])


def _within(start: int, end: int, length: int) -> Span:
    """The characters of the prompt that a token of the filled-in template stands for; ``(0, 0)`` if none."""
    start, end = max(start, 0), min(end, length)
    return (start, end) if start < end else (0, 0)
