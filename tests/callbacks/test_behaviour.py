"""Reliance against what can be counted by hand: models that read the tag's grey, whether there is a tag, or neither."""

import pytest
import pytorch_lightning as pl
import torch
from support import Lit, fit, fresh, loader, noisy_net, plain_loader, same, trainer
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset
from salreg.callbacks import SaliencyMetrics

KINDS = ("reliance_content", "reliance_removal", "reliance_insertion")


class Reads(nn.Module):
    """Says class 1 where some number of an image is high."""

    def __init__(self, read):
        super().__init__()
        self.read, self.gain = read, nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        score = self.gain * self.read(x)
        return torch.stack([-score, score], 1)


def brightest(x):
    return x.flatten(1).amax(1)


CONTENT = Reads(lambda x: brightest(x) - 2.5)  # tags are 2 or 3
PRESENCE = Reads(lambda x: 1 - brightest(x))  # class 1 is what has no tag
NEITHER = Reads(lambda x: x[:, 0, 7, 7] - 0.05)


def tagged(has, grey):
    """Images of noise below 0.1 with tags, 2 by 2 pixels, somewhere but in the last row and column, and their marks."""
    generator = torch.Generator().manual_seed(0)
    images = 0.1 * torch.rand(len(has), 1, 8, 8, generator=generator)
    marks = torch.zeros(len(has), 1, 8, 8, dtype=torch.int8)
    for index, (row, column) in enumerate(torch.randint(6, (len(has), 2), generator=generator).tolist()):
        if has[index]:
            marks[index, :, row : row + 2, column : column + 2] = -1
            images[index][marks[index] < 0] = 2.0 + grey[index]
    return images, marks


def measured(net, images, labels, marks, batch_size=8, **options):
    data = DataLoader(AnnotatedDataset(TensorDataset(images, labels), marks), batch_size)
    used = trainer(SaliencyMetrics(**options))
    used.validate(Lit(net), data, verbose=False)
    return {name.removeprefix("val/"): value.item() for name, value in used.callback_metrics.items()}


def behaviour(net, has, grey=(0, 1) * 8, labels=None, **options):
    images, marks = tagged(has, grey)
    return measured(net, images, torch.arange(len(has)) % 2 if labels is None else labels, marks, **options)


HALF = [True, True, True, True, False, False, False, False]


@pytest.mark.parametrize("chunk_size", [1, 3, 256])
def test_a_model_that_reads_the_content(chunk_size):
    seen = behaviour(CONTENT, [True, True, False, False], grey=[0, 1, 0, 0], chunk_size=chunk_size)
    assert seen["reliance_content"] == 1  # the two exchange their greys
    assert seen["reliance_removal"] == 0.5  # of the bright one alone
    assert seen["reliance_insertion"] in (0, 0.5, 1)  # as the dark or the bright one is drawn
    assert seen["reliance"] == 1


def test_a_bright_tag_put_in_counts_where_it_was_not():
    seen = behaviour(CONTENT, HALF, grey=[1] * 8)
    assert [seen[kind] for kind in KINDS] == [0, 1, 1]


def test_a_model_that_reads_the_presence_is_not_let_off():
    """The swap of old, by which this model's reliance was 0, is the content alone."""
    has = torch.tensor([True, False] * 8)
    seen = behaviour(PRESENCE, has, labels=(~has).long())
    assert [seen[kind] for kind in KINDS] == [0, 1, 1]
    assert seen["reliance"] == 1
    assert seen["accuracy_under_intervention"] == 0.5  # chance, where the accuracy is 1


class Single(Reads):
    def forward(self, x):
        return super().forward(x)[:, 1:]


class OneLogit(Lit):
    """Binary cross-entropy, which wants labels as the logits are."""

    def validation_step(self, batch, batch_idx):
        self.log("loss", binary_cross_entropy_with_logits(self(batch[0]).reshape(batch[1].shape), batch[1].float()))


@pytest.mark.parametrize("labels_of", [lambda y: y, lambda y: y.float(), lambda y: y.float().unsqueeze(1)])
def test_the_labels_of_one_logit_are_two_classes_however_they_are_written(labels_of):
    has = torch.tensor([True, False, False, False] * 4)
    images, marks = tagged(has, [0, 1] * 8)
    data = DataLoader(AnnotatedDataset(TensorDataset(images, labels_of((~has).long())), marks), 8)
    used = trainer(SaliencyMetrics())
    used.validate(OneLogit(Single(PRESENCE.read)), data, verbose=False)
    assert used.callback_metrics["val/accuracy_under_intervention"] == pytest.approx(0.25**2 + 0.75**2)
    used.validate(OneLogit(Single(lambda x: 0 * brightest(x) - 1)), data, verbose=False)
    assert used.callback_metrics["val/constant_predictions"] == 1


