"""The three callbacks on texts: the tap is the output of the embedding that receives the token numbers."""

import pytest
import torch
from support import fit, fresh, loader, regularizer, same
from texts import (
    LENGTH,
    VOCABULARY,
    HuggingFace,
    LitText,
    OwnEmbedding,
    Recurrent,
    Transformer,
    annotated_hugging_face_texts,
    annotated_texts,
    texts,
)
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, TensorDataset

from salreg.annotations import NO_PLACE
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.callbacks.place_names import place_names
from salreg.data import AnnotatedDataset, Collate
from salreg.plotting.tokens import tokens_html

NETWORKS = {
    "lstm": Recurrent,
    "gru": lambda: Recurrent(nn.GRU),
    "transformer with the tokens in front": Transformer,
}


def text_loader(data=None, **options):
    return loader(annotated_texts() if data is None else data, **options)


class HandWritten(LitText):
    """Right for the right reasons on embedded tokens, written out."""

    def training_step(self, batch, batch_idx):
        ids, labels = batch.sample
        embedded = self.net.embed(ids)
        logits = self.net.head(self.net.rnn(embedded)[0][:, -1])
        gradient = torch.autograd.grad(log_softmax(logits, 1).sum(), embedded, create_graph=True)[0]
        seen = embedded.detach().double()
        self.seen = torch.cat([self.seen, seen]) if hasattr(self, "seen") else seen
        spread = self.seen.std((0, 1), correction=0).float()
        marked = (batch.annotation < 0).unsqueeze(-1)
        return cross_entropy(logits, labels) + 3.0 * (marked * gradient * spread).square().sum((1, 2)).mean()


def test_as_the_formula_written_out():
    ours, theirs = fresh(LitText), fresh(HandWritten)
    fit(ours, regularizer(), data=text_loader())
    fit(theirs, data=text_loader())
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make_net", NETWORKS.values(), ids=NETWORKS)
def test_the_decoy_loses_its_saliency(make_net):
    shares = {}
    for weight in (0.0, 10.0):
        module = fresh(LitText, fresh(make_net))
        used = fit(
            module,
            regularizer(weight=weight),
            SaliencyMetrics(),
            data=text_loader(),
            val=text_loader(),
            epochs=20,
            check_val_every_n_epoch=20,
        )
        shares[weight] = float(used.callback_metrics["val/spurious_saliency"])
    assert shares[10.0] < 0.5 * shares[0.0]


@pytest.mark.parametrize("make_net", NETWORKS.values(), ids=NETWORKS)
def test_watching_leaves_the_training_as_it_was(make_net, tmp_path):
    plain, watched = fresh(LitText, fresh(make_net)), fresh(LitText, fresh(make_net))
    unannotated = TensorDataset(*texts()[:2])
    fit(plain, data=loader(unannotated), val=loader(unannotated))
    callbacks = [regularizer(weight=0.0), SaliencyMetrics(), SaliencySnapshots(panel=4, dir=tmp_path, sanity=False)]
    fit(watched, *callbacks, data=text_loader(), val=text_loader())
    assert same(plain, watched)


def test_metrics_and_probes_of_a_text(tmp_path):
    snapshots = SaliencySnapshots(panel=4, dir=tmp_path)
    used = fit(fresh(LitText), regularizer(), SaliencyMetrics(), snapshots, data=text_loader(), val=text_loader())
    assert 0 <= used.callback_metrics["val/reliance"] <= 1
    assert 0 < used.callback_metrics["val/spurious_saliency"] < 1
    probes = {row["attribution"] for row in snapshots.history.panel if row["probe"]}
    assert probes == {"occlusion", "integrated_gradients"}
    assert set(snapshots.history.sanity) == {"input_gradient", *probes}
    assert snapshots.history.frames["input_gradient"][0].saliency[0].shape == (LENGTH,)


@pytest.mark.parametrize("inputs_embeds", [False, True], ids=["input_ids", "inputs_embeds"])
@pytest.mark.filterwarnings("ignore:.*does not reach.*")
def test_hugging_face_models_with_dict_batches(inputs_embeds):
    pytest.importorskip("transformers")
    data = loader(annotated_hugging_face_texts())
    module = fresh(HuggingFace, inputs_embeds=inputs_embeds)
    used = fit(module, regularizer(weight=1.0), data=data)
    assert used.callback_metrics["salreg/penalty"] > 0


