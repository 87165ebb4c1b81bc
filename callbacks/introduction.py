"""One line at the first step that says what salreg identified as input, target, logits and marks."""

from collections.abc import Mapping

import torch
from torch import Tensor

from salreg.annotations import is_annotated
from salreg.callbacks.reading import Reading
from salreg.data import AnnotatedBatch, annotations_by_input, input_named
from salreg.interventions.inputs import annotated_input, embedded_choices, names_tokens
from salreg.taps import Found, Recording, name_of, place_of, tensors_in


def introduction(reading: Reading, found: Found, recording: Recording, batch: AnnotatedBatch) -> str:
    """Describe what was identified in the first step.

    Args:
        reading: What the loss says.
        found: Where the logits come from.
        recording: The step.
        batch: Its batch.

    Returns:
        For example ``input batch['image'] (3, 224, 224), target batch['label'] (5 classes, softmax), logits from net.head,
        marks on 12 of 64 samples``.
    """
    parts = [_input(name, annotation, batch) for name, annotation in annotations_by_input(batch.annotation).items()]
    marked = torch.stack([is_annotated(one) for one in annotations_by_input(batch.annotation).values()]).any(0)
    parts += [_target(reading, recording.require_logits()), _logits(found, recording)]
    return ", ".join([*parts, f"marks on {int(marked.sum())} of {len(marked)} samples"])


def guess(found: Found, recording: Recording) -> str:
    """What is said where the loss does not tell how it reads the logits."""
    logits = recording.require_logits()
    classes = logits.shape[1] if logits.ndim > 1 else 1
    taken = f"{classes} classes that exclude one another" if classes > 1 else "the logit of two classes"
    whose = name_of(recording.model, found.modules[0][0]) if found.modules else "the model"
    return (
        f"The loss does not tell how it reads what {whose} puts out, which is taken for {taken}. If that is wrong, reliance, "
        "maps and penalties are, too: say link='regression' (also of an embedding, a rate or a risk), 'sigmoid' (of labels) or "
        "'softmax' to all salreg callbacks; the last makes this warning go."
    )


def other_inputs(batch: AnnotatedBatch) -> tuple[str, str]:
    """Where the annotated input lies, and how to name another one of those that the annotations fit, too; two empty texts where
    there is none, or the input is named."""
    if not isinstance(batch.annotation, Tensor):
        return "", ""
    part = batch.annotated_part
    try:
        taken = annotated_input(part, batch.annotation)
    except ValueError:
        return "", ""
    if not taken.others:
        return "", ""
    shape = taken.tensor.shape[: batch.annotation.ndim]
    rest = [one for one in tensors_in(part) if one is not taken.tensor and one.shape[: len(shape)] == shape]
    names = [name for name, one in part.items() if any(one is other for other in rest)] if isinstance(part, Mapping) else []
    how = (
        f"AnnotatedDataset(base, {{{names[0]!r}: annotations}})"
        if names
        else "return dicts from the dataset, or the input first"
    )
    return f"batch{place_of(part, taken.tensor)}", how


def _input(name: str | None, annotation: Tensor, batch: AnnotatedBatch) -> str:
    try:
        found = annotated_input(batch.sample, annotation) if name is None else None
        tensor = input_named(batch.sample, str(name)) if found is None else found.tensor
    except ValueError:
        choices = embedded_choices(batch.sample, annotation)
        if choices is not None:
            return f"input batch['inputs_embeds'] {tuple(choices.shape[1:])}"
        return "no input that the annotations fit (only layers can be explained)"
    place = place_of(batch.sample, tensor) or ""
    read_as = " read as token numbers of texts" if found and found.kind == "tokens" and not names_tokens(place) else ""
    return f"input batch{place} {tuple(tensor.shape[1:])}{read_as}"


def _target(reading: Reading, logits: Tensor) -> str:
    classes = logits.shape[1] if logits.ndim > 1 and logits.shape[1] > 1 else 2
    if reading.layout is not None:
        return _targets_of_places(reading, logits)
    kind = "regression" if reading.link == "regression" else f"{classes} {'labels' if reading.link == 'sigmoid' else 'classes'}"
    kind += f", {reading.link}" if reading.link in ("softmax", "sigmoid") else ""
    if reading.target_place is not None:
        return f"target {reading.target_place} ({kind})"
    if reading.has_target:
        return f"target created by the step itself ({kind})"
    return f"target not identified from the loss ({kind})"


def _targets_of_places(reading: Reading, logits: Tensor) -> str:
    classes, places = logits.shape[1:3]
    if reading.link == "span":
        of = f"start and end among {classes} places"
        return f"targets {reading.target_place or 'created by the step itself'} ({of})"
    kind = f"{classes} classes at each of {places} places, classes on axis {reading.layout.axis}" if reading.layout else ""
    if reading.target_place is None:
        return f"target {'created by the step itself' if reading.has_target else 'not identified from the loss'} ({kind})"
    kind += ", each place with the label of the next one" if reading.shifted else ", each place with its own label"
    return f"target {reading.target_place} ({kind})"


def _logits(found: Found, recording: Recording) -> str:
    if not found.modules:
        return "logits from the loss (no module returns them)"
    names = list(dict.fromkeys(name_of(recording.model, module) for module, _, _ in found.modules))
    if found.layout is not None and len(found.modules) > 1:
        return f"logits from {', '.join(names)} (start_logits and end_logits)"
    calls = f" (the mean of {len(found.modules)} calls)" if len(found.modules) > 1 else ""
    return f"logits from {', '.join(names)}{calls}" + (", which are probabilities" if found.probabilities else "")