def test_a_model_that_ignores_the_tag():
    images, marks = tagged(HALF, [0, 1] * 4)
    labels = torch.tensor([0, 1, 1, 0, 1, 0, 1, 1])
    seen = measured(NEITHER, images, labels, marks)
    assert [seen[kind] for kind in (*KINDS, "reliance")] == [0, 0, 0, 0]
    accuracy = (NEITHER(images).argmax(1) == labels).float().mean().item()
    assert seen["accuracy_under_intervention"] == pytest.approx(accuracy)
    assert seen["constant_predictions"] == 0


@pytest.mark.parametrize("batch_size", [4, 16])
def test_data_sorted_by_presence_gives_the_same_numbers(batch_size):
    """Donors come from earlier batches, and the share of the tagged ones is that of all."""
    has = torch.arange(16) < 4
    seen = behaviour(PRESENCE, has, labels=(~has).long(), batch_size=batch_size)
    assert [seen[kind] for kind in KINDS] == [0, 1, 1]
    assert seen["accuracy_under_intervention"] == pytest.approx(0.25**2 + 0.75**2)


def test_where_all_are_marked_nothing_is_put_in():
    seen = behaviour(CONTENT, [True] * 2, grey=[0, 1], labels=torch.tensor([0, 1]))
    assert "reliance_insertion" not in seen
    assert seen["reliance_content"] == 1
    assert seen["accuracy_under_intervention"] == 0  # each has the other's grey, and is there for sure


def test_a_sample_alone_has_nobody_to_exchange_with():
    seen = behaviour(PRESENCE, [True, False, False])
    assert "reliance_content" not in seen
    assert (seen["reliance_removal"], seen["reliance_insertion"], seen["reliance"]) == (1, 1, 1)
    assert "accuracy_under_intervention" not in seen  # of which a part was not measured


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_samples_that_came_before_any_donor_are_measured_once_there_is_one(batch_size):
    has = torch.arange(16) >= 12
    seen = behaviour(PRESENCE, has, labels=(~has).long(), batch_size=batch_size)
    assert [seen[kind] for kind in KINDS] == [0, 1, 1]
    assert seen["accuracy_under_intervention"] == pytest.approx(0.25**2 + 0.75**2)


@pytest.mark.parametrize("first", [True, False])
def test_batches_of_one_kind_that_are_large_enough_for_their_own_donors_lend_them_to_others(first):
    has = (torch.arange(64) < 32) == first
    seen = behaviour(PRESENCE, has, grey=[0, 1] * 32, labels=(~has).long(), batch_size=32)
    assert [seen[kind] for kind in KINDS] == [0, 1, 1]
    assert seen["accuracy_under_intervention"] == 0.5


def test_the_spread_of_a_regression_includes_samples_that_came_before_any_donor():
    for has in ([False] * 4 + [True] * 4, [True] * 4 + [False] * 4):
        seen = regressed(lambda x: 10 * (brightest(x) > 1) + 0 * brightest(x), has, [1] * 8)
        assert seen["output_spread"] == pytest.approx(5)
        assert seen["reliance_insertion"] == pytest.approx(2)


def test_samples_that_nobody_looked_at_are_left_out():
    images, marks = tagged(HALF, [0, 1] * 4)
    nobody = measured(PRESENCE, images, torch.arange(8) % 2, {index: marks[index] for index in range(4)})
    assert "reliance_insertion" not in nobody
    some = measured(PRESENCE, images, torch.arange(8) % 2, {index: marks[index] for index in range(5)})
    assert some["reliance_insertion"] == 1


def test_nothing_is_put_over_what_is_relevant():
    images, marks = tagged([True, True, False], [1, 1, 0])
    marks[2] = 1  # all of it
    seen = measured(PRESENCE, images, torch.tensor([0, 0, 1]), marks)
    assert "reliance_insertion" not in seen
    assert seen["reliance_removal"] == 1


def test_without_any_mark_nothing_is_said_of_reliance():
    seen = behaviour(PRESENCE, [False] * 4)
    assert not any("reliance" in name or "intervention" in name for name in seen)


@pytest.mark.filterwarnings("default:Reliance is NaN")
def test_nan_is_not_no_reliance():
    def broken(x):  # where there is no tag
        return 0.01 + torch.where(brightest(x) > 1, x.sum((1, 2, 3)), torch.nan)

    with pytest.warns(UserWarning, match="Reliance is NaN, because the model's output is NaN for some of the samples"):
        seen = behaviour(Reads(broken), HALF)
    assert seen["reliance_content"] == 0
    for name in ("reliance_removal", "reliance_insertion", "reliance", "accuracy_under_intervention"):
        assert seen[name] != seen[name], name


