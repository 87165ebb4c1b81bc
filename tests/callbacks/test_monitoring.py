"""What runs beside a training leaves no trace in it."""

import pytest
import torch
from support import noisy_net, trainer

from salreg.callbacks.monitoring import undisturbed


def after(draw):
    """The random numbers that come after monitoring which draws some."""
    torch.manual_seed(7)
    first = torch.rand(3)
    with undisturbed(trainer(), noisy_net()):
        draw()
    return first, torch.rand(3)


@pytest.mark.parametrize("draw", [lambda: torch.rand(5), lambda: torch.manual_seed(3), lambda: torch.randperm(9)])
def test_random_numbers_go_on_as_if_none_had_been_drawn(draw):
    for ours, expected in zip(after(draw), after(lambda: None), strict=True):
        assert torch.equal(ours, expected)


def test_monitoring_starts_from_the_trainings_random_state():
    """Forked, not seeded: what is drawn inside is what the training would have drawn."""
    torch.manual_seed(7)
    with undisturbed(trainer(), noisy_net()):
        inside = torch.rand(3)
    assert torch.equal(inside, torch.rand(3))


def failing(net):
    with undisturbed(trainer(), net):
        torch.rand(5)
        raise KeyError("amid it")


def test_nor_does_an_error_leave_a_trace():
    net = noisy_net()
    net[1].eval()
    modes = [part.training for part in net.modules()]
    torch.manual_seed(7)
    with pytest.raises(KeyError):
        failing(net)
    ours = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(ours, torch.rand(3))
    assert [part.training for part in net.modules()] == modes


def test_modes_are_restored_part_by_part():
    net = noisy_net()
    net[1].eval()  # a BatchNorm that the user keeps frozen
    with undisturbed(trainer(), net):
        assert not any(part.training for part in net.modules())
    assert [part.training for part in net] == [True, False, True, True, True, True]
    assert net.training


def test_gradients_can_be_taken_inside_whatever_is_around():
    with torch.inference_mode(), undisturbed(trainer(), noisy_net()):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
    with torch.no_grad(), undisturbed(trainer(), noisy_net()):
        assert torch.is_grad_enabled()
    assert torch.is_grad_enabled()
