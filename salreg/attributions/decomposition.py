"""Contextual decomposition: the contribution of a region of the input to every logit, and that of the rest."""

import operator
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn

from salreg import checks, scores
from salreg.attributions import decomposition_rules as rules
from salreg.attributions.base import Attribution
from salreg.attributions.decomposition_pair import Pair, holds_pair
from salreg.attributions.perturbation import distribute, feature_groups
from salreg.scores import Score
from salreg.taps import Recording


class ContextualDecomposition(Attribution):
    r"""The part of the logit that comes from a group of features (Murdoch et al. 2018; Singh et al. 2019, as CDEP uses it).

    .. math:: M_i = \beta_c(x_{G(i)}), \qquad f_c(x) = \beta_c(x_G) + \gamma_c(x_G)

    The network is traced with ``torch.fx`` and passed through layer by layer in two parts. Rules: Linear, convolutions and
    BatchNorm (with its running statistics) split their bias in proportion to the parts' absolute values; ReLU gives the region
    ReLU(beta) and the rest what remains (CDEP); Tanh, GELU and SiLU are shared evenly between the two (both Shapley orders);
    max pooling takes both parts where their sum is largest; averages, reshapes and sums act on each part separately; Dropout is
    skipped; LSTMs follow Murdoch et al.'s rules for their gates. Any other operator raises an error that names it.

    It costs one decomposed pass per group, and needs only first-order gradients in training.

    Args:
        groups: The group of each feature, integers, laid out like one sample or broadcasting to it. By default each feature
            of a table, or each token, is its own group.
        score: The score to explain, computed from the region's part of the logits.

    Returns when called:
        A tensor in the input's shape, of any sign, in score units.

    Raises:
        ValueError: The groups do not fit, or images have no groups.
        NotImplementedError: An operator, named in the message, has no rule; or fx cannot trace the network.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> x, y = torch.rand(1, 3), torch.tensor([0])
        >>> ContextualDecomposition()(model, x, y).shape
        torch.Size([1, 3])
    """

    family = "decomposition"
    uses_gradients = False

    def __init__(self, groups: Tensor | None = None, score: str | Score = "target_logit") -> None:
        checks.tensor(groups=groups)
        super().__init__(score)
        self.groups = groups

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        given = recording.tensor_given()
        assert given is not None
        parts = feature_groups(given[0], self.groups)
        with torch.set_grad_enabled(create_graph):
            values = [
                scores.evaluate(self.score, decompose(recording, part.expand_as(given)).region, target)
                for part in parts.to(given.device)
            ]
        return distribute(torch.stack(values), parts)


def decompose(recording: Recording, region: Tensor) -> Pair:
    """The logits of a recorded forward pass in two parts.

    Args:
        recording: The recording of a pass through a network that fx can trace.
        region: Values in [0, 1], laid out like the input ``(B, ...)`` (one channel is enough) or, for token numbers, ``(B,
            T)``.

    Returns:
        Both parts ``(B, C)``; their sum is the network's logits with Dropout off and BatchNorm in eval mode.

    Raises:
        NotImplementedError: An operator, named in the message, has no rule; or fx cannot trace the network.
    """
    module = recording.module
    if module is None:
        raise NotImplementedError(
            "Contextual decomposition needs one module that receives the batch's input unchanged and returns the logits; this "
            "step does more."
        )
    if len(recording.args) + len(recording.kwargs) != 1:
        raise NotImplementedError("Contextual decomposition needs a network that takes one tensor.")
    given = recording.tensor_given()
    logits = _Decomposition(module, region).run(given)
    if not isinstance(logits, Pair):
        raise NotImplementedError(f"{type(module).__name__}'s output does not depend on its input, or is not a tensor.")
    return logits


_graphs: "WeakKeyDictionary[nn.Module, fx.Graph]" = WeakKeyDictionary()


def _traced(module: nn.Module) -> fx.Graph:
    if module not in _graphs:
        try:
            _graphs[module] = fx.Tracer().trace(module)
        except Exception as error:
            raise NotImplementedError(
                f"torch.fx cannot trace {type(module).__name__}, which contextual decomposition needs: {error}"
            ) from error
    return _graphs[module]


class _Decomposition:
    """Runs a traced module on pairs."""

    def __init__(self, module: nn.Module, region: Tensor) -> None:
        self.module, self.region = module, region
        self.values: dict[fx.Node, Any] = {}

    def run(self, given: Any) -> Any:
        for node in _traced(self.module).nodes:
            self.values[node] = self._value(node, given)
            if node.op == "output":
                return self.values[node]
        raise AssertionError("every graph has an output")

    def _value(self, node: fx.Node, given: Any) -> Any:
        if node.op == "placeholder":
            return self._split(given) if given.is_floating_point() else given
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self.module)
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda one: self.values[one])
        if node.op == "output":
            return args[0]
        if node.op == "call_module":
            layer = self.module.get_submodule(str(node.target))
            return self._layer(layer, str(node.target), args, kwargs)
        held = holds_pair((args, kwargs))
        if node.op == "call_function":
            assert callable(node.target)
            return rules.function(node.target, args, kwargs) if held else node.target(*args, **kwargs)
        return rules.method(str(node.target), args, kwargs) if held else getattr(args[0], str(node.target))(*args[1:], **kwargs)

    def _split(self, value: Tensor) -> Pair:
        """Embedded tokens ``(B, T, D)`` take the region ``(B, T)`` of their tokens."""
        region = self.region.to(value)
        region = region.view(*region.shape, *[1] * (value.ndim - region.ndim))
        return Pair(region * value, (1 - region) * value)

    def _layer(self, layer: nn.Module, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not holds_pair((args, kwargs)):
            result = layer(*args, **kwargs)
            return self._split(result) if isinstance(layer, nn.Embedding) else result
        rule = next((rule for kind, rule in rules.LAYERS.items() if isinstance(layer, kind)), None)
        if rule is None or len(args) != 1 or kwargs:
            raise NotImplementedError(
                f"Contextual decomposition has no rule for {type(layer).__name__} ({name!r}). There are rules for: "
                f"{', '.join(kind.__name__ for kind in rules.LAYERS)}."
            )
        return rule(layer, args[0])
