"""Warn once when a metric exceeds its limit, and again only after it has fallen below."""

from collections.abc import Mapping

from pytorch_lightning.utilities.rank_zero import rank_zero_warn

from salreg.callbacks.settings import check_alerts
from salreg.names import nearest

_CALLS_TO_WAIT = 2  # before the training there are fewer numbers than after its first epoch


class Alerts:
    """Watches metrics and reports those that exceed their limits.

    Args:
        limits: Limits by name, or by the end of names: ``reliance`` stands for ``val/reliance`` and ``panel/reliance``. A name
            that no metric has causes a warning, which suggests the nearest.

    Raises:
        TypeError: A limit is not a number.
        ValueError: A limit is NaN or infinite, and would never be reached.

    Example:
        >>> alerts = Alerts({"reliance": 0.2})
        >>> [alerts.crossed({"val/reliance": value}) for value in (0.1, 0.3, 0.4)]
        [[], ['val/reliance rose to 0.300, above the limit of 0.2'], []]
    """

    def __init__(self, limits: Mapping[str, float]) -> None:
        check_alerts(limits)
        self.limits = dict(limits)
        self._above: set[str] = set()
        self._unseen = set(self.limits)
        self._calls = 0

    def crossed(self, numbers: Mapping[str, float]) -> list[str]:
        """The metrics that rose above their limit since the last call."""
        said = []
        for name, value in numbers.items():
            matching = [end for end in self.limits if f"/{name}".endswith(f"/{end}")]
            self._unseen.difference_update(matching)
            limit = self.limits[matching[0]] if matching else None
            if limit is None or not value > limit:
                self._above.discard(name)
            elif name not in self._above:
                self._above.add(name)
                said.append(f"{name} rose to {value:.3f}, above the limit of {limit:g}")
        self._warn_of_unseen(numbers)
        return said

    def _warn_of_unseen(self, numbers: Mapping[str, float]) -> None:
        """Warn once about misspelt alerts, which would otherwise silently never fire."""
        self._calls += 1
        if self._calls != _CALLS_TO_WAIT:
            return
        known = {**{name.rpartition("/")[2]: None for name in numbers}, **dict.fromkeys(numbers)}
        for name in sorted(self._unseen):
            rank_zero_warn(f"The alert {name!r} has no effect: no metric so far has that name{nearest(name, known)}.")
