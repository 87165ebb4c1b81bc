"""Batches of which no samples can be taken, or whose target lies where the input is looked for: each is said, with a remedy."""

import pytest
import pytorch_lightning
import torch
from modules.pattern import CLASSES, Data, Pattern, base, images, of
from modules.test_modules import _train
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from salreg.callbacks import SaliencyRegularizer
from salreg.data import AnnotatedBatch

X, Y, MARKS = images()


def _nested():
    return torch.nested.nested_tensor([X[0, 0], X[1, 0, :4]])


@pytest.mark.parametrize(
    ("made", "remedy"), [(_nested, "pad_sequence"), (lambda: X[:2].flatten(1).to_sparse(), r"x\.to_dense\(\)")]
)
def test_batches_of_which_no_samples_can_be_taken_are_refused(made, remedy):
    with pytest.raises(ValueError, match=remedy):
        AnnotatedBatch((made(), Y[:2]), MARKS[:2])


def test_a_sparse_matrix_that_is_not_of_the_samples_may_be_there():
    graph = torch.eye(5).to_sparse()
    assert AnnotatedBatch((X[:2], graph), MARKS[:2]).sample[1] is graph


def lists_of_images(package):
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, CLASSES)

        def forward(self, images):
            return self.head(torch.stack([self.convolution(one[None]).mean((2, 3))[0] for one in images]))

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(x), y)

    return Module(Mean())


def detector(package):
    """Targets as torchvision has them: a list of dicts, and losses instead of an output."""

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.classes = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh()), nn.Linear(8, CLASSES)

        def forward(self, x, targets):
            labels = torch.stack([one["labels"][0] for one in targets])
            return {"loss_classifier": cross_entropy(self.classes(self.body(x)), labels)}

    class Module(base(package)):
        def loss(self, batch):
            return sum(self.net(*batch).values())

    return Module(Heads())


def _listed(samples):
    return [x for x, _ in samples], torch.stack([y for _, y in samples])


def _detected(samples):
    boxes = [{"labels": y.repeat(1 + int(y)), "boxes": torch.ones(1 + int(y), 4)} for _, y in samples]
    return torch.stack([x for x, _ in samples]), boxes


def test_a_list_of_images_is_refused_by_the_penalty_and_no_monitor_ends_the_training():
    pattern = Pattern(lists_of_images, of(lambda x, y: (x, y), collate=_listed))
    with pytest.raises(ValueError, match=r"list of images\. Collate them to one tensor"):
        _train(pattern, "pytorch_lightning", 1e-3)
    ours = _train(pattern, "pytorch_lightning", 0.0)
    assert ours.said.count("SaliencyMetrics measures nothing") == 1
    assert not any(name.startswith("val/reliance") for name in ours.metrics)


def test_targets_of_detection_are_cut_with_their_images():
    pattern = Pattern(detector, of(lambda x, y: (x, y), collate=_detected), options={"forward_module": "net.classes"})
    ours = _train(pattern, "pytorch_lightning", 0.0)
    assert "measures nothing" not in ours.said
    assert "snapshot" not in ours.said
    assert 0 <= ours.metrics["val/reliance"] <= 1


def segmentation(package):
    """The mask that is to be found has the image's own layout."""

    class Module(base(package)):
        def loss(self, batch):
            return binary_cross_entropy_with_logits(self(batch["image"]), batch["mask"])

    return Module(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 1)))


def beats(package):
    """Each step of the series has a label, which looks like a token number."""

    class Module(base(package)):
        def __init__(self):
            super().__init__(nn.LSTM(8, 6, batch_first=True))
            self.head = nn.Linear(6, CLASSES)

        def loss(self, batch):
            return cross_entropy(self.head(self.net(batch["beats"])[0]).transpose(1, 2), batch["types"])

    return Module()


MASKS = of(lambda x, y: {"mask": (x > 0.5).float(), "image": x})
BEATS = Data([{"types": (8 * x[0, 0]).long() % CLASSES, "beats": x[0]} for x in X], MARKS[1:2, 0, 0].expand(len(X), -1))


@pytest.mark.parametrize("weight", [None, 1.0])
@pytest.mark.parametrize(
    ("make", "data", "target", "given"), [(segmentation, MASKS, "mask", "image"), (beats, BEATS, "types", "beats")]
)
def test_what_the_loss_takes_for_its_target_is_not_changed_as_if_it_were_the_input(make, data, target, given, weight):
    trainer = pytorch_lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[SaliencyRegularizer(weight=weight)],
    )
    with pytest.raises(RuntimeError, match=rf"batch\['{target}'\].*ame .*AnnotatedDataset\(base, {{'{given}': annotations}}\)"):
        trainer.fit(make(pytorch_lightning), data.loader(True, 8))
