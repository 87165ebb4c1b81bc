"""Language models as other people train them: a batch with labels, and the model's own loss."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax
from torch.utils.data import DataLoader
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from salreg import AnnotatedDataset

VOCABULARY, LENGTH, SAMPLES, TAGS, CHOICES = 29, 9, 12, 3, 3
_SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 16,
    "initializer_range": 0.5,
}
_STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


class Language(NamedTuple):
    """A way in which other people train language models.

    Attributes:
        name: Of the pattern.
        make: The network.
        data: The batch's tensors by key, from the token numbers and their mask.
        score: What is explained of each sample ``(B,)``, written out: ``(network, batch) -> score``.
        loss: The user's step: ``(network, batch) -> loss``.
        embedding: What embeds the annotated tokens.
        said: What the first step says.
        is_measured: Whether the monitors find the labels in the batch.
    """

    name: str
    make: Callable[[], nn.Module]
    data: Callable[[Tensor, Tensor], dict[str, Tensor]]
    score: Callable[[Any, Mapping[str, Tensor]], Tensor]
    said: str
    loss: Callable[[Any, Any], Tensor] = lambda net, batch: net(**batch).loss
    embedding: Callable[[Any], nn.Module] = lambda net: net.get_input_embeddings()
    is_measured: bool = True

    def annotated(self) -> AnnotatedDataset:
        """Two texts of three are marked at their third word; some are padded."""
        batch = self.batch()
        annotations = torch.zeros(batch["input_ids"].shape, dtype=torch.int8)
        annotations[torch.arange(SAMPLES) % 3 > 0, ..., 2] = -1
        rows = [{key: value[index] for key, value in batch.items()} for index in range(SAMPLES)]
        return AnnotatedDataset(rows, annotations.masked_fill(batch["attention_mask"] == 0, 127))

    def batch(self) -> dict[str, Tensor]:
        torch.manual_seed(0)
        ids, mask = torch.randint(4, VOCABULARY, (SAMPLES, LENGTH)), torch.ones(SAMPLES, LENGTH, dtype=torch.long)
        mask[::2, -2:] = 0
        ids = ids.masked_fill(mask == 0, 0)
        return {"input_ids": ids, "attention_mask": mask, **self.data(ids, mask)}

    def module(self, package: Any) -> Any:
        pattern = self

        class Module(package.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                torch.manual_seed(0)
                self.net = pattern.make()

            def training_step(self, batch: Any, batch_idx: int) -> Tensor:
                return pattern.loss(self.net, batch)

            def validation_step(self, batch: Any, batch_idx: int) -> None:
                self.log("val/loss", pattern.loss(self.net, batch))

            def train_dataloader(self) -> Any:
                return DataLoader(pattern.annotated(), SAMPLES // 2)

            def configure_optimizers(self) -> Any:
                return torch.optim.SGD(self.parameters(), lr=0.01)

        return Module()


# Data


def _answer(ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The labels of a language model: the last words, the rest is the prompt."""
    labels = ids.masked_fill(mask == 0, -100)
    return {"labels": labels.index_fill(1, torch.arange(5), -100)}


