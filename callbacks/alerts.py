"""A word when a number rises above a limit, once until it has fallen below again."""

from collections.abc import Mapping


class Alerts:
    """Watches numbers.

    Args:
        limits: By name, or by the end of names: ``reliance`` stands for ``val/reliance`` and ``panel/reliance``.

    Example:
        >>> alerts = Alerts({"reliance": 0.2})
        >>> [alerts.crossed({"val/reliance": value}) for value in (0.1, 0.3, 0.4)]
        [[], ['val/reliance rose to 0.300, above the limit of 0.2'], []]
    """

    def __init__(self, limits: Mapping[str, float]) -> None:
        self.limits = dict(limits)
        self._above: set[str] = set()

    def crossed(self, numbers: Mapping[str, float]) -> list[str]:
        """What rose above its limit since the last call."""
        said = []
        for name, value in numbers.items():
            limit = next((limit for end, limit in self.limits.items() if f"/{name}".endswith(f"/{end}")), None)
            if limit is None or not value > limit:
                self._above.discard(name)
            elif name not in self._above:
                self._above.add(name)
                said.append(f"{name} rose to {value:.3f}, above the limit of {limit:g}")
        return said
