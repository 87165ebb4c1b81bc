"""Contextual decomposition against the published rules, written out layer by layer."""

import pytest
import torch
from captum.attr import FeatureAblation as CaptumFeatureAblation
from support import images
from torch import nn
from torch.nn import functional

from salreg.attributions import ContextualDecomposition, decompose
from salreg.taps import Options, record

X, Y, _ = images(5)
REGION = torch.zeros(5, 1, 8, 8)
REGION[:, :, :3, :3] = 1


def parts(model, x=X, region=REGION):
    with record(model, Options(forward_module=model)) as recording:
        logits = model(x)
    return decompose(recording, region), logits


def affine(layer, part):
    return layer(part) - layer(torch.zeros_like(part))


def split_bias(layer, beta, gamma):
    bias = layer(torch.zeros_like(beta))
    beta, gamma = affine(layer, beta), affine(layer, gamma)
    share = beta.abs() / (beta.abs() + gamma.abs() + 1e-30)
    return beta + share * bias, gamma + (1 - share) * bias


def published(model, beta, gamma):
    """CDEP's rules for a plain sequence of layers."""
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            beta, gamma = split_bias(layer, beta, gamma)
        elif isinstance(layer, nn.ReLU):
            beta, gamma = layer(beta), layer(beta + gamma) - layer(beta)
        elif isinstance(layer, nn.MaxPool2d):
            _, places = functional.max_pool2d(beta + gamma, 2, return_indices=True)
            mask = functional.max_unpool2d(torch.ones_like(places).float(), places, 2)
            beta, gamma = (4 * functional.avg_pool2d(mask * part, 2) for part in (beta, gamma))
        else:
            beta, gamma = layer(beta), layer(gamma)
    return beta, gamma


def sequence():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3),
    ).eval()  # fmt: skip


def test_a_sequence_of_layers_follows_the_published_rules():
    model = sequence()
    (ours, rest), logits = parts(model)
    beta, gamma = published(model, REGION * X, (1 - REGION) * X)
    torch.testing.assert_close(ours, beta)
    torch.testing.assert_close(rest, gamma)
    torch.testing.assert_close(ours + rest, logits)


class Functional(nn.Module):
    """The same kinds of layer as functions and methods, with a residual connection and an in-place activation."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(16, 3)
        self.dropout, self.act = nn.Dropout(0.5), nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.act(self.first(x))
        x = x + functional.gelu(self.second(x))
        x = functional.conv2d(functional.max_pool2d(torch.tanh(x), 2), self.second.weight, self.second.bias, padding=1)
        x = functional.adaptive_avg_pool2d(0.5 * x, 2).relu()
        return self.head(self.dropout(x.view(x.size(0), -1)))


@pytest.mark.parametrize("make", [Functional, sequence])
def test_both_parts_add_up_to_the_logits(make):
    torch.manual_seed(0)
    model = make().eval()
    (ours, rest), logits = parts(model)
    torch.testing.assert_close(ours + rest, logits)
    assert ours.abs().sum() > 0
    assert rest.abs().sum() > 0


def test_an_empty_region_contributes_nothing_and_a_full_one_everything():
    model = sequence()
    (ours, _), _ = parts(model, region=torch.zeros_like(REGION))
    assert not ours.any()
    smooth = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3))
    (ours, rest), logits = parts(smooth, X + 0.1, torch.ones_like(REGION))  # no patch of zeros, see below
    torch.testing.assert_close(ours, logits)
    torch.testing.assert_close(rest, torch.zeros_like(rest), atol=1e-6, rtol=0)


def test_a_constant_that_nothing_comes_in_with_belongs_to_the_rest():
    """Where both parts are 0, after a ReLU that is closed: the published rule loses the bias there."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    model[0].bias.data.fill_(-100)
    (ours, rest), logits = parts(model, torch.rand(3, 2), torch.ones(3, 2))
    torch.testing.assert_close(ours + rest, logits)
    torch.testing.assert_close(rest, model[2].bias.expand(3, 1))


def test_on_a_linear_network_without_bias_it_is_feature_ablation():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5, bias=False), nn.Linear(5, 3, bias=False))
    groups = torch.arange(64).view(1, 8, 8) // 8
    theirs = CaptumFeatureAblation(model).attribute(X, feature_mask=groups.unsqueeze(0), target=Y)
    torch.testing.assert_close(ContextualDecomposition(groups)(model, X, Y), theirs, rtol=1e-4, atol=1e-6)


def test_both_parts_are_divided_by_what_belongs_to_neither():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = nn.Parameter(torch.tensor(4.0))

        def forward(self, x):
            return (x / self.count).flatten(1) / 2

    (beta, gamma), logits = parts(Mean())
    torch.testing.assert_close(beta, (X * REGION / 8).flatten(1))
    torch.testing.assert_close(beta + gamma, logits)


def test_training_mode_is_kept_and_dropout_passed_over():
    model = Functional().train()
    with record(model, Options(forward_module=model)) as recording:
        model(X)
    one, other = decompose(recording, REGION), decompose(recording, REGION)
    assert torch.equal(one.region, other.region)
    assert all(m.training for m in model.modules())


