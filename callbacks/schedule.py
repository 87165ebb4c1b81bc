"""When a training step is penalised, and how strongly."""

from dataclasses import dataclass


@dataclass
class Schedule:
    """The weight of a penalty over the steps of a training.

    Attributes:
        weight: Of the penalty, once it is warm.
        every_n_steps: Every n-th step only is penalised, with n times the weight.
        warmup_steps: The weight rises from 0 over so many steps.
        steps: How many there were.

    Example:
        >>> schedule = Schedule(1.0, every_n_steps=2)
        >>> [schedule.is_due() for _ in range(4)], schedule.current
        ([True, False, True, False], 2.0)
    """

    weight: float
    every_n_steps: int = 1
    warmup_steps: int = 0
    steps: int = 0

    def is_due(self) -> bool:
        """Count the coming step, and tell whether it is penalised."""
        self.steps += 1
        return self.weight > 0 and (self.steps - 1) % self.every_n_steps == 0

    @property
    def current(self) -> float:
        """The weight of this step."""
        ramp = min(1.0, self.steps / self.warmup_steps) if self.warmup_steps else 1.0
        return self.weight * ramp * self.every_n_steps
