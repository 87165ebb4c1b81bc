"""The forward pass and its gradient as one graph, by the side of both one after the other."""

import copy
import pickle
import warnings

import pytest
import torch
from support import conv_net, noisy_net
from torch import nn
from two_processes import in_a_process_of_its_own

from salreg import scores
from salreg.compiled_gradient import CompiledGradient
from salreg.taps import find_logits

X, Y = torch.rand(6, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.fixture(autouse=True)
def nothing_compiled():
    """What another test compiled for one backward pass is not reused here, where there are several."""
    torch._dynamo.reset()


def gradient_of(score="log_prob_sum", backend="aot_eager"):
    return CompiledGradient(scores.resolve(score), backend)


def one_after_the_other(model, tap, score):
    output = model(tap.clone())
    values = scores.evaluate(scores.resolve(score), find_logits(output), Y)
    return output, torch.autograd.grad(values.sum(), tap, create_graph=True)[0]


def gradients(model, output, gradient, retain_graph=True):
    loss = find_logits(output).square().mean() + gradient.square().sum()
    return torch.autograd.grad(loss, list(model.parameters()), retain_graph=retain_graph)


@pytest.mark.parametrize("score", ["log_prob_sum", "target_logit", "contrast", "task_loss"])
def test_output_gradient_and_their_gradients_are_those_of_the_two_passes(score):
    torch.manual_seed(0)
    model, tap = conv_net(), X.clone().requires_grad_()
    ours, expected = gradient_of(score)(model, (tap,), {}, tap, Y), one_after_the_other(model, tap, score)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(gradients(model, *ours), gradients(model, *expected))


def close(one, other):
    torch.testing.assert_close(one, other)
    return True


def compile_to_machine_code():
    tap, compiled = X.clone().requires_grad_(), torch.compile(torch.tanh, backend="inductor")
    for _ in range(20):  # without salreg
        (gradient,) = torch.autograd.grad(compiled(tap).sum(), tap)
    print("PyTorch:", close(gradient, 1 - tap.tanh() ** 2), flush=True)
    torch._dynamo.reset()

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3))
    one_graph = gradient_of(backend="inductor")
    ours, expected = one_graph(model, (tap,), {}, tap), one_after_the_other(model, tap, "log_prob_sum")
    found = (gradients(model, *one, retain_graph=False) for one in (ours, expected))
    print("salreg:", not one_graph.problem and close(*found), flush=True)


def test_it_compiles_to_machine_code(tmp_path):
    """In a process of its own: on some processors PyTorch's inductor alone, without salreg, corrupts memory."""
    _, printed = in_a_process_of_its_own(compile_to_machine_code, tmp_path)
    if "PyTorch: True" not in printed:
        pytest.skip("PyTorch's inductor does not work on this machine")
    assert "salreg: True" in printed, printed[-3000:]


def test_batchnorm_moves_its_statistics_once():
    torch.manual_seed(0)
    model, tap = noisy_net(), X.clone().requires_grad_()
    expected = copy.deepcopy(model)
    expected(X)
    gradient_of()(model, (tap,), {}, tap)
    torch.testing.assert_close(dict(model.named_buffers()), dict(expected.named_buffers()))


def test_an_operation_in_place_spoils_no_tap():
    torch.manual_seed(0)
    model, tap = nn.Sequential(nn.ReLU(inplace=True), *conv_net()), (X - 0.5).requires_grad_()
    before = tap.detach().clone()
    ours = gradient_of()(model, (tap,), {}, tap)
    torch.testing.assert_close(ours, one_after_the_other(model, tap, "log_prob_sum"))
    assert torch.equal(tap, before)


def test_the_tap_may_be_any_argument_and_the_output_an_object_with_logits():
    class Output(dict):
        pass

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = conv_net()

        def forward(self, shift, *, images):
            return {"logits": self.net(images + shift)}

    torch.manual_seed(0)
    model, tap = Model(), X.clone().requires_grad_()
    output, gradient = gradient_of()(model, (0.5,), {"images": tap}, tap)
    assert set(output) == {"logits"}
    expected = one_after_the_other(lambda x: model(0.5, images=x), tap, "log_prob_sum")
    torch.testing.assert_close(gradient, expected[1])


def test_hooks_that_come_later_are_called():
    torch.manual_seed(0)
    model, tap, one_graph = conv_net(), X.clone().requires_grad_(), gradient_of()
    one_graph(model, (tap,), {}, tap)
    model[0].register_forward_hook(lambda module, args, output: 3 * output)
    torch.testing.assert_close(one_graph(model, (tap,), {}, tap), one_after_the_other(model, tap, "log_prob_sum"))


class Moody(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = conv_net()

    def forward(self, x):
        logits = self.net(x)
        return logits if logits.sum().item() > 0 else 2 * logits


def test_what_cannot_be_one_graph_runs_as_it_is_and_the_warning_names_the_line():
    torch.manual_seed(0)
    model, tap, one_graph = Moody(), X.clone().requires_grad_(), gradient_of()
    with pytest.warns(UserWarning, match=r"Moody cannot be one graph: .*test_compiled_gradient.py, line \d+, in forward"):
        output, gradient = one_graph(model, (tap,), {}, tap)
    assert gradient is None
    torch.testing.assert_close(output, model(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert one_graph(model, (tap,), {}, tap)[1] is None


def test_an_error_of_the_module_is_the_modules_own():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("no such class")

    tap = X.clone().requires_grad_()
    with pytest.warns(UserWarning, match="Broken"), pytest.raises(KeyError, match="no such class"):
        gradient_of()(Broken(), (tap,), {}, tap)


def test_it_can_be_copied_and_sent_to_another_process():
    torch.manual_seed(0)
    model, tap, one_graph = conv_net(), X.clone().requires_grad_(), gradient_of()
    expected = one_graph(model, (tap,), {}, tap)
    for other in (copy.deepcopy(one_graph), pickle.loads(pickle.dumps(one_graph))):
        torch.testing.assert_close(other(model, (tap,), {}, tap), expected)
