"""What to do next, for each of a verdict's cases."""

GUIDE = "docs/how-to/it-did-not-work.md"

_MORE_MARKS = (
    "Mark more samples, or let `salreg annotations propagate` carry the marks over; say of samples without the thing that "
    "somebody looked at them (an annotation that marks nothing); train longer"
)
_ADVICE = {
    "NaN": "Lower the learning rate, or the penalty's weight, and look for NaN in the inputs",
    "constant": (
        "The training itself failed: lower the learning rate or the penalty's weight, train longer, and see that it learns "
        "without salreg"
    ),
    "fallen": (
        "Judge by the accuracy under intervention: lower the penalty's weight (the intervention alone needs none), train "
        "longer, and check that the marks leave what the model may use"
    ),
    "unmeasured": "Add SaliencyMetrics() to the Trainer's callbacks, and annotate the validation data",
    "never": (
        "Nothing needs to be done where the accuracy under intervention is good; where a shortcut was to be seen, check that "
        "the marks lie on it (`salreg annotations check`), and train once with intervene=False for comparison"
    ),
    "pointing": (
        "Draw that probe too, SaliencySnapshots(attributions=[...]), and test on data where the thing is absent or misleads"
    ),
    "stopped": "Confirm it on test data where the thing is absent or misleads, and report the accuracy under intervention",
    "map only": "A penalty moved the map alone: let the training intervene, which is the default, SaliencyRegularizer()",
    "content": _MORE_MARKS,
    "removal": _MORE_MARKS,
    "insertion": (
        "Say of samples without the thing that somebody looked at them (an annotation that marks nothing): only then is it "
        "drawn whether the thing is there; mark more samples; train longer"
    ),
}


def advice(case: str) -> str:
    """What to do next.

    Args:
        case: The case as ``salreg.verdict`` names it.

    Example:
        >>> print(advice("unmeasured"))
        Add SaliencyMetrics() to the Trainer's callbacks, and annotate the validation data (docs/how-to/it-did-not-work.md).
    """
    more = "" if case in ("stopped", "never") else f" ({GUIDE})"
    return f"{_ADVICE[case]}{more}."
