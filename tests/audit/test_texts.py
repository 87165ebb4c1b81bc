"""Audits of models whose reliance is known in advance."""

import json

import pytest
import torch
from torch import nn

from salreg.annotations import Counterparts
from salreg.audit import Encoded, TextModel, audit_texts
from salreg.audit.texts import NONE

FAITH = Counterparts({"faith": ["muslim", "jewish", "christian"]})
TEXTS = ["A muslim film", "The jewish director", "good film", "bad film", "so bad it hurts", "good, good"] * 6
LABELS = [1, 0, 1, 0, 0, 1] * 6


def by_words(**weights):
    """A model that adds up the weights of words, and the logit of the first class is 0."""

    def model(texts):
        words = [[word.lower().strip(",.") for word in text.split()] for text in texts]
        logits = [sum(weight * some.count(name) for name, weight in weights.items()) for some in words]
        return torch.stack([torch.zeros(len(texts)), torch.tensor([float(one) for one in logits])], 1)

    return model


def uses_of(found):
    return {use.name: use for use in found.uses}


def test_a_model_that_uses_one_term_relies_on_it_and_on_nothing_else():
    found = audit_texts(by_words(muslim=-9, good=2, bad=-2, film=1, director=-1), TEXTS, LABELS, FAITH, progress=False)
    uses = uses_of(found)
    muslim, christian = uses["muslim"].changes, uses["christian"].changes
    assert muslim["substitution"].share.value == 1  # a muslim film is bad, a jewish one good
    assert muslim["substitution"].share.cases == 12  # two counterparts of six texts
    assert muslim["substitution"].shift.value > 0.5
    assert muslim["removal"].share.value == 1
    assert muslim["insertion"].share.value == pytest.approx(2 / 4)  # of good films; bad ones are bad already
    assert muslim["placed"].share.value == pytest.approx(2 / 4)
    assert muslim["placed"].shift.value < -0.3  # where it stands rather than another, the film is bad
    assert christian["insertion"].share.value == 0
    assert set(christian) == {"insertion", "placed"}  # no text names it
    assert uses["muslim"].terms[0].insertion.share.value == pytest.approx(0.5)


def test_what_random_words_do_stands_beside_it():
    """Where every word counts, terms do no more than any other."""

    def by_length(texts):
        return torch.tensor([[0.0, 9.0 if len(text.split()) % 2 else -9.0] for text in texts])

    changes = uses_of(audit_texts(by_length, TEXTS, LABELS, FAITH, progress=False))["muslim"].changes
    assert changes["insertion"].share.value == changes["insertion"].control.value == 1
    assert changes["removal"].share.value == changes["removal"].control.value == 1
    assert changes["substitution"].share.value == changes["substitution"].control.value == 0


def test_groups_are_the_texts_that_name_them():
    found = audit_texts(by_words(muslim=-9, good=2, bad=-2, director=-1), TEXTS, LABELS, FAITH, progress=False)
    groups = {one.name: one for one in found.groups}
    assert {name: one.count for name, one in groups.items()} == {"muslim": 6, "jewish": 6, NONE: 24}
    assert groups["muslim"].rates["false_negative_rate"].value == 1
    assert groups[NONE].rates["accuracy"].value == 1
    gap = next(one for one in found.gaps if one.rate == "accuracy")
    assert (gap.lowest, gap.difference.value) == ("muslim", 1)


def test_the_worst_pairs_are_texts_whose_class_changes_with_the_group():
    found = audit_texts(by_words(muslim=-9, good=2, film=1), TEXTS, LABELS, FAITH, worst=3, progress=False)
    assert len(found.pairs) == 3
    for pair in found.pairs:
        assert pair.predicted[0] != pair.predicted[1]
        assert "muslim" in pair.before.lower() + pair.after.lower()
    assert found.pairs[0].kind in ("substitution", "placed")