@pytest.mark.filterwarnings("ignore:.*does not reach.*")
def test_everything_around_a_hugging_face_model(tmp_path):
    pytest.importorskip("transformers")
    data = loader(annotated_hugging_face_texts())
    callbacks = [regularizer(), SaliencyMetrics(), SaliencySnapshots(panel=4, dir=tmp_path, sanity=False)]
    used = fit(fresh(HuggingFace), *callbacks, data=data, val=data)
    assert 0 < used.callback_metrics["val/spurious_saliency"] < 1


@pytest.mark.parametrize(
    "attribution", ["input_times_gradient", "integrated_gradients", "smooth_grad", "occlusion", "expected_gradients"]
)
def test_every_attribution_at_the_input_works_on_tokens(attribution):
    used = fit(fresh(LitText), regularizer(attribution=attribution, loss="energy"), data=text_loader(), epochs=1)
    assert 0 < used.callback_metrics["salreg/spurious_saliency"] < 1


@pytest.mark.parametrize("preset", ["cdep", "counterexamples", "saliency_guided"])
def test_presets_that_change_the_input_change_the_embedded_tokens(preset):
    used = fit(fresh(LitText), SaliencyRegularizer(preset=preset), data=text_loader(), epochs=1)
    assert used.callback_metrics["salreg/penalty"] > 0


def test_padding_is_never_counted():
    """Neither by what the loss sees nor by the shares, whatever the gradient there."""
    measured = {}
    for padding_idx in (0, None):
        module = fresh(LitText, fresh(Recurrent, padding_idx=padding_idx))
        used = fit(module, regularizer(weight=0.0), SaliencyMetrics(), data=text_loader(), val=text_loader(), epochs=1)
        measured[padding_idx] = float(used.callback_metrics["val/spurious_saliency"])
    assert measured[0] > measured[None]  # the LSTM looks at its last step most of all, where half of the texts have padding


def test_a_mark_on_padding_is_an_error():
    ids, labels, annotations = texts(8)
    annotations[0, -1] = -1
    data = AnnotatedDataset(TensorDataset(ids, labels), annotations)
    with pytest.raises(ValueError, match=r"Sample 0 of the batch carries a mark on padding, after the 5 tokens"):
        fit(fresh(LitText), regularizer(), data=loader(data))