def test_logits_that_are_all_nan():
    with pytest.warns(UserWarning, match="Reliance is NaN"):
        seen = behaviour(Reads(lambda x: x.sum((1, 2, 3)) * torch.nan), HALF)
    assert all(seen[kind] != seen[kind] for kind in KINDS)
    assert "constant_predictions" not in seen


def test_a_constant_model_is_named():
    seen = behaviour(Reads(lambda x: 0 * x.sum((1, 2, 3))), HALF)
    assert seen["reliance"] == 0
    assert seen["constant_predictions"] == 1


def test_the_same_data_gives_the_same_numbers_at_every_epoch():
    images, marks = tagged([True, False] * 8, [0, 1, 1, 1] * 4)
    data = DataLoader(AnnotatedDataset(TensorDataset(images, torch.arange(16) % 2), marks), 8)
    used, seen = trainer(SaliencyMetrics()), []
    for _ in range(2):
        used.validate(Lit(CONTENT), data, verbose=False)
        seen.append({name: used.callback_metrics[f"val/{name}"].item() for name in (*KINDS, "accuracy_under_intervention")})
    assert seen[0] == seen[1]
    assert 0 < seen[0]["reliance_content"] < 1


def test_the_columns_of_tables_are_exchanged_and_always_there():
    rows = torch.tensor([[1.0, 5.0], [-1.0, 5.0], [2.0, 5.0], [-2.0, 5.0]])
    marks = torch.tensor([[-1, 0], [-1, 0], [0, 0], [0, 0]], dtype=torch.int8)
    seen = measured(Reads(lambda x: x[:, 0]), rows, torch.tensor([1, 0, 1, 0]), marks)
    assert (seen["reliance_content"], seen["reliance"]) == (1, 1)
    assert not {"reliance_removal", "reliance_insertion"} & set(seen)
    assert seen["accuracy_under_intervention"] == 0


