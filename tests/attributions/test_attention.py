"""Attention attributions against a transformer written out by hand, and on Hugging Face's models."""

import copy
import math

import pytest
import torch
from support import images
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from benchmarks.catalogue import VisionTransformer
from salreg.attributions import AttentionRollout, GradientAttentionRollout, LeGrad, RawAttention
from salreg.penalties import SaliencyPenalty

X, Y, _ = images(5)
LAYERS, HEADS, WIDTH = 2, 2, 8


def by_hand(model):
    """Attention weights, leaves on the way to the logits, and the logits."""
    tokens = model.patches(X).flatten(2).transpose(1, 2)
    tokens = torch.cat([model.token.expand(len(X), -1, -1), tokens], 1)
    kept = []
    for layer in model.encoder:
        queries, keys, values = (
            part.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for part in (tokens @ layer.self_attn.in_proj_weight.T + layer.self_attn.in_proj_bias).chunk(3, 2)
        )
        weights = (queries @ keys.transpose(2, 3) / math.sqrt(WIDTH / HEADS)).softmax(3)
        weights.retain_grad()
        kept.append(weights)
        mixed = layer.self_attn.out_proj((weights @ values).transpose(1, 2).flatten(2))
        tokens = layer.norm1(tokens + mixed)
        tokens = layer.norm2(tokens + layer.linear2(layer.activation(layer.linear1(tokens))))
    return kept, model.head(tokens[:, 0])


@pytest.fixture
def model():
    torch.manual_seed(3)
    return VisionTransformer().train()


@pytest.fixture
def reference(model):
    weights, logits = by_hand(model)
    logits.gather(1, Y.view(-1, 1)).sum().backward()
    gradients = [w.grad for w in weights]
    model.zero_grad()
    torch.testing.assert_close(logits, model(X))
    return [w.detach() for w in weights], gradients


def grid(tokens):
    return tokens[:, 1:].view(5, 1, 2, 2)


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


def test_raw_attention_of_the_class_token(model, reference):
    weights, _ = reference
    close(RawAttention()(model, X), grid(weights[1].mean(1)[:, 0]))
    close(RawAttention(block=0)(model, X), grid(weights[0].mean(1)[:, 0]))


def test_rollout(model, reference):
    weights, _ = reference
    product = torch.eye(5)
    for w in weights:
        product = (0.5 * w.mean(1) + 0.5 * torch.eye(5)) @ product
    close(AttentionRollout()(model, X), grid(product[:, 0]))
    close(AttentionRollout(read="mean")(model, X), grid(product.mean(1)))


def test_chefers_relevance(model, reference):
    weights, gradients = reference
    relevance = torch.eye(5).expand(5, 5, 5)
    for w, g in zip(weights, gradients, strict=True):
        relevance = relevance + (w * g).clamp(min=0).mean(1) @ relevance
    close(GradientAttentionRollout()(model, X, Y), grid((relevance - torch.eye(5))[:, 0]))


def test_legrad(model, reference):
    _, gradients = reference
    per_layer = [torch.stack([g[:, h, q].clamp(min=0) for h in range(HEADS) for q in range(5)]).mean(0) for g in gradients]
    close(LeGrad()(model, X, Y), grid(torch.stack(per_layer).mean(0)))


def test_asking_for_weights_changes_no_output_and_leaves_no_hook(model):
    before = model(X)
    state = copy.deepcopy(model.state_dict())
    AttentionRollout()(model, X)
    assert torch.equal(model(X), before)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), state.values(), strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class Text(nn.Module):
    """Token numbers, sequence first, keys and values of other widths, a padding mask, and weights that the caller wants."""

    def __init__(self, batch_first=False, bias=True):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.attend = nn.MultiheadAttention(8, 2, dropout=0.2, batch_first=batch_first, kdim=6, vdim=4, bias=bias)
        self.keys, self.values, self.head = nn.Linear(8, 6), nn.Linear(8, 4), nn.Linear(8, 3)
        self.batch_first = batch_first

    def forward(self, ids):
        x = self.embed(ids)
        x = x if self.batch_first else x.transpose(0, 1)
        mixed, self.seen = self.attend(x, self.keys(x), self.values(x), ids == 0)
        return self.head(mixed.mean(1 if self.batch_first else 0))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_every_shape_of_the_module(batch_first, bias):
    model, ids = Text(batch_first, bias).eval(), torch.tensor([[1, 2, 3, 0], [4, 5, 6, 7]])
    expected = model(ids)
    asked = model.seen  # averaged over the heads, as by default
    map = RawAttention(read="mean")(model, ids)
    close(map, asked.detach().mean(1))
    assert torch.equal(model.seen, asked)
    assert map[0, 3] == 0  # padding
    close(model(ids), expected)
    assert LeGrad()(model, ids, torch.tensor([0, 1])).shape == (2, 4)


