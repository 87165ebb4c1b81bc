"""What to do next, for each of a verdict's cases."""

GUIDE = "docs/how-to/it-did-not-work.md"

_MORE_MARKS = (
    "Mark more samples, or let `salreg annotations propagate` carry the marks over; annotate samples without the marked "
    "feature as looked at (with an annotation that marks nothing); train longer"
)
_ADVICE = {
    "NaN": "Lower the learning rate, or the penalty's weight, and look for NaN in the inputs",
    "constant": (
        "The training itself failed: lower the learning rate or the penalty's weight, train longer, and check that it learns "
        "without salreg"
    ),
    "fallen": (
        "Judge by the accuracy under intervention: lower the penalty's weight (the intervention alone needs none), train "
        "longer, and check that the marks do not cover what the model may use"
    ),
    "unmeasured": "Add SaliencyMetrics() to the Trainer's callbacks, and annotate the validation data",
    "never": (
        "Nothing needs to be done if the accuracy under intervention is good; if you expected a shortcut, check that the marks "
        "lie on it (`salreg annotations check`), and train once with intervene=False for comparison"
    ),
    "pointing": (
        "Draw that probe too, SaliencySnapshots(attributions=[...]), and test on data where the marked feature is absent or "
        "misleads"
    ),
    "stopped": (
        "Confirm it on test data where the marked feature is absent or misleads, and report the accuracy under intervention"
    ),
    "map only": "A penalty changed only the map: let the training intervene, which is the default of SaliencyRegularizer()",
    "content": _MORE_MARKS,
    "removal": _MORE_MARKS,
    "insertion": (
        "Annotate samples without the marked feature as looked at (with an annotation that marks nothing), because only then "
        "is its presence drawn at random; mark more samples; train longer"
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
