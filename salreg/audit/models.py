"""A module together with the encoding of texts into its input, which gives both its predictions and its maps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from salreg.attributions import Attribution, InputTimesGradient, Occlusion, name_of
from salreg.eval_mode import eval_mode

Span = tuple[int, int]


class Encoded(NamedTuple):
    """Texts encoded as the input of a module.

    Attributes:
        inputs: Token numbers ``(B, T)``, or keyword arguments with them.
        offsets: ``(start, end)`` of each token in its text, in characters, ``(B, T, 2)``; (0, 0) for tokens that are not words.
    """

    inputs: Any
    offsets: Tensor


def families() -> list[Attribution]:
    """Attributions of two families, gradient and perturbation, that work for texts and tables alike."""
    return [InputTimesGradient("target_logit"), Occlusion(window=1)]


class TextModel:
    """A classifier of texts whose maps can be measured.

    Args:
        module: Returns logits ``(B, C)``, or an output that holds them as ``.logits``.
        encode: Maps a list of texts to the module's input.
        attributions: The attributions that measure the share of saliency.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.embedding = nn.Embedding(9, 2)
        ...     def forward(self, tokens):
        ...         return self.embedding(tokens).mean(1)
        >>> def encode(texts):
        ...     return Encoded(torch.tensor([[1, 2]]), torch.tensor([[[0, 1], [2, 6]]]))
        >>> shares = TextModel(Net(), encode).shares(["a film"], [[(2, 6)]])
        >>> sorted(shares)
        ['input_times_gradient', 'occlusion']
    """

    def __init__(
        self,
        module: nn.Module,
        encode: Callable[[list[str]], Encoded],
        attributions: Sequence[Attribution] | None = None,
    ) -> None:
        self.module, self.encode = module, encode
        self.attributions = families() if attributions is None else list(attributions)

    @classmethod
    def from_tokenizer(cls, module: nn.Module, tokenizer: Any, **options: Any) -> "TextModel":
        """Create it with a fast Hugging Face tokenizer; ``options`` such as ``max_length=128`` are passed to it."""

        def encode(texts: list[str]) -> Encoded:
            made = dict(
                tokenizer(
                    texts, return_offsets_mapping=True, return_tensors="pt", **{"padding": True, "truncation": True, **options}
                )
            )
            return Encoded({name: one for name, one in made.items() if name != "offset_mapping"}, made["offset_mapping"])

        return cls(module, encode)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """The logits ``(B, C)``."""
        return self._logits(self._on_device(self.encode(list(texts)).inputs))

    def _logits(self, inputs: Any) -> Tensor:
        with eval_mode(self.module), torch.no_grad():
            output = self.module(**inputs) if isinstance(inputs, Mapping) else self.module(inputs)
        logits = output if isinstance(output, Tensor) else output["logits"] if isinstance(output, Mapping) else output.logits
        return logits.detach().cpu()

    def shares(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> dict[str, Tensor]:
        """The share of each text's map on given characters: ``(B,)`` by attribution, NaN if the map is 0.

        What is explained is the logit of the class that is predicted.
        """
        encoded = self.encode(list(texts))
        inputs = self._on_device(encoded.inputs)
        predicted = self._logits(inputs).argmax(1)
        inside, words = on_tokens(encoded.offsets, spans)
        found = {}
        with eval_mode(self.module):
            for attribution in self.attributions:
                saliency = attribution(self.module, inputs, predicted.to(device_of(self.module))).cpu()
                found[name_of(attribution)] = share_on(saliency, inside, words)
        return found

    def _on_device(self, inputs: Any) -> Any:
        if isinstance(inputs, Mapping):
            return {name: one.to(device_of(self.module)) for name, one in inputs.items()}
        return inputs.to(device_of(self.module))


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are; the CPU where it has none."""
    return next((one.device for one in module.parameters()), torch.device("cpu"))


def on_tokens(offsets: Tensor, spans: Sequence[Sequence[Span]]) -> tuple[Tensor, Tensor]:
    """Which tokens ``(B, T)`` overlap the spans of their text, and which are words at all."""
    starts, ends = offsets[..., 0], offsets[..., 1]
    inside = torch.zeros(starts.shape, dtype=torch.bool)
    for row, of_text in enumerate(spans):
        for start, end in of_text:
            inside[row] |= (starts[row] < end) & (ends[row] > start) & (ends[row] > starts[row])
    return inside, ends > starts


def share_on(saliency: Tensor, inside: Tensor, places: Tensor) -> Tensor:
    """The share ``(B,)`` of maps ``(B, T)`` or ``(B, E, T)``, summed over channels, of what lies on all places."""
    size = (saliency.sum(1) if saliency.ndim == 3 else saliency).abs() * places
    return (size * inside).sum(1) / size.sum(1)
