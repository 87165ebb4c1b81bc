"""What an intervention returns."""

from typing import Any, NamedTuple

from torch import Tensor


class Intervened(NamedTuple):
    """A batch that an intervention changed.

    Attributes:
        sample: The batch with the annotated input changed.
        annotation: The annotations of the changed batch.
        changed: Which samples were changed: booleans ``(B,)``.
    """

    sample: Any
    annotation: Tensor
    changed: Tensor


class WithPresence(NamedTuple):
    """A batch in which all samples that somebody looked at have the spurious feature, or none of them does.

    Attributes:
        sample: The batch with the annotated input changed.
        looked_at: Which samples this applies to: booleans ``(B,)``. In tables, the marked ones.
        done: For which of them it succeeded: booleans ``(B,)``. A single donor has no other to exchange with; nothing is
            inserted into a sample that is relevant everywhere; and a table's column cannot be removed.
        annotation: The annotations of the changed batch.
    """

    sample: Any
    looked_at: Tensor
    done: Tensor
    annotation: Tensor
