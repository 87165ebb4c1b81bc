"""ROUGE of summaries (Lin 2004)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from salreg.recipes.data.token_batches import NO_LABEL

ROUGE = ("rouge1", "rougeL")


class Rouge:
    """ROUGE-1 and ROUGE-L of summaries, each a number in [0, 1].

    Args:
        words: The vocabulary by number.
        silent: The numbers of tokens that are no words.
    """

    def __init__(self, words: Sequence[str], silent: Sequence[int]) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        self.words = words
        self.silent = {NO_LABEL, *silent}
        self.scorer = RougeScorer(list(ROUGE))

    def __call__(self, wanted: Sequence[list[int]], own: Sequence[list[int]]) -> dict[str, Tensor]:
        """By name, ``(B,)`` from the tokens of each summary and of what a model gave."""
        scored = [self.scorer.score(self._text(one), self._text(other)) for one, other in zip(wanted, own, strict=True)]
        return {name: torch.tensor([one[name].fmeasure for one in scored]) for name in ROUGE}

    def _text(self, numbers: list[int]) -> str:
        """The words, of which sub-words that go on begin with ``##``."""
        return " ".join(self.words[number] for number in numbers if number not in self.silent).replace(" ##", "")
