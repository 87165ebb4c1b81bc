"""RR-ClArC's direction, estimated while the network changes."""

import copy

import pytest
import torch
from support import conv_net, images

from salreg.interventions.replacements import replace
from salreg.penalties import ConceptPenalty


def test_over_several_steps_it_is_the_mean_over_all_annotated_samples_so_far():
    """Each step's change is that of the network as it was then, and weighs as much as the step has annotated samples."""
    model, penalty = conv_net(smooth=True), ConceptPenalty("2", seed=3)
    total, count = torch.zeros(4), 0
    for step, size in enumerate((8, 5, 9)):
        x, y, annotations = (one[:size] for one in images(9, seed=step))
        annotated = annotations.flatten(1).any(1)
        spurious = annotations.float().abs()
        swapped = replace(x, spurious, "swap", copy.deepcopy(penalty.rng))
        change = (model[:3](x) - model[:3](swapped))[annotated].sum((0, 2, 3)).detach()
        total, count = total + change, count + int(annotated.sum())
        expected = (total / count).square().sum()
        with penalty.watch(model) as watch:
            model(x)
        given = ConceptPenalty("2", total)
        with given.watch(model) as along:
            model(x)
        ours = watch.penalty(y, annotations)
        torch.testing.assert_close(ours, along.penalty(y, annotations) * expected)
        assert 0 < count < 9 * (step + 1)
        ours.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.5 * (0 if parameter.grad is None else parameter.grad)
            model[0].weight += 0.1  # the change of the next step is another one


def test_a_step_without_annotated_samples_changes_nothing():
    x, y, annotations = images(8)
    model, penalty = conv_net(smooth=True), ConceptPenalty("2")
    with penalty.watch(model) as watch:
        model(x)
    watch.penalty(y, annotations)
    before = copy.deepcopy(penalty.state_dict())
    with penalty.watch(model) as watch:
        model(x)
    assert watch.penalty(y, torch.zeros_like(annotations)) == 0
    after = penalty.state_dict()
    torch.testing.assert_close(after["sum"], before["sum"])
    assert after["count"] == before["count"] == int(annotations.flatten(1).any(1).sum())


@pytest.mark.parametrize("scale", [0.1, 20.0])
def test_a_given_directions_length_does_not_matter(scale):
    x, y, annotations = images(8)
    model = conv_net(smooth=True)
    values = []
    for direction in ([1.0, 2.0, 0.0, -1.0], [scale, 2 * scale, 0.0, -scale]):
        with ConceptPenalty("2", direction).watch(model) as watch:
            model(x)
        values.append(watch.penalty(y, annotations))
    torch.testing.assert_close(*values)
