"""Arguments of the wrong type, out of range or misspelt, at every public constructor."""

import math

import pytest
import torch
from hostile.refusal import refused
from torch.utils.data import TensorDataset

from salreg import attributions, losses, penalties, presets, scores
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.callbacks.alerts import Alerts
from salreg.data import AnnotatedDataset, Augmented, Counterexamples
from salreg.differentiation import FiniteDifference
from salreg.interventions import Intervention
from salreg.metrics import Comprehensiveness, RationaleF1, Sufficiency, WorstGroupAccuracy
from salreg.propagation import propagate, propagate_words
from salreg.rng import Rng

NAN, INF = math.nan, math.inf
WHOLE = (0, -1, 2.5, 1.0, NAN, "3", "many", True, [1])
FROM_ZERO = (-1, 2.5, NAN, "3", True, [1])
POSITIVE = (0, -1.0, NAN, INF, "1.0", "high", True, [1.0], torch.ones(2))
NOT_NEGATIVE = (-1.0, NAN, INF, "1.0", "high", True, [1.0])
SHARE = (-0.1, 1.1, NAN, INF, "0.5", "half", True)
INSIDE = (*SHARE, 0, 1)
FLAG = ("false", "yes", 0, 1, None, 0.5)
X = torch.rand(4, 1, 4, 4)
MARK = torch.tensor([[[-1, 0, 0, 0]] * 4], dtype=torch.int8)


def base():
    return TensorDataset(X, torch.arange(4))


def annotated():
    return AnnotatedDataset(base(), {0: MARK, 1: MARK})


#: What makes it, the argument, and values that it must refuse.
NUMBERS = [
    (SaliencyRegularizer, "weight", NOT_NEGATIVE),
    (SaliencyRegularizer, "every_n_steps", WHOLE),
    (SaliencyRegularizer, "warmup_steps", FROM_ZERO),
    (SaliencyRegularizer, "max_samples", WHOLE),
    (SaliencyRegularizer, "compile", FLAG),
    (SaliencyMetrics, "chunk_size", WHOLE),
    (SaliencyMetrics, "max_batches", WHOLE),
    (SaliencyMetrics, "groups", WHOLE),
    (SaliencyMetrics, "rationale", FLAG),
    (SaliencySnapshots, "panel", WHOLE),
    (SaliencySnapshots, "every_n_epochs", WHOLE),
    (SaliencySnapshots, "sanity", FLAG),
    (Intervention, "presence", SHARE),
    (Intervention, "bank", WHOLE),
    (Intervention, "padding_token", FROM_ZERO),
    (Intervention, "seed", (1.5, "0", None, NAN)),
    (Rng, "seed", (1.5, "0", None, NAN)),
    (FiniteDifference, "sides", (0, 3, 1.5, "2", NAN)),
    (FiniteDifference, "step", POSITIVE[:-1]),
    (FiniteDifference, "check_every", FROM_ZERO),
    (FiniteDifference, "allow_kinks", FLAG),
    (attributions.SmoothGrad, "samples", WHOLE),
    (attributions.SmoothGrad, "noise", NOT_NEGATIVE),
    (attributions.VarGrad, "samples", WHOLE),
    (attributions.InputGradient, "times_input", FLAG),
    (attributions.IntegratedGradients, "steps", WHOLE),
    (attributions.IntegratedGradients, "baseline", (NAN, INF, "black", None, [0.0])),
    (attributions.ExpectedGradients, "samples", WHOLE),
    (attributions.ExpectedGradients, "references", ("batch", 0.5, [[0.0]])),
    (attributions.Occlusion, "window", (*WHOLE, (2, 0), (2, 1.5))),
    (attributions.Occlusion, "stride", (*WHOLE, (2, 0))),
    (attributions.Occlusion, "fill", (NAN, INF, "mean", None)),
    (attributions.FeatureAblation, "groups", ("rows", 2, [0, 1])),
    (attributions.RISE, "masks", WHOLE),
    (attributions.RISE, "cells", WHOLE),
    (attributions.RISE, "keep", INSIDE),
    (attributions.GradCAM, "positive", FLAG),
    (attributions.GradCAM, "grid", (7, (7,), (0, 7), "7x7", (7, 7, 7), (1.5, 2))),
    (attributions.GradCAM, "layer", (3, None, 1.5, [3])),
    (attributions.RawAttention, "block", (1.5, "last", None)),
    (attributions.LeGrad, "grid", (7, (0, 7))),
    (losses.RobustSupervision, "slack", NOT_NEGATIVE),
    (penalties.SaliencyPenalty, "max_samples", WHOLE),
    (penalties.ConsistencyPenalty, "strength", POSITIVE[:-1]),
    (penalties.ConsistencyPenalty, "steps", WHOLE),
    (penalties.SaliencyGuided, "share", INSIDE),
    (penalties.RegionPath, "presence", SHARE),
    (presets.res, "slack", NOT_NEGATIVE),
    (presets.saliency_guided, "share", INSIDE),
    (presets.region_path, "presence", SHARE),
    (WorstGroupAccuracy, "groups", (*WHOLE, None)),
    (RationaleF1, "share", (0, 1.1, NAN, "0.1")),
    (Comprehensiveness, "shares", ([], [0.0], [0.5, 1.5], [NAN], "0.5", 0.5, None)),
    (Sufficiency, "shares", ([], [0.0], "0.5")),
    (lambda **given: Counterexamples(annotated(), **given), "copies", WHOLE),
    (lambda **given: Augmented(annotated(), **given), "crop", FROM_ZERO),
    (lambda **given: Augmented(annotated(), **given), "flip", FLAG),
    (lambda **given: Augmented(annotated(), **given), "size", (4, (4,), (0, 4), "4x4")),
    (lambda **given: propagate(annotated(), progress=False, **given), "least_quality", SHARE),
    (lambda **given: propagate(annotated(), progress=False, **given), "side", WHOLE),
    (lambda **given: propagate(annotated(), progress=False, **given), "steps", WHOLE),
    (lambda **given: propagate_words([["a"]], [torch.tensor([-1])], **given), "precision", SHARE),
]
EACH = [(make, name, value) for make, name, values in NUMBERS for value in values]


