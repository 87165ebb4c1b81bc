"""Samples of which several inputs are annotated: an image, a table's row and a text, each by its name."""

import pytest
import pytorch_lightning as pl
import torch
from support import Lit as Classifier
from support import fit, fresh, images, loader, same
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax
from torch.utils.data import DataLoader

from salreg import AnnotatedDataset
from salreg.attributions import InputTimesGradient
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots


class Patients(torch.utils.data.Dataset):
    """``({"image", "row", "words"}, label)``."""

    def __init__(self, size=16):
        generator = torch.Generator().manual_seed(0)
        self.images, self.rows = torch.rand(size, 1, 8, 8, generator=generator), torch.rand(size, 5, generator=generator)
        self.words = torch.randint(1, 20, (size, 6), generator=generator)
        self.labels = torch.arange(size) % 3

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {"image": self.images[i], "row": self.rows[i], "words": self.words[i]}, self.labels[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.picture = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, 8))
        self.table = nn.Sequential(nn.Linear(5, 8), nn.Tanh())
        self.embedding = nn.Embedding(20, 8)
        self.head = nn.Sequential(nn.Tanh(), nn.Linear(8, 3))

    def forward(self, image, row, words=None):
        mixed = self.picture(image) * self.table(row)
        return self.head(mixed if words is None else mixed + self.embedding(words).tanh().mean(1))


class Lit(pl.LightningModule):
    """Calls its network with ``positions``, ``names`` or without the ``text``."""

    def __init__(self, call="names"):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.call = Net(), call

    def forward(self, inputs):
        if self.call == "positions":
            return self.net(inputs["image"], inputs["row"], inputs["words"])
        if self.call == "without text":
            return self.net(inputs["image"], inputs["row"])
        return self.net(**inputs)

    def training_step(self, batch, batch_idx):
        inputs, labels = batch
        return cross_entropy(self(inputs), labels)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def image_mark():
    mark = torch.zeros(1, 8, 8, dtype=torch.int8)
    mark[:, :3, :3] = -1
    return mark


ROW_MARK, WORD_MARK = torch.tensor([-1, 0, 0, 0, -1]), torch.tensor([0, -1, 0, 0, 0, 0])


def annotations(*names):
    marks = {"image": image_mark(), "row": ROW_MARK, "words": WORD_MARK}
    return {name: [marks[name]] * 16 for name in names}


def data(*names, **options):
    return DataLoader(AnnotatedDataset(Patients(), annotations(*names)), batch_size=8, **options)


def fitted(module, loader, *callbacks, validation=None, **options):
    trainer = pl.Trainer(
        logger=False, callbacks=list(callbacks), enable_progress_bar=False, enable_checkpointing=False, **options
    )
    trainer.fit(module, loader, validation)
    return trainer