class OfTexts(pl.LightningModule):
    """Says class 1 where the word 9 is not there; 0 is padding."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 1)
        self.embed.weight.data = torch.zeros(10, 1)
        self.embed.weight.data[9] = 2.0

    def forward(self, input_ids, attention_mask=None):
        found = (self.embed(input_ids).squeeze(2) * (1 if attention_mask is None else attention_mask)).sum(1)
        return torch.stack([found - 1, 1 - found], 1)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", cross_entropy(self(batch["input_ids"], batch["attention_mask"]), batch["label"]))


def test_spans_of_texts_are_exchanged_taken_out_and_put_in():
    words = torch.tensor([[3, 9, 4, 0], [9, 5, 6, 7], [3, 4, 5, 0], [6, 7, 0, 0]])
    base = [
        {"input_ids": text, "attention_mask": (text > 0).long(), "label": torch.tensor(label)}
        for text, label in zip(words, (0, 0, 1, 1), strict=True)
    ]
    marks = torch.where(words == 9, -1, torch.where(words == 0, 127, 0)).to(torch.int8)
    used = trainer(SaliencyMetrics())
    used.validate(OfTexts(), DataLoader(AnnotatedDataset(base, marks), 4), verbose=False)
    assert [used.callback_metrics[f"val/{kind}"] for kind in KINDS] == [0, 1, 1]
    assert used.callback_metrics["val/accuracy_under_intervention"] == 0.5


class OfBoth(pl.LightningModule):
    """Reads whether the image has a tag; the row for nothing."""

    def __init__(self):
        super().__init__()
        self.net = PRESENCE

    def forward(self, image, row):
        return self.net(image) + 0 * row.sum(1, keepdim=True)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", cross_entropy(self(batch["image"], batch["row"]), batch["label"]))


@pytest.mark.parametrize(("name", "expected"), [("image", [0, 1, 1]), ("row", [0])])
def test_of_several_inputs_the_one_that_is_named(name, expected):
    images, marks = tagged(HALF, [0, 1] * 4)
    rows = torch.rand(8, 3, generator=torch.Generator().manual_seed(0))
    base = [{"image": a, "row": b, "label": torch.tensor(c % 2)} for a, b, c in zip(images, rows, range(8), strict=True)]
    row_marks = torch.tensor([-1, 0, 0], dtype=torch.int8).repeat(8, 1)
    used = trainer(SaliencyMetrics(input=name))
    data = AnnotatedDataset(base, {"image": marks, "row": row_marks})
    used.validate(OfBoth(), DataLoader(data, 8), verbose=False)
    assert [used.callback_metrics[f"val/{kind}"] for kind in KINDS if f"val/{kind}" in used.callback_metrics] == expected


def test_the_training_does_not_notice():
    ours, theirs = fresh(Lit, noisy_net()), fresh(Lit, noisy_net())
    theirs.load_state_dict(ours.state_dict())
    fit(theirs, data=plain_loader(shuffle=True), val=plain_loader())
    used = fit(ours, SaliencyMetrics(), data=plain_loader(shuffle=True), val=loader())
    assert same(ours, theirs)
    assert {f"val/{kind}" for kind in (*KINDS, "accuracy_under_intervention")} <= set(used.callback_metrics)


class Unmasked(OfTexts):
    def validation_step(self, batch, batch_idx):
        self(batch[0])


def test_what_cannot_be_measured_is_said():
    """Where no text is padded, it is not known what would stand behind one that became shorter."""
    words = torch.tensor([[3, 9, 4], [9, 5, 6], [3, 4, 5], [6, 7, 4]])
    data = AnnotatedDataset(TensorDataset(words, torch.tensor([0, 0, 1, 1])), -(words == 9).to(torch.int8))
    used = trainer(SaliencyMetrics())
    with pytest.warns(UserWarning, match="No reliance_removal is measured, because an intervention on the samples failed"):
        used.validate(Unmasked(), DataLoader(data, 4), verbose=False)
    assert "val/reliance_removal" not in used.callback_metrics
    assert "val/accuracy_under_intervention" not in used.callback_metrics
    assert used.callback_metrics["val/reliance"] == used.callback_metrics["val/reliance_insertion"] == 1


def test_an_embedding_says_what_stands_behind_texts_that_were_never_padded():
    words = torch.tensor([[3, 9, 4], [9, 5, 6], [3, 4, 5], [6, 7, 4]])
    data = AnnotatedDataset(TensorDataset(words, torch.tensor([0, 0, 1, 1])), -(words == 9).to(torch.int8))
    model, used = Unmasked(), trainer(SaliencyMetrics())
    model.embed.padding_idx = 0
    used.validate(model, DataLoader(data, 4), verbose=False)
    assert used.callback_metrics["val/reliance_removal"] == 1


# Regression


class Regression(Lit):
    """Puts out one number, and is trained by its distance to another."""

    def training_step(self, batch, batch_idx):
        return nn.functional.mse_loss(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", nn.functional.mse_loss(self(batch[0]), batch[1]))


def regressed(read, has, grey, callbacks=()):
    class Number(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(1.0))

        def forward(self, x):
            return self.gain * read(x)

    images, marks = tagged(has, grey)
    data = DataLoader(AnnotatedDataset(TensorDataset(images, torch.zeros(len(has))), marks), 4)
    used = trainer(SaliencyMetrics(), *callbacks)
    used.validate(Regression(Number()), data, verbose=False)
    return {name.removeprefix("val/"): value.item() for name, value in used.callback_metrics.items()}


def test_the_reliance_of_a_regression_is_how_far_its_output_moves_in_units_of_its_spread():
    seen = regressed(lambda x: 1000 + brightest(x).round(), [True, True, False, False], [0, 1, 0, 0])
    outputs = torch.tensor([1002.0, 1003.0, 1000.0, 1000.0])
    spread = float(outputs.std(correction=0))
    assert seen["output_spread"] == pytest.approx(spread)
    assert seen["reliance_content"] == pytest.approx(1 / spread)  # the two exchange their greys
    assert seen["reliance_removal"] == pytest.approx(2.5 / spread, rel=0.05)
    assert seen["reliance"] == pytest.approx(max(seen[f"reliance_{kind}"] for kind in ("removal", "insertion")))
    assert seen["constant_predictions"] == 0
    assert "accuracy_under_intervention" not in seen


def test_a_regression_that_reads_nothing_marked_relies_on_nothing():
    seen = regressed(lambda x: x[:, 0, 7, 7], HALF, [0, 1] * 4)
    assert seen["reliance"] == 0
    assert seen["output_spread"] > 0


def test_what_the_training_loss_said_is_remembered_for_a_test_that_has_no_loss():
    class Silent(Regression):
        def test_step(self, batch, batch_idx):
            self(batch[0])

    images, marks = tagged(HALF, [0, 1] * 4)
    data = DataLoader(AnnotatedDataset(TensorDataset(images, torch.arange(8) % 3 + 0.5), marks), 4)
    module = fresh(Silent, nn.Sequential(nn.Flatten(), nn.LazyLinear(1), nn.Flatten(0)))
    fit(module, SaliencyMetrics(), data=data, val=data, epochs=1)
    used = trainer(SaliencyMetrics())
    used.test(module, data, verbose=False)
    assert used.callback_metrics["test/output_spread"] > 0


def test_a_regression_that_puts_out_the_same_for_all_is_called_constant():
    seen = regressed(lambda x: 0 * x[:, 0, 7, 7] + 3, HALF, [0, 1] * 4)
    assert seen["constant_predictions"] == 1
    assert seen["reliance"] == 0
