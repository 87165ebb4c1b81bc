"""What the places of a sample are called: the words of a text, or the columns of a table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from salreg.plotting.cell import kind_of

Names = Sequence[str] | Mapping[str, int] | Callable[[Tensor], Sequence[str]] | Any


def place_names(names: Names | None, samples: Sequence[Tensor]) -> list[list[str]]:
    """The names of each sample's tokens or columns; none for images.

    Args:
        names: For texts the words by number, a mapping from word to number, or a tokenizer that has
            ``convert_ids_to_tokens``; for tables the columns; for both a function of the sample. None gives numbers.
        samples: Images ``(C, H, W)``, token numbers ``(T,)`` or rows ``(F,)``.

    Raises:
        ValueError: Not as many names as a row has columns, or as a text has tokens.

    Example:
        >>> import torch
        >>> place_names({"good": 0, "film": 1}, [torch.tensor([1, 0, 7])])
        [['film', 'good', '7']]
    """
    if isinstance(names, Mapping):
        names = {number: word for word, number in names.items()}
    return [_names(names, sample, number) for number, sample in enumerate(samples)]


def _names(names: Any, sample: Tensor, number: int) -> list[str]:
    kind = kind_of(sample)
    if kind in ("image", "signal"):
        return []
    numbers = sample.tolist() if kind == "text" else list(range(len(sample)))
    if names is None:
        found: Sequence[Any] = numbers
    elif hasattr(names, "convert_ids_to_tokens"):
        found = names.convert_ids_to_tokens(numbers)
    elif callable(names):
        found = names(sample)
    elif isinstance(names, dict):
        found = [names.get(number, number) for number in numbers]
    elif kind == "text":
        found = [names[number] if 0 <= number < len(names) else number for number in numbers]
    else:
        found = names
    if len(found) != len(sample):
        raise ValueError(f"There are {len(found)} names for the {len(sample)} places of sample {number}, a {kind}.")
    return [str(one) for one in found]
