import pytest
import torch
from captum.attr import LayerGradCam
from support import conv_net, images
from torch import nn

from salreg.attributions import GradCAM
from salreg.taps import Options, record


def test_closed_form_on_global_average_pooling():
    """With a linear head V on pooled channels, alpha_c = V_yc / (hw)."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).double()
    x, y, _ = images(5)
    activation = net[0](x.double())
    alpha = net[3].weight[y] / 36
    expected = torch.relu((alpha[:, :, None, None] * activation).sum(1, keepdim=True))
    assert torch.allclose(GradCAM("0")(net, x.double(), y), expected)


def test_values_agree_with_captum():
    net = conv_net()
    x, y, _ = images(6)
    captum = LayerGradCam(net, net[2]).attribute(x, y, relu_attributions=True)
    assert torch.allclose(GradCAM("2")(net, x, y), captum, rtol=1e-5)
    assert torch.allclose(GradCAM(net[2])(net, x, y), captum, rtol=1e-5)


def test_upsampling_is_bilinear_to_the_size_asked_for():
    x, y, _ = images(2)
    net = conv_net()
    small = GradCAM("2")(net, x, y)
    large = GradCAM("2")(net, x, y, upsample_to=(8, 8))
    assert large.shape == (2, 1, 8, 8)
    assert torch.equal(large, nn.functional.interpolate(small, size=(8, 8), mode="bilinear"))


def test_an_in_place_relu_behind_the_layer_does_not_change_the_map():
    x, y, _ = images(4)
    net = conv_net()
    before = GradCAM("0")(net, x, y)
    net[1] = nn.ReLU(inplace=True)
    assert torch.equal(GradCAM("0")(net, x, y), before)


def test_a_frozen_backbone_still_gives_a_map():
    x, y, _ = images(4)
    net = conv_net()
    expected = GradCAM("2")(net, x, y)
    net[:4].requires_grad_(False)
    assert torch.allclose(GradCAM("2")(net, x, y), expected)


def test_integer_inputs_are_no_obstacle():
    net = nn.Sequential(nn.Embedding(5, 4), nn.Unflatten(1, (1, 3)), nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(12, 3))
    assert GradCAM("2")(net, torch.tensor([[1, 2, 3]]), torch.tensor([0])).shape == (1, 1, 2, 3)


def test_a_layer_that_does_not_exist_gets_a_suggestion():
    net = nn.Sequential()
    net.layer3, net.layer4 = nn.Identity(), nn.Identity()
    with pytest.raises(ValueError, match=r"no layer 'layr4' \(did you mean 'layer4'"):
        GradCAM("layr4")(net, torch.zeros(1, 3))


def test_a_layer_that_is_no_feature_map_is_refused():
    x, y, _ = images(2)
    with pytest.raises(ValueError, match=r"'5' returns \(2, 3\).*convolutional layer"):
        GradCAM("5")(conv_net(), x, y)


def test_a_layer_that_returns_no_tensor_is_refused():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(8, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.rnn(x.squeeze(1))[0][:, -1])

    x, y, _ = images(2)
    with pytest.raises(ValueError, match="'rnn' returns tuple"):
        GradCAM("rnn")(Net(), x, y)


def test_a_layer_that_is_not_run_is_named():
    net = conv_net()
    net.spare = nn.Conv2d(1, 1, 1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.spare = conv_net(), nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return self.net(x)

    x, y, _ = images(2)
    with pytest.raises(RuntimeError, match="did not run the layer 'spare'"):
        GradCAM("spare")(Net(), x, y)


# Where the channels are


class Swin(nn.Module):
    """Patches with their channels last, as in torchvision's Swin; a block, and what comes behind it."""

    def __init__(self, channels=6):
        super().__init__()
        self.patches, self.block = (
            nn.Conv2d(1, channels, 2, 2),
            nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, channels)),
        )
        self.act, self.head = nn.ReLU(), nn.Linear(channels, 3)

    def forward(self, x):
        return self.head(self.act(self.block(self.patches(x).movedim(1, -1))).mean((1, 2)))


@pytest.mark.parametrize("layer", ["block", "block.0", "act"])
@pytest.mark.parametrize("shape", [(8, 8), (8, 4)])
def test_channels_at_the_end_are_found_by_the_parameters(layer, shape):
    torch.manual_seed(0)
    model, x, target = Swin(), torch.rand(2, 1, *shape), torch.tensor([0, 1])
    found = GradCAM(layer)(model, x, target)
    assert found.shape == (2, 1, shape[0] // 2, shape[1] // 2)
    with record(model, Options([layer], forward_module=model)) as recording:
        model(x)
    activation = recording.activation(layer)
    (gradient,) = torch.autograd.grad(recording.logits.gather(1, target[:, None]).sum(), activation)
    by_hand = (activation * gradient.mean((1, 2), keepdim=True)).sum(-1).relu()
    assert torch.allclose(found[:, 0], by_hand, atol=1e-6)


def test_channels_stay_first_where_they_are():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 24, 3))
    for layer in ("0", "1"):  # as many channels as rows
        assert GradCAM(layer)(net, torch.rand(2, 1, 4, 6), torch.tensor([0, 1])).shape == (2, 1, 4, 6)


def test_channels_that_cannot_be_told_are_asked_for():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.look, self.weight = nn.Identity(), nn.Parameter(torch.rand(5 * 6 * 7, 3))

        def forward(self, x):
            return self.look(x).flatten(1) @ self.weight

    x, target = torch.rand(2, 5, 6, 7), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="give channels='first' or channels='last'"):
        GradCAM("look")(Mixed(), x, target)
    assert GradCAM("look", channels="first")(Mixed(), x, target).shape == (2, 1, 6, 7)
    assert GradCAM("look", channels="last")(Mixed(), x, target).shape == (2, 1, 5, 6)
    with pytest.raises(ValueError, match="channels"):
        GradCAM(channels="middle")