def test_an_audit_can_be_written_as_json_without_nan():
    found = audit_texts(by_words(good=1), TEXTS, LABELS, FAITH, classes=["bad", "good"], marked="nothing", progress=False)
    written = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    share = written["uses"][0]["changes"]["insertion"]["share"]
    assert share == {"value": 0.0, "low": 0.0, "high": pytest.approx(1 - 0.025 ** (1 / 24)), "cases": 24}
    assert any("No text names christian" in one for one in written["unknown"])
    assert written["positive"] == "good"


class Bag(nn.Module):
    """Logits from the sum of embedded words."""

    words = ("", "good", "muslim", "film", "a")

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 2, padding_idx=0)
        self.dropout = nn.Dropout(0.9)
        with torch.no_grad():
            self.embedding.weight.copy_(torch.tensor([[0.0, 0.0], [0, 1], [3, 0], [0, 0], [0, 0]]))

    def forward(self, tokens):
        return self.dropout(self.embedding(tokens)).sum(1)


def encode(texts):
    words = [text.lower().split() for text in texts]
    most = max(map(len, words))
    tokens, offsets = torch.zeros(len(texts), most, dtype=torch.long), torch.zeros(len(texts), most, 2, dtype=torch.long)
    for row, some in enumerate(words):
        start = 0
        for place, word in enumerate(some):
            tokens[row, place] = Bag.words.index(word) if word in Bag.words else 4
            offsets[row, place] = torch.tensor([start, start + len(word)])
            start += len(word) + 1
    return Encoded(tokens, offsets)


def test_the_saliency_of_a_term_is_its_share_of_two_families_of_maps():
    model = TextModel(Bag().train(), encode)
    found = audit_texts(model, ["A muslim film", "a good film", "muslim"] * 4, [0, 1, 0] * 4, FAITH, progress=False)
    muslim = uses_of(found)["muslim"]
    assert {name: one.value for name, one in muslim.saliency.items()} == {"input_times_gradient": 1, "occlusion": 1}
    assert muslim.places == pytest.approx((1 / 3 + 1) / 2)
    assert model.module.training  # as it was


def test_hugging_face_models_are_audited_with_their_tokenizer(tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "mus", "##lim", "film"])
    )
    tokenizer = transformers.BertTokenizer(str(tmp_path / "vocab.txt"))
    settings = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    torch.manual_seed(0)
    module = transformers.BertForSequenceClassification(transformers.BertConfig(**settings))
    model = TextModel.from_tokenizer(module, tokenizer)
    found = audit_texts(model, ["Muslim film", "good film"] * 3, [0, 1] * 3, FAITH, progress=False)
    for share in uses_of(found)["muslim"].saliency.values():
        assert 0 < share.value < 1
    inside = model.shares(["muslim film"], [[(0, 6)]])
    outside = model.shares(["muslim film"], [[(7, 11)]])
    for name in inside:
        assert float(inside[name] + outside[name]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("model", "labels", "options", "message"),
    [
        (lambda texts: torch.zeros(len(texts), 2), [0], {}, "each text needs one class"),
        (lambda texts: torch.zeros(1, 2), [0, 1], {}, "one row each"),
        (lambda texts: torch.full((len(texts), 2), torch.nan), [0, 1], {}, "NaN"),
        (lambda texts: torch.full((len(texts), 2), 0.5), [0, 1], {}, "use outputs='probabilities'"),
        (lambda texts: torch.full((len(texts), 2), 3.0), [0, 1], {"outputs": "probabilities"}, "use outputs='logits'"),
        (lambda texts: torch.ones(len(texts), 2), [0, 2], {}, "labels go from 0 to 2"),
        (lambda texts: torch.ones(len(texts), 2), [0, 1], {"positive": 2}, "positive must be a class"),
        (lambda texts: torch.ones(len(texts), 2), [0, 1], {"classes": ["a"]}, "1 have names"),
    ],
)
def test_what_cannot_be_audited_is_said(model, labels, options, message):
    with pytest.raises(ValueError, match=message):
        audit_texts(model, ["good", "bad"], labels, FAITH, progress=False, **options)