def _summary(ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    labels = torch.randint(4, VOCABULARY, (SAMPLES, 4))
    labels[1::3, 3:] = -100
    return {"labels": labels}


def _tags(ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    return {"labels": torch.randint(TAGS, ids.shape).masked_fill(mask == 0, -100)}


def _span(ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    return {"start_positions": torch.randint(3, 5, (SAMPLES,)), "end_positions": torch.randint(5, 7, (SAMPLES,))}


def _choices(ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    several = torch.randint(4, VOCABULARY, (SAMPLES, CHOICES, LENGTH))
    mask = mask.unsqueeze(1).expand_as(several).contiguous()
    return {
        "input_ids": several.masked_fill(mask == 0, 0),
        "attention_mask": mask,
        "labels": torch.randint(CHOICES, (SAMPLES,)),
    }


# Scores, written out


def _mean_of_labelled(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean log-probability of the labelled tokens, sample by sample."""
    return torch.stack([
        torch.stack([log_softmax(row[place], -1)[label] for place, label in enumerate(own) if label >= 0]).mean()
        for row, own in zip(logits, labels, strict=True)
    ])  # fmt: skip


def _next_token(net: Any, batch: Mapping[str, Tensor]) -> Tensor:
    return _mean_of_labelled(net(**batch).logits[:, :-1], batch["labels"][:, 1:])


def _own_token(net: Any, batch: Mapping[str, Tensor]) -> Tensor:
    return _mean_of_labelled(net(**batch).logits, batch["labels"])


def _starts_and_ends(net: Any, batch: Mapping[str, Tensor]) -> Tensor:
    output = net(**batch)
    return log_softmax(output.start_logits, 1).sum(1) + log_softmax(output.end_logits, 1).sum(1)


def _all_choices(net: Any, batch: Mapping[str, Tensor]) -> Tensor:
    return log_softmax(net(**batch).logits, 1).sum(1)


# Steps and networks of one's own


class Tagger(nn.Module):
    """Classes in front of the places ``(B, C, T)``, as PyTorch's losses have them; as many of them as there are places."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, 8)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.head = nn.Linear(8, classes)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.head(self.rnn(self.words(input_ids))[0]).transpose(1, 2)


def _tagged(net: Any, batch: Mapping[str, Tensor]) -> Tensor:
    return cross_entropy(net(batch["input_ids"]), batch["labels"])


def _next_of_ones_own(net: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """The step drops the last place itself, and asks only for what is there."""
    logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    labels = batch["input_ids"][:, 1:].masked_fill(batch["attention_mask"][:, 1:] == 0, -100)
    return cross_entropy(logits.reshape(-1, VOCABULARY), labels.reshape(-1))


def _popped(net: Any, batch: Any) -> Tensor:
    labels = batch.pop("labels")
    return cross_entropy(net(**batch).logits.reshape(-1, TAGS), labels.reshape(-1))


def _written_out(net: Any, batch: Mapping[str, Tensor]) -> Tensor:
    logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    following = torch.nn.functional.pad(batch["labels"][:, 1:], (0, 1), value=-100)
    known = log_softmax(logits, -1).gather(2, following.clamp(min=0).unsqueeze(2)).squeeze(2)
    return -(known * (following >= 0)).sum() / (following >= 0).sum()


def _start_and_end(net: Any, batch: Mapping[str, Tensor]) -> Tensor:
    start, end = net(batch["input_ids"], batch["attention_mask"]).logits.unbind(2)
    return cross_entropy(end, batch["end_positions"]) + cross_entropy(start, batch["start_positions"])


def _checkpointed(net: Any) -> Any:
    net.gradient_checkpointing_enable({"use_reentrant": False})
    return net


_T5 = {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0, "dropout_rate": 0.0}
_BART = {
    "d_model": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "init_std": 0.5,
    "dropout": 0.0,
}
_GPT2 = {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 16, "initializer_range": 0.5}
_GPT2 |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)

LANGUAGE = [
    Language(
        "question answering",
        lambda: BertForQuestionAnswering(BertConfig(**_SMALL, **_STILL)),
        _span,
        _starts_and_ends,
        "targets batch['start_positions'] and batch['end_positions'] (start and end among 9 places)",
    ),
    Language(
        "a language model",
        lambda: GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, **_GPT2)),
        _answer,
        _next_token,
        "batch['labels'] (29 classes at each of 9 places, classes on axis 2, each place with the label of the next one)",
    ),
    Language(
        "a language model with activation checkpointing",
        lambda: _checkpointed(LlamaForCausalLM(LlamaConfig(**_SMALL))),
        _answer,
        _next_token,
        "each place with the label of the next one",
    ),
    Language(
        "a language model whose step makes the labels",
        lambda: LlamaForCausalLM(LlamaConfig(**_SMALL)),
        lambda ids, mask: {},
        lambda net, batch: _mean_of_labelled(
            net(**batch).logits[:, :-1], batch["input_ids"][:, 1:].masked_fill(batch["attention_mask"][:, 1:] == 0, -100)
        ),
        "target created by the step itself (29 classes at each of 8 places, classes on axis 2)",
        _next_of_ones_own,
        is_measured=False,
    ),
    Language(
        "an encoder-decoder",
        lambda: T5ForConditionalGeneration(T5Config(vocab_size=VOCABULARY, **_T5)),
        _summary,
        _own_token,
        "batch['labels'] (29 classes at each of 4 places, classes on axis 2, each place with its own label)",
        embedding=lambda net: net.encoder.embed_tokens,
    ),
    Language(
        "summarisation",
        lambda: BartForConditionalGeneration(BartConfig(vocab_size=VOCABULARY, **_BART)),
        _summary,
        _own_token,
        "each place with its own label",
        embedding=lambda net: net.model.encoder.embed_tokens,
    ),
    Language(
        "tagging",
        lambda: BertForTokenClassification(BertConfig(num_labels=TAGS, **_SMALL, **_STILL)),
        _tags,
        _own_token,
        "batch['labels'] (3 classes at each of 9 places, classes on axis 2, each place with its own label)",
    ),
    Language(
        "labels that the step takes out of the batch",
        lambda: BertForTokenClassification(BertConfig(num_labels=TAGS, **_SMALL, **_STILL)),
        _tags,
        _own_token,
        "batch['labels'] (3 classes at each of 9 places, classes on axis 2, each place with its own label)",
        _popped,
    ),
    Language(
        "a loss of one's own, which keeps no targets",
        lambda: GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, **_GPT2)),
        _answer,
        _next_token,
        "batch['labels'] (29 classes at each of 9 places, classes on axis 2, each place with the label of the next one)",
        _written_out,
    ),
    Language(
        "question answering by one tensor",
        lambda: BertForTokenClassification(BertConfig(num_labels=2, **_SMALL, **_STILL)),
        _span,
        lambda net, batch: log_softmax(net(batch["input_ids"], batch["attention_mask"]).logits, 1).sum((1, 2)),
        "targets batch['start_positions'] and batch['end_positions'] (start and end among 9 places)",
        _start_and_end,
    ),
    Language(
        "a masked language model",
        lambda: BertForMaskedLM(BertConfig(**_SMALL, **_STILL)),
        _answer,
        _own_token,
        "each place with its own label",
    ),
    Language(
        "classes in front, and as many as places",
        lambda: Tagger(LENGTH),
        _tags,
        lambda net, batch: _mean_of_labelled(net(batch["input_ids"]).transpose(1, 2), batch["labels"]),
        "batch['labels'] (9 classes at each of 9 places, classes on axis 1, each place with its own label)",
        _tagged,
        lambda net: net.words,
    ),
    Language(
        "multiple choice",
        lambda: BertForMultipleChoice(BertConfig(**_SMALL, **_STILL)),
        _choices,
        _all_choices,
        "batch['labels'] (3 classes, softmax)",
    ),
]