@pytest.mark.parametrize(("make", "name", "value"), EACH)
def test_a_value_of_another_kind_or_out_of_range_is_named(make, name, value):
    said = refused(lambda: make(**{name: value}), f"{name} must be ")
    assert " not " in said or "at least one" in said  # what is expected, and what was given


#: What makes it, the argument, a misspelt word, and the right one.
WORDS = [
    (SaliencyRegularizer, "attribution", "input_gradiant", "input_gradient"),
    (SaliencyRegularizer, "loss", "rr", "rrr"),
    (SaliencyRegularizer, "preset", "hintt", "hint"),
    (SaliencyMetrics, "attribution", "gradcam", "grad_cam"),
    (Intervention, "fill", "difusion", "diffusion"),
    (Intervention, "place", "randm", "random"),
    (attributions.InputGradient, "score", "log_prob", "log_prob_sum"),
    (attributions.RawAttention, "read", "class_tokn", "class_token"),
    (attributions.IntegratedGradients, "rule", "trapez", "trapezoid"),
    (losses.MeanSquaredError, "normalize", "minmax", "min_max"),
    (losses.RightForRightReasons, "normalize", "sigmoidal", "sigmoid"),
    (losses.HuberLoss, "normalize", "maxx", "max"),
    (scores.Dense, "reduction", "maximum", "max"),
    (presets.hint, "form", "rankin", "ranking"),
    (lambda **given: AnnotatedDataset(base(), {}, **given), "empty", "unknwon", "unknown"),
    (lambda **given: Counterexamples(annotated(), **given), "replacement", "unifrom", "uniform"),
    (lambda **given: attributions.resolve(**given), "attribution", "smoothgrad", "smooth_grad"),
    (lambda **given: losses.resolve(**given), "loss", "cosin", "cosine"),
    (lambda **given: scores.resolve(**given), "score", "contrst", "contrast"),
    (lambda **given: presets.resolve(**given), "preset", "cdepp", "cdep"),
]


@pytest.mark.parametrize(("make", "name", "wrong", "right"), WORDS)
def test_a_misspelt_word_brings_the_nearest(make, name, wrong, right):
    refused(lambda: make(**{name: wrong}), repr(wrong), "did you mean", repr(right))


@pytest.mark.parametrize("value", [None, 5, 2.5, ["rrr"], NAN, True])
@pytest.mark.parametrize(
    ("resolve", "kind"),
    [
        (attributions.resolve, "attribution must be given by name or as an object"),
        (losses.resolve, "attribution loss must be given by name or as an object"),
        (scores.resolve, "score must be given by name or as an object"),
        (presets.resolve, "preset must be given by name or as an object"),
    ],
)
def test_what_is_no_name_at_all_is_called_so(resolve, kind, value):
    refused(lambda: resolve(value), kind)


@pytest.mark.parametrize(
    ("resolve", "kind"),
    [(attributions.resolve, attributions.GradCAM), (losses.resolve, losses.EnergyLoss), (scores.resolve, scores.Dense)],
)
def test_a_class_in_place_of_an_object_is_to_be_called(resolve, kind):
    refused(lambda: resolve(kind), f"the class {kind.__name__}", "Call it")