def test_fused_attention_says_how_to_switch():
    class Fused(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.head = nn.Linear(8, 24), nn.Linear(8, 3)

        def forward(self, x):
            queries, keys, values = self.mix(x).unsqueeze(1).chunk(3, 3)
            return self.head(scaled_dot_product_attention(queries, keys, values).squeeze(1).mean(1))

    with pytest.raises(RuntimeError, match=r"Fused returned no attention weights.*attn_implementation='eager'"):
        AttentionRollout()(Fused(), torch.rand(2, 5, 8))


def test_tokens_that_are_no_grid_ask_for_one():
    class Wide(VisionTransformer):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(1, 8, (4, 2), stride=(4, 2))

    with pytest.raises(ValueError, match=r"9 tokens, which do not form a 2 x 3 grid|give grid"):
        AttentionRollout(grid=(2, 3))(Wide(), X)
    assert AttentionRollout(grid=(2, 4))(Wide(), X).shape == (5, 1, 2, 4)


def test_blocks_that_do_not_exist_and_words_that_mean_nothing():
    with pytest.raises(ValueError, match="There are 2 attention layers; there is no block 2"):
        RawAttention(block=2)(VisionTransformer(), X)
    with pytest.raises(ValueError, match="class_token or mean"):
        AttentionRollout(read="first")


# Hugging Face


@pytest.fixture
def vit():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.ViTConfig(**sizes, image_size=8, patch_size=4, num_channels=1, num_labels=3)
    return lambda attention: transformers.ViTForImageClassification._from_config(config, attn_implementation=attention).eval()


def test_a_hugging_face_model_that_returns_attentions(vit):
    model = vit("eager")
    model.config.output_attentions = True
    weights = [w.detach() for w in model(X).attentions]
    close(RawAttention()(model, X), grid(weights[-1].mean(1)[:, 0]))
    for attribution in (GradientAttentionRollout(), LeGrad(), AttentionRollout()):
        map = attribution(model, X, Y)
        assert map.shape == (5, 1, 2, 2)
        assert map.abs().sum() > 0


def test_one_that_returns_none_says_what_to_set(vit):
    with pytest.raises(RuntimeError, match=r"attn_implementation='eager' and config.output_attentions=True"):
        GradientAttentionRollout()(vit("sdpa"), X, Y)


class Checkpointed(nn.Module):
    """A transformer whose layers run again in the backward pass."""

    def __init__(self, reentrant):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True) for _ in range(2))
        self.head = nn.Linear(8, 3)
        self.reentrant = reentrant

    def forward(self, x):
        for layer in self.layers:
            x = layer(x) if self.reentrant is None else checkpoint(layer, x, use_reentrant=self.reentrant)
        return self.head(x.mean(1))


def gradients_of_penalty(reentrant):
    model, x = Checkpointed(reentrant), torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(0))
    annotation = torch.zeros(4, 5).index_fill(1, torch.tensor([1]), -1)
    penalty = SaliencyPenalty(GradientAttentionRollout("log_prob_sum"), "rrr")
    with penalty.watch(model) as watch:
        logits = model(x)
    (logits.logsumexp(1).mean() + 100 * watch.penalty(None, annotation)).backward()
    return [one.grad for one in model.parameters()]


def test_attention_that_runs_again_for_activation_checkpointing_is_the_same():
    for plain, again in zip(gradients_of_penalty(None), gradients_of_penalty(False), strict=True):
        assert torch.allclose(plain, again, rtol=1e-5, atol=1e-9)
    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        gradients_of_penalty(True)


def test_of_causal_attention_the_first_token_says_nothing():
    weights = torch.ones(1, 2, 4, 4).tril() / torch.arange(1, 5).view(4, 1)

    class Causal(nn.Module):
        def forward(self, x):
            return {"logits": x.sum(1), "attentions": (weights * x.sum() / x.sum(),)}

    with pytest.raises(ValueError, match="attends only to itself.*read='mean'"):
        RawAttention()(Causal(), torch.randn(1, 4, 3))
    assert RawAttention(read="mean")(Causal(), torch.randn(1, 4, 3)).shape == (1, 4)