class Ragged(Dataset):
    """Texts of 3 to 6 tokens."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.arange(1, 4 + index % 4), index % 2


def ragged_loader(multiple=1):
    def collate(samples):
        ids = pad_sequence([ids for ids, _ in samples], batch_first=True)
        ids = nn.functional.pad(ids, (0, -ids.shape[1] % multiple))
        return ids, torch.tensor([label for _, label in samples])

    def annotate(index, sample):
        return torch.tensor([-1] + [0] * (len(sample[0]) - 1), dtype=torch.int8) if index % 2 else None

    return DataLoader(AnnotatedDataset(Ragged(), annotate), 4, collate_fn=Collate(collate))


@pytest.mark.parametrize("multiple", [1, 8], ids=["to the longest text", "to a multiple of 8"])
def test_texts_of_different_lengths(multiple):
    batch = next(iter(ragged_loader()))
    assert batch.annotation[1].tolist() == [-1, 0, 0, 0, NO_PLACE, NO_PLACE]
    used = fit(fresh(LitText), regularizer(), data=ragged_loader(multiple))
    assert used.callback_metrics["salreg/penalty"] > 0


def test_an_embedding_of_ones_own_is_named():
    with pytest.raises(RuntimeError, match=r"no nn.Embedding received these numbers.*embedding='...'"):
        fit(fresh(LitText, OwnEmbedding()), regularizer(), data=text_loader())
    callbacks = [regularizer(embedding="net.embed"), SaliencyMetrics(embedding="net.embed")]
    used = fit(fresh(LitText, OwnEmbedding()), *callbacks, data=text_loader(), val=text_loader())
    assert 0 < used.callback_metrics["val/spurious_saliency"] < 1


def test_an_embedding_that_does_not_exist_is_found_out_before_training():
    with pytest.raises(ValueError, match=r"no layer 'net.embedd' \(did you mean 'net.embed'"):
        fit(fresh(LitText), regularizer(embedding="net.embedd"), data=text_loader())


def test_two_callbacks_name_one_embedding():
    with pytest.raises(ValueError, match="name different modules as embedding: 'net.embed' and 'net.rnn'"):
        fit(fresh(LitText), regularizer(embedding="net.embed"), SaliencyMetrics(embedding="net.rnn"), data=text_loader())


def test_a_frozen_embedding_is_a_tap_all_the_same():
    module = fresh(LitText)
    module.net.embed.requires_grad_(False)
    used = fit(module, regularizer(), data=text_loader())
    assert used.callback_metrics["salreg/penalty"] > 0


def test_ids_of_another_type_are_recognised():
    class Short(Recurrent):
        def forward(self, ids):
            return super().forward(ids.int())

    assert VOCABULARY < 2**31
    used = fit(fresh(LitText, Short()), regularizer(), data=text_loader(), epochs=1)
    assert used.callback_metrics["salreg/penalty"] > 0


def test_a_text_is_drawn_in_words(tmp_path):
    words = ["<pad>", "video", "text", *(f"word {number}" for number in range(3, VOCABULARY))]
    snapshots = SaliencySnapshots(panel=2, dir=tmp_path, names=words, sanity=False)
    fit(fresh(LitText), regularizer(), snapshots, data=text_loader(), epochs=1)
    drawn = snapshots.history
    for ids, mark, names in zip(drawn.images, drawn.annotations, drawn.names, strict=True):
        assert names == [words[number] for number in ids.tolist()]
        assert torch.equal(mark == NO_PLACE, ids == 0)
    decoy = next(name for name in drawn.names[0] if name in ("video", "text"))
    assert f">{decoy}<" in tokens_html(drawn.names[0], torch.rand(LENGTH), drawn.annotations[0], 1.0)
    assert (tmp_path / "snapshots/input_gradient/film_strip.png").is_file()
    assert "video" in (tmp_path / "report.html").read_text("utf-8")


def test_a_vocabulary_is_taken_from_the_dataset(tmp_path):
    data = annotated_texts()
    data.base.vocabulary = {f"w{number}": number for number in range(VOCABULARY)}
    snapshots = SaliencySnapshots(panel=2, dir=tmp_path, sanity=False)
    fit(fresh(LitText), regularizer(), snapshots, data=loader(data), epochs=1)
    assert snapshots.history.names[0][0].startswith("w")


class Tokenizer:
    def convert_ids_to_tokens(self, numbers):
        return [f"t{number}" for number in numbers]

    def __call__(self, text):
        raise AssertionError("a tokenizer is callable, too")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, ["1", "2"]),
        (["a", "b"], ["b", "2"]),
        ({"b": 1}, ["b", "2"]),
        (Tokenizer(), ["t1", "t2"]),
        (lambda sample: ["x", "y"], ["x", "y"]),
    ],
    ids=["nothing", "words", "mapping", "tokenizer", "function"],
)  # fmt: skip
def test_words_come_from_whatever_a_user_has(names, expected):
    assert place_names(names, [torch.tensor([1, 2])]) == [expected]


def test_columns_are_named():
    assert place_names(["age", "race"], [torch.rand(2)]) == [["age", "race"]]
    assert place_names(None, [torch.rand(2), torch.rand(1, 4, 4)]) == [["0", "1"], []]
    with pytest.raises(ValueError, match="3 names for the 2 places of sample 0, a table"):
        place_names(["a", "b", "c"], [torch.rand(2)])


def test_the_decoy_words_are_exchanged_and_the_model_is_freed_from_them():
    """In training a decoy gives the class away; a plain model believes one that lies."""
    ids, labels, marks = texts(400)
    ids[torch.arange(400), (marks < 0).int().argmax(1)] = labels + 1
    ids = torch.where((torch.rand(ids.shape) < 0.25) & (marks == 0) & (ids != 0), 10 + labels.unsqueeze(1), ids)
    lying = ids.clone()
    lying[marks < 0] = 2 - labels
    data = AnnotatedDataset(TensorDataset(ids, labels), marks)

    def accuracy(*callbacks):
        module = fresh(LitText, lr=0.02)
        fit(module, *callbacks, data=text_loader(data if callbacks else data.base, batch_size=32, shuffle=True), epochs=8)
        return float((module(lying).argmax(1) == labels).float().mean())

    assert accuracy() < 0.3
    assert accuracy(SaliencyRegularizer()) > 0.6
