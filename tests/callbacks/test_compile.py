"""``compile=True``: the penalised step as one graph, with the same result; what cannot be runs uncompiled and says so."""

import copy

import pytest
import torch
from support import Lit, conv_net, distance, fit, fresh, images, loader, noisy_net, regularizer, same
from texts import Recurrent, annotated_texts
from torch import nn
from torch.nn.functional import cross_entropy

from salreg import SaliencyPenalty
from salreg.attributions import GradCAM
from salreg.callbacks import SaliencyRegularizer, SaliencySnapshots


def compiling(**options):
    made = regularizer(compile=True, **options)
    made.penalty.method.compiled.backend = "aot_eager"
    return made


@pytest.mark.parametrize("net", [conv_net, noisy_net])
def test_it_trains_like_the_uncompiled_step(net):
    plain, expected, ours = (fresh(lambda: Lit(net())) for _ in range(3))
    fit(plain, regularizer(weight=0))
    fit(expected, regularizer())
    callback = compiling()
    fit(ours, callback)
    assert not callback.penalty.method.compiled.problem
    assert callback.penalty.method.decided.startswith("a second derivative, compiled")
    random = 1.0 if net is noisy_net else 1e-4  # a graph draws its dropout masks in another order
    assert distance(expected, ours) < random * distance(expected, plain)


def test_the_first_step_runs_uncompiled_and_looks_at_everything(monkeypatch):
    callback, calls = compiling(), []
    original = type(callback.penalty.method.compiled).__call__
    monkeypatch.setattr(
        type(callback.penalty.method.compiled), "__call__", lambda *args, **kw: calls.append(1) or original(*args, **kw)
    )
    fit(fresh(Lit), callback, epochs=1)
    assert len(calls) == 2  # of three batches


def test_the_module_is_called_in_its_own_way_again_afterwards():
    module = fresh(Lit)
    fit(module, compiling())
    assert module._compiled_call_impl is None
    assert module(images(2)[0]).shape == (2, 3)


def test_monitors_beside_it_still_see_the_network(tmp_path):
    module = fresh(Lit)
    fit(module, compiling(), SaliencySnapshots(panel=4, dir=tmp_path), val=loader())
    assert list(tmp_path.rglob("film_strip.png"))


def test_token_numbers_run_uncompiled():
    module = fresh(lambda: Lit(Recurrent()))
    with pytest.warns(UserWarning, match="no named module of the model receives"):
        fit(module, compiling(), data=loader(annotated_texts()))


def test_regularizers_that_share_the_pass_run_uncompiled():
    with pytest.warns(UserWarning, match="compile=True has no effect: several regularizers"):
        fit(fresh(Lit), compiling(), regularizer(attribution=GradCAM("net.2"), loss="energy", name="other"))


class CallsItsNet(Lit):
    def training_step(self, batch, batch_idx):
        x, y = batch
        return cross_entropy(self.net(x), y)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_network_that_the_user_compiled_becomes_part_of_the_graph(in_place):
    ours, expected = fresh(CallsItsNet), fresh(CallsItsNet)
    if in_place:
        ours.net.compile(backend="aot_eager")
    else:
        ours.net = torch.compile(ours.net, backend="aot_eager")
    callback = compiling()
    fit(ours, callback)
    fit(expected, regularizer())
    assert not callback.penalty.method.compiled.problem
    assert callback.penalty.method.compiled._graph is not None
    assert distance(ours, expected) < 1e-5
    assert ours.net(images(2)[0]).shape == (2, 3)


class Scales(Lit):
    """Its network does not get the batch's own tensor."""

    def training_step(self, batch, batch_idx):
        x, y = batch
        return cross_entropy(self.net(2 * x), y)


class InAList(Lit):
    def __init__(self):
        super().__init__(nn.Identity())
        self.nets = [conv_net()]

    def forward(self, x):
        return self.nets[0](x)

    def training_step(self, batch, batch_idx):
        return cross_entropy(self.nets[0](batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.nets[0].parameters(), lr=0.1)


def test_a_network_behind_preprocessing_runs_uncompiled():
    ours, expected = fresh(Scales), fresh(Scales)
    with pytest.warns(UserWarning, match="no named module of the model receives the batch's floating point input unchanged"):
        fit(ours, compiling())
    fit(expected, regularizer())
    assert same(ours, expected)


def test_a_network_in_a_plain_list_runs_uncompiled():
    with pytest.warns(UserWarning, match="no named module of the model receives"):
        fit(fresh(InAList), compiling())


def test_without_a_compiler_it_runs_uncompiled():
    callback = compiling()
    callback.penalty.method.compiled.backend = "no such backend"
    with pytest.warns(UserWarning, match="compile=True has no effect: .*no such backend"):
        fit(fresh(Lit), callback)


def test_a_step_that_calls_its_network_twice_compiles_the_first():
    class Twice(Lit):
        def training_step(self, batch, batch_idx):
            x, y = batch
            logits = self(x)
            with torch.no_grad():
                self(x.flip(-1))
            return cross_entropy(logits, y)

    ours, expected = fresh(Twice), fresh(Twice)
    fit(ours, compiling())
    fit(expected, regularizer())
    assert distance(ours, expected) < 1e-5


@pytest.mark.parametrize(
    "options",
    [{"differentiation": "finite_difference"}, {"max_samples": 2}, {"attribution": "grad_cam"}, {"attribution": "smooth_grad"}],
)
def test_only_exact_gradients_at_the_input_of_all_samples_compile(options):
    with pytest.raises(ValueError, match="compile=True needs exact gradients at the input"):
        SaliencyRegularizer(compile=True, **options, intervene=False)


def test_presets_without_a_map_do_not_compile():
    with pytest.raises(ValueError, match="compile are for penalties computed from a saliency map"):
        SaliencyRegularizer(preset="counterexamples", compile=True)


def test_in_a_loop_of_ones_own_the_second_step_compiles():
    torch.manual_seed(0)
    model = nn.Sequential(*conv_net())
    x, y, annotation = images(8)
    penalty, uncompiled = SaliencyPenalty(compile=True), SaliencyPenalty()
    penalty.method.compiled.backend = "aot_eager"
    found = []
    for one in (uncompiled, penalty, penalty):
        with one.watch(model, target=y) as watch:
            model(x)
        found.append(torch.autograd.grad(watch.penalty(y, annotation), list(model.parameters())[:-1]))
    assert penalty.method.compiled._graph is not None
    torch.testing.assert_close(found[2], found[0])
    torch.testing.assert_close(found[1], found[0])


def test_copies_for_several_inputs_have_graphs_of_their_own():
    penalty = SaliencyPenalty(compile=True)
    assert copy.deepcopy(penalty).method.compiled is not penalty.method.compiled