class Reader(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.embed = nn.Embedding(11, 5)
        self.lstm = nn.LSTM(5, 4, **options)
        self.batch_first = options.get("batch_first", False)
        self.head = nn.Linear(options.get("proj_size", 4) * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, ids):
        x = self.embed(ids)
        outputs, _ = self.lstm(x if self.batch_first else x.transpose(0, 1))
        return self.head(outputs.mean(1 if self.batch_first else 0))


IDS = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
TOKENS = torch.tensor([[0.0, 1, 1, 0], [1.0, 0, 0, 0]])


@pytest.mark.parametrize(
    "options",
    [{"batch_first": True}, {}, {"bias": False}, {"num_layers": 2, "batch_first": True}, {"bidirectional": True}],
    ids=str,
)
def test_an_lstms_parts_add_up_to_the_logits(options):
    torch.manual_seed(0)
    (ours, rest), logits = parts(Reader(**options), IDS, TOKENS)
    torch.testing.assert_close(ours + rest, logits)
    assert ours.abs().sum() > 0


def test_an_lstm_follows_murdochs_rules():
    """One step at a time, every product of gates multiplied out into its terms."""
    torch.manual_seed(0)
    model = Reader(batch_first=True)
    lstm, words = model.lstm, model.embed(IDS)
    w, u, b = lstm.weight_ih_l0.chunk(4), lstm.weight_hh_l0.chunk(4), (lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4)

    def three(beta, gamma, constant, f):
        first = 0.5 * (f(beta + constant) - f(constant) + f(beta + gamma + constant) - f(gamma + constant))
        second = 0.5 * (f(gamma + constant) - f(constant) + f(beta + gamma + constant) - f(beta + constant))
        return {"region": first, "rest": second, "constant": f(constant).expand_as(first)}

    def gate(i, t, beta_h, gamma_h, f):
        inside = TOKENS[:, t, None]
        beta, gamma = (
            inside * (words[:, t] @ w[i].T) + beta_h @ u[i].T,
            (1 - inside) * (words[:, t] @ w[i].T) + gamma_h @ u[i].T,
        )
        return three(beta, gamma, b[i], f), beta + gamma + b[i]

    beta_h = gamma_h = beta_c = gamma_c = torch.zeros(2, 4)
    outputs = []
    for t in range(4):
        (write, _), (keep, _), (new, _) = (
            gate(i, t, beta_h, gamma_h, f) for i, f in ((0, torch.sigmoid), (1, torch.sigmoid), (2, torch.tanh))
        )
        _, opened = gate(3, t, beta_h, gamma_h, torch.sigmoid)
        written = {(i, j): write[i] * new[j] for i in write for j in new}
        ours = sum(value for key, value in written.items() if "rest" not in key and "region" in key)
        others = sum(value for key, value in written.items() if "rest" in key or "region" not in key)
        ours = ours + (keep["region"] + keep["constant"]) * beta_c
        others = others + sum(keep.values()) * gamma_c + keep["rest"] * beta_c
        beta_c, gamma_c = ours, others
        both = torch.tanh(beta_c + gamma_c)
        beta_h = opened.sigmoid() * 0.5 * (torch.tanh(beta_c) + both - torch.tanh(gamma_c))
        gamma_h = opened.sigmoid() * 0.5 * (torch.tanh(gamma_c) + both - torch.tanh(beta_c))
        outputs.append(beta_h)
    (ours, _), _ = parts(model, IDS, TOKENS)
    expected, _ = split_bias(model.head, torch.stack(outputs).mean(0), parts_rest(model, outputs))
    torch.testing.assert_close(ours, expected)


def parts_rest(model, outputs):
    hidden, _ = model.lstm(model.embed(IDS))
    return hidden.mean(1) - torch.stack(outputs).mean(0)


def test_each_token_is_a_group_of_its_own():
    assert ContextualDecomposition()(Reader(), IDS, torch.tensor([0, 1])).shape == (2, 4)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.LayerNorm(8), r"no rule for LayerNorm \('1'\)"),
        (nn.Softplus(), r"no rule for Softplus \('1'\)"),
    ],
)
def test_an_operator_without_a_rule_is_named(layer, message):
    model = nn.Sequential(nn.Linear(8, 8), layer)
    with pytest.raises(NotImplementedError, match=message):
        ContextualDecomposition()(model, torch.rand(3, 8), torch.tensor([0, 1, 0]))


def test_an_lstm_with_projections_is_refused():
    with pytest.raises(NotImplementedError, match="no rule for an LSTM with proj_size"):
        parts(Reader(proj_size=2), IDS, TOKENS)


def test_functions_and_methods_without_a_rule_are_named_too():
    class Odd(nn.Linear):
        def __init__(self, odd):
            super().__init__(8, 3)
            self.odd = odd

        def forward(self, x):
            return self.odd(super().forward(x))

    for odd, name in (
        (torch.exp, "function 'exp'"),
        (lambda x: x.sin(), "method Tensor.sin"),
        (lambda x: x * x, "function 'mul'"),
    ):
        with pytest.raises(NotImplementedError, match=f"no rule for the {name}"):
            ContextualDecomposition()(nn.Sequential(Odd(odd)), torch.rand(3, 8), torch.tensor([0, 1, 0]))


def test_a_network_that_cannot_be_traced_says_so():
    class Branches(nn.Linear):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else -super().forward(x)

    with pytest.raises(NotImplementedError, match="cannot trace Branches"):
        ContextualDecomposition()(Branches(8, 3), torch.rand(3, 8), torch.tensor([0, 1, 0]))