OTHERS = [
    (lambda: SaliencyRegularizer(intervene="yes"), ["intervene must be True, False", "'yes'"]),
    (lambda: SaliencyRegularizer(intervene={"fil": "mean"}), ["intervene has no option 'fil'", "did you mean 'fill'"]),
    (lambda: SaliencyRegularizer(preset={"name": "hint", "frm": 1}), ["The preset hint has no option 'frm'", "'form'"]),
    (lambda: SaliencyRegularizer(preset={"form": "ranking"}), ["has no name"]),
    (lambda: SaliencyRegularizer(preset="rrr", loss="l1"), ["A preset has its own"]),
    (lambda: SaliencyRegularizer(name=""), ["name must be a text"]),
    (lambda: SaliencyRegularizer(name=3), ["name must be a text", "not 3"]),
    (lambda: SaliencyRegularizer(input=3), ["input must be a text", "not 3"]),
    (lambda: SaliencyRegularizer(forward_module=torch.nn.ReLU()), ["forward_module must be a text"]),
    (lambda: SaliencyRegularizer(embedding=""), ["embedding must be a text", "empty"]),
    (lambda: SaliencyRegularizer(link="logistic"), ["link must be softmax, sigmoid or regression", "'logistic'"]),
    (lambda: SaliencyRegularizer(target=1.5), ["target must be a mapping's key", "1.5"]),
    (lambda: SaliencyRegularizer(differentiation="exakt"), ["differentiation must be auto", "'exakt'"]),
    (lambda: SaliencyMetrics(group=1.5), ["group must be a mapping's key", "1.5"]),
    (lambda: SaliencyMetrics(target=[0]), ["target must be a mapping's key"]),
    (lambda: SaliencySnapshots(attributions="input_gradient"), ["attributions must be a list", "write ['input_gradient']"]),
    (lambda: SaliencySnapshots(probes="occlusion"), ["probes must be a list", "write ['occlusion']"]),
    (lambda: SaliencySnapshots(attributions=[]), ["at least one attribution"]),
    (lambda: SaliencySnapshots(attributions=["gradcam"]), ["did you mean 'grad_cam'"]),
    (lambda: SaliencySnapshots(attributions=[None]), ["given by name", "None"]),
    (lambda: SaliencySnapshots(class_names="cat"), ["class_names must be a list", "write ['cat']"]),
    (lambda: SaliencySnapshots(class_names=3), ["class_names must be a list", "not 3"]),
    (lambda: SaliencySnapshots(dir=3), ["dir must be a folder's path", "not 3"]),
    (lambda: SaliencySnapshots(alerts={"reliance": "high"}), ["alerts: reliance", "'high'"]),
    (lambda: SaliencySnapshots(alerts={"reliance": NAN}), ["alerts: reliance", "nan"]),
    (lambda: SaliencySnapshots(alerts=["reliance"]), ["alerts must be a mapping", "'reliance': 0.2"]),
    (lambda: Alerts({"reliance": None}), ["alerts: reliance", "None"]),
    (lambda: Alerts({3: 0.2}), ["the name of an alert", "not 3"]),
    (lambda: Alerts({"": 0.2}), ["the name of an alert", "empty"]),
    (lambda: attributions.GradCAM([]), ["at least one layer"]),
    (lambda: penalties.DecompositionPenalty("softmaxx"), ["form must be softmax or log_softmax", "'softmaxx'"]),
    (lambda: penalties.ConsistencyPenalty("blur"), ["perturbation must be", "'blur'"]),
    (lambda: AnnotatedDataset(base(), {0.5: MARK}), ["a sample's index, a whole number", "0.5"]),
    (lambda: AnnotatedDataset(base(), {1.0: MARK}), ["a sample's index, a whole number", "1.0"]),
    (lambda: AnnotatedDataset(base(), {torch.tensor(1): MARK}), ["a sample's index, a whole number", "tensor"]),
    (lambda: AnnotatedDataset(base(), {4: MARK}), ["4 samples, but sample 4"]),
    (lambda: AnnotatedDataset(base(), {-1: MARK}), ["sample -1"]),
    (lambda: AnnotatedDataset(base(), [MARK]), ["4 samples, but there are 1 annotations"]),
    (lambda: AnnotatedDataset(base(), None), ["one per sample", "None"]),
    (lambda: AnnotatedDataset(base(), 3), ["one per sample", "3"]),
    (lambda: AnnotatedDataset(base(), "marks.json"), ["one per sample", "'marks.json'"]),
    (lambda: AnnotatedDataset(None, {}), ["a map-style dataset", "None"]),
    (lambda: AnnotatedDataset(5, {}), ["a map-style dataset", "5"]),
    (lambda: AnnotatedDataset(base(), {0: MARK * 2})[0], ["sample 0", "[-1, 1]"]),
    (lambda: AnnotatedDataset(base(), {0: MARK < 0})[0], ["sample 0", "boolean", "from_mask"]),
    (lambda: AnnotatedDataset(base(), {0: MARK * NAN})[0], ["sample 0", "NaN"]),
    (lambda: Counterexamples(base()), ["AnnotatedDataset", "TensorDataset"]),
    (lambda: Counterexamples(AnnotatedDataset(base(), {})), ["No sample carries a spurious mark"]),
    (lambda: Augmented(base()), ["AnnotatedDataset", "TensorDataset"]),
    (lambda: propagate(base()), ["AnnotatedDataset", "TensorDataset"]),
]


@pytest.mark.parametrize(("make", "words"), OTHERS)
def test_everything_else_is_named_with_the_way_out(make, words):
    refused(make, *words)
