"""The panel at one epoch: what a snapshot is, before anybody draws or keeps it."""

from dataclasses import dataclass, field

from salreg.history import Frame


@dataclass(frozen=True)
class Snapshot:
    """What was seen of the panel.

    Attributes:
        epoch: How many epochs were trained.
        step: How many optimizer steps.
        frames: The drawn attributions' maps.
        numbers: By the name they are logged under.
        alerts: What rose above its limit, in words.
    """

    epoch: int
    step: int = 0
    frames: dict[str, Frame] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    alerts: list[str] = field(default_factory=list)
