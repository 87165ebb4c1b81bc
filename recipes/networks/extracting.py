"""Extracting a sentence of a text by tagging tokens: the sentence whose tokens are taken for the summary most."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from salreg.recipes.networks.language_module import Batch, arguments
from salreg.recipes.networks.rouge import Rouge


class Extracting:
    """Chooses sentences from the logits ``(B, T, 2)`` of a model that tags tokens.

    Args:
        stop: The number of the token that ends each sentence.
        rouge: Scores what is extracted.
    """

    def __init__(self, stop: int, rouge: Rouge) -> None:
        self.stop = stop
        self.rouge = rouge

    def correct(self, output: Any, batch: Batch) -> Tensor:
        """Whether the sentence that a model chooses is the summary, or holds some of it: booleans ``(B,)``."""
        return (self.chosen(output, batch) & (batch["labels"] == 1)).any(1)

    def tested(self, net: Any, batch: Batch) -> Mapping[str, Tensor]:
        """ROUGE of the chosen sentences."""
        chosen = self.chosen(net(**arguments(batch)), batch)
        wanted, own = (
            [tokens[which].tolist() for tokens, which in zip(batch["input_ids"], some, strict=True)]
            for some in (batch["labels"] == 1, chosen)
        )
        return self.rouge(wanted, own)

    def chosen(self, output: Any, batch: Batch) -> Tensor:
        """The tokens of the chosen sentences, booleans ``(B, T)``."""
        there = batch["labels"] >= 0
        ends = ((batch["input_ids"] == self.stop) & there).long()
        number = (ends.cumsum(1) - ends).masked_fill(~there, -1)  # of each token's sentence
        inside = number.unsqueeze(2) == torch.arange(int(number.max()) + 1, device=number.device)
        tagged = (output.logits[..., 1] - output.logits[..., 0]).float().unsqueeze(2)
        mean = (tagged * inside).sum(1) / inside.sum(1).clamp(min=1)
        return number == mean.masked_fill(~inside.any(1), -torch.inf).argmax(1, keepdim=True)
