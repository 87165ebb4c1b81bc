"""A language model as a classifier of its answers, so that it can be audited like any other."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from salreg.eval_mode import eval_mode


class AnswerModel:
    """Scores how probable a causal language model finds each of a few answers to a prompt.

    The score of an answer is the sum of the log-probabilities of its tokens after the prompt, so that a softmax over the scores
    gives the probability of each answer, given that it is one of these. It can be the model of ``audit_texts``, with the
    answers as classes.

    Args:
        module: Maps ``input_ids`` and ``attention_mask`` to ``.logits`` ``(B, T, V)`` that predict the next token.
        encode: Maps a prompt to its tokens.
        answers: The tokens of each answer, including those that end it.
        padding: Any token number, used where tokens are masked.
        rows: The number of texts that go through the module at once.

    Raises:
        ValueError: There are fewer than two answers, or one is empty.

    Example:
        >>> class Net(nn.Module):
        ...     def forward(self, input_ids, attention_mask):
        ...         nextly = torch.nn.functional.one_hot((input_ids + 1) % 9, 9).float()  # it counts
        ...         return type("Output", (), {"logits": 5 * nextly})
        >>> model = AnswerModel(Net(), lambda text: [len(word) for word in text.split()], answers=[[4, 5], [2, 2]])
        >>> model(["a bcd"]).argmax(1).tolist()
        [0]
    """

    def __init__(
        self,
        module: nn.Module,
        encode: Callable[[str], Sequence[int]],
        answers: Sequence[Sequence[int]],
        padding: int = 0,
        rows: int = 64,
    ) -> None:
        if len(answers) < 2 or not all(map(len, answers)):
            raise ValueError("An audit compares at least two answers, each of at least one token.")
        self.module, self.encode, self.answers = module, encode, [list(one) for one in answers]
        self.padding, self.rows = padding, rows

    @classmethod
    def from_tokenizer(cls, module: nn.Module, tokenizer: Any, answers: Sequence[str], **options: Any) -> "AnswerModel":
        """Create it with a Hugging Face tokenizer. Special tokens around an answer are left out, and the tokenizer's end token
        is added.

        Args:
            module: As in the class.
            tokenizer: The tokenizer of the module.
            answers: The answers as texts, with a leading space if the prompts do not end in one.
            **options: The other arguments of the class.
        """
        end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        tokens = [[*tokenizer(one, add_special_tokens=False)["input_ids"], *end] for one in answers]
        return cls(module, lambda text: tokenizer(text)["input_ids"], tokens, **options)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """The scores ``(B, C)``, at most 0."""
        prompts = [list(self.encode(text)) for text in texts]
        asked = [(prompt, answer) for prompt in prompts for answer in self.answers]
        with eval_mode(self.module), torch.no_grad():
            scores = [self._scores(asked[start : start + self.rows]) for start in range(0, len(asked), self.rows)]
        return torch.cat(scores).view(len(texts), len(self.answers))

    def _scores(self, asked: Sequence[tuple[list[int], list[int]]]) -> Tensor:
        device = next((one.device for one in self.module.parameters()), torch.device("cpu"))
        length = max(len(prompt) + len(answer) for prompt, answer in asked)
        ids = torch.full((len(asked), length), self.padding, device=device)
        mask, labelled = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
        for row, (prompt, answer) in enumerate(asked):
            end = len(prompt) + len(answer)
            ids[row, :end] = torch.tensor([*prompt, *answer], device=device)
            mask[row, :end] = 1
            labelled[row, len(prompt) : end] = True
        logits = self.module(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        of_tokens = logits.log_softmax(-1).gather(2, ids[:, 1:].unsqueeze(2)).squeeze(2)
        return torch.where(labelled[:, 1:], of_tokens, 0).sum(1)
