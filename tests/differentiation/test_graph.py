"""What the graph of a forward pass tells about its operators."""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from salreg.differentiation import kinks, without_second_derivative
from salreg.differentiation.graph import operators


def test_only_what_lies_between_tap_and_logits_counts():
    x, w = torch.rand(2, 3, requires_grad=True), torch.rand(3, 3, requires_grad=True)
    tap = x.relu()
    assert operators((tap @ w.abs()).tanh(), tap) == {"Mm", "Tanh"}
    assert kinks((tap @ w.abs()).tanh(), x) == ["Relu"]


def test_kinks_of_modules_and_functions_are_found():
    x = torch.rand(1, 2, 8, 8, requires_grad=True)
    net = nn.Sequential(nn.Conv2d(2, 2, 3), nn.LeakyReLU(), nn.MaxPool2d(2), nn.Hardswish())
    assert kinks(net(x).clamp(0.1, 0.2), x) == ["Clamp", "Hardswish", "LeakyRelu", "MaxPool2DWithIndices"]
    assert kinks(nn.Sequential(nn.Conv2d(2, 2, 3), nn.GELU(), nn.AvgPool2d(2))(x), x) == []


def test_fused_attention_has_no_second_derivative():
    q = torch.rand(1, 1, 4, 8, requires_grad=True)
    assert without_second_derivative(scaled_dot_product_attention(q, q, q), q) == ["ScaledDotProductFlashAttentionForCpu"]


def test_deep_graphs_need_no_recursion():
    x = torch.rand(1, requires_grad=True)
    y = x
    for _ in range(5000):
        y = y.sin()
    assert operators(y, x) == {"Sin"}