@pytest.mark.parametrize("call", ["names", "positions"])
def test_a_step_is_that_with_one_penalty_per_input_written_by_hand(call):
    module, net = Lit(call), Lit(call).net
    attribution = InputTimesGradient("log_prob_sum")  # in units of the score, so that no input's spread comes in
    fitted(module, data("image", "row", "words"), SaliencyRegularizer(attribution, weight=2.0, intervene=False), max_steps=1)

    inputs, labels = next(iter(DataLoader(Patients(), batch_size=8)))
    image, row = (inputs[name].clone().requires_grad_() for name in ("image", "row"))
    embedded = net.embedding(inputs["words"])
    logits = net.head(net.picture(image) * net.table(row) + embedded.tanh().mean(1))
    gradients = torch.autograd.grad(log_softmax(logits, 1).sum(), [image, row, embedded], create_graph=True)
    loss = cross_entropy(logits, labels)
    for given, gradient, mark in zip(
        (image, row, embedded), gradients, (image_mark(), ROW_MARK, WORD_MARK.view(-1, 1)), strict=True
    ):
        loss = loss + 2.0 * ((given * gradient) ** 2 * (mark < 0)).flatten(1).sum(1).mean()
    loss.backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    for one, other in zip(module.net.parameters(), net.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


def test_each_input_is_logged_and_may_be_penalised_alone():
    trainer = fitted(Lit(), data("image", "row"), SaliencyRegularizer(weight=1.0, intervene=False), max_steps=2)
    assert trainer.callback_metrics["salreg/image/penalty"] > 0
    assert trainer.callback_metrics["salreg/row/penalty"] > 0
    two = [
        SaliencyRegularizer(input="image", name="picture", intervene=False),
        SaliencyRegularizer(input="row", loss="l1", name="table", intervene=False),
    ]
    trainer = fitted(Lit(), data("image", "row"), *two, max_steps=2)
    assert {"picture/image/penalty", "table/row/penalty"} <= set(trainer.callback_metrics)
    assert "picture/row/penalty" not in trainer.callback_metrics


def test_training_lowers_the_penalty_of_every_input_that_is_annotated():
    def penalties(weight):
        trainer = fitted(Lit(), data("image", "row"), SaliencyRegularizer(weight=weight, intervene=False), max_epochs=30)
        return [float(trainer.callback_metrics[f"salreg/{name}/penalty"]) for name in ("image", "row")]

    plain, regularised = penalties(1e-6), penalties(1e3)
    assert all(after < before / 5 for before, after in zip(plain, regularised, strict=True))


@pytest.mark.parametrize("name", ["image", "row", "words"])
def test_monitors_look_at_the_input_that_is_named(tmp_path, name):
    metrics, snapshots = SaliencyMetrics(input=name), SaliencySnapshots(input=name, panel=4, dir=tmp_path, sanity=False)
    validation = data("image", "row", "words")
    trainer = fitted(Lit(), data("image", "row"), metrics, snapshots, validation=validation, max_epochs=1)
    assert 0 < trainer.callback_metrics["val/spurious_saliency"] < 1
    assert 0 <= trainer.callback_metrics["val/reliance"] <= 1
    shape = {"image": (1, 8, 8), "row": (5,), "words": (6,)}[name]
    assert snapshots.history.images[0].shape == shape
    assert list(tmp_path.rglob("film_strip.png"))


def test_the_first_annotated_input_is_monitored_by_default():
    trainer = fitted(Lit(), data("row", "image"), SaliencyMetrics(), validation=data("row", "image"), max_epochs=1)
    expected = fitted(Lit(), data("row", "image"), SaliencyMetrics(input="row"), validation=data("image", "row"), max_epochs=1)
    assert trainer.callback_metrics["val/spurious_saliency"] == expected.callback_metrics["val/spurious_saliency"]


def test_a_checkpoint_keeps_what_each_input_learned(tmp_path):
    regularizer = SaliencyRegularizer(weight=1.0, intervene=False)
    trainer = fitted(Lit(), data("image", "row"), regularizer, max_steps=2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    resumed = SaliencyRegularizer(weight=1.0, intervene=False)
    pl.Trainer(logger=False, callbacks=[resumed], max_steps=2, enable_progress_bar=False).fit(
        Lit(), data("image", "row"), ckpt_path=tmp_path / "two.ckpt"
    )
    for name in ("image", "row"):
        spreads = [one._regularisation.inputs[name].penalty.spread.state_dict() for one in (regularizer, resumed)]
        assert str(spreads[0]) == str(spreads[1])
        assert spreads[0]


def test_a_missing_annotation_of_one_input_is_unknown_in_its_own_shape():
    dataset = AnnotatedDataset(Patients(), {"image": {0: image_mark()}, "row": {}})
    assert dataset[1].annotation["image"].shape == (1, 8, 8)
    assert dataset[1].annotation["row"].shape == (5,)
    assert not dataset[1].annotation["image"].any()
    assert dataset[0].annotation["image"].any()


def test_mistakes_name_the_input():
    with pytest.raises(ValueError, match="The dataset has 16 samples, but there are 3 annotations"):
        AnnotatedDataset(Patients(), {"image": [image_mark()] * 3})
    with pytest.raises(
        KeyError, match=r"'imgae' is annotated, but no mapping in the sample has that key .did you mean 'image'"
    ):
        AnnotatedDataset(Patients(), {"imgae": {}})[0]
    with pytest.raises(ValueError, match=r"annotation of sample 0, input 'row',"):
        AnnotatedDataset(Patients(), {"row": {0: torch.full((5,), 3)}})[0]
    with pytest.raises(KeyError, match=r"No input called 'imgae' is annotated .did you mean 'image'"):
        fitted(Lit(), data("image", "row"), SaliencyRegularizer(input="imgae", intervene=False), max_steps=1)
    with pytest.raises(RuntimeError, match=r"did not receive the input of shape \(8, 6\)"):
        fitted(Lit("without text"), data("image", "words"), SaliencyRegularizer(weight=1.0, intervene=False), max_steps=1)
    with pytest.raises(TypeError, match="This works with a single annotated input, but there are several: image, row"):
        _ = AnnotatedDataset(Patients(), annotations("image", "row"))[0].only_annotation


def test_workers_and_pinning_keep_the_names():
    batch = next(iter(data("image", "row", num_workers=2)))
    assert {name: tuple(one.shape) for name, one in batch.annotation.items()} == {"image": (8, 1, 8, 8), "row": (8, 5)}


def test_several_penalised_inputs_run_uncompiled_and_it_says_so():
    with pytest.warns(UserWarning, match="compile=True has no effect: .*several annotated inputs"):
        fitted(Lit(), data("image", "row"), SaliencyRegularizer(compile=True, intervene=False), max_steps=2)


def test_each_input_is_intervened_on_for_itself():
    class Seeing(Lit):
        def training_step(self, batch, batch_idx):
            self.seen = {name: one.detach().clone() for name, one in batch[0].items()}
            return super().training_step(batch, batch_idx)

    module = Seeing()
    trainer = fitted(module, data("image", "row", "words"), SaliencyRegularizer(), max_steps=1)
    given = next(iter(data("image", "row", "words"))).sample[0]
    mark, (columns,) = image_mark()[0] < 0, (ROW_MARK < 0).nonzero(as_tuple=True)
    assert torch.equal(module.seen["image"][..., ~mark], given["image"][..., ~mark])
    assert not torch.equal(module.seen["image"][..., mark], given["image"][..., mark])
    assert not torch.equal(module.seen["row"][:, columns], given["row"][:, columns])
    assert not torch.equal(module.seen["words"], given["words"])
    assert {f"salreg/{name}/intervened" for name in ("image", "row", "words")} <= set(trainer.callback_metrics)


def test_marks_on_named_inputs_are_marks(recwarn):
    fitted(Lit(), data("image", "row"), SaliencyRegularizer(), max_epochs=1)
    assert not [one for one in recwarn if "carries a spurious mark" in str(one.message)]


def test_a_named_input_of_which_few_samples_are_marked():
    """These get a pass of their own, in which the input is found by its name, too."""

    class Named(Classifier):
        def training_step(self, batch, number):  # whatever the user calls it
            return cross_entropy(self(batch["image"]), batch["label"])

    x, y, marks = images()
    base = [{"image": image, "row": torch.rand(5), "label": label} for image, label in zip(x, y, strict=True)]
    few = AnnotatedDataset(base, {"image": {0: marks[1], 2: marks[1], 9: marks[1], 17: marks[1]}})
    for regularizer in (SaliencyRegularizer(intervene=False), SaliencyRegularizer()):
        module = fresh(Named)
        used = fit(module, regularizer, data=loader(few), epochs=1)
        assert not same(module, fresh(Named))
        assert any(key.endswith("spurious_saliency") for key in used.callback_metrics)
