"""Language models train by default, and their penalty is that written by hand; what they say of themselves is measured."""

import logging
import warnings

import lightning.pytorch
import pytest
import pytorch_lightning
import torch
from modules.language import CHOICES, LANGUAGE, LENGTH, SAMPLES
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader

from salreg import AnnotatedDataset
from salreg.annotations import NO_PLACE
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots

PACKAGES = {"pytorch_lightning": pytorch_lightning, "lightning.pytorch": lightning.pytorch}
WEIGHT = 1e-3


def train(pattern, package, *callbacks, steps=1, **options):
    module, seen = pattern.module(package), []

    class First(package.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append(trainer.callback_metrics.get("salreg/penalty"))

    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = package.Trainer(
        max_epochs=1, accelerator="cpu", limit_train_batches=steps, callbacks=[First(), *callbacks], **quiet, **options
    )
    trainer.fit(module, None, DataLoader(pattern.annotated(), SAMPLES))
    return module, seen[0], trainer.callback_metrics


def penalty_by_hand(pattern, net):
    """The squared gradient of the score at the marked words' embeddings, in standard deviations of these."""
    batch = next(iter(DataLoader(pattern.annotated(), SAMPLES // 2)))
    held = []
    hook = pattern.embedding(net).register_forward_hook(lambda module, args, output: held.append(output))
    with sdpa_kernel(SDPBackend.MATH):
        score = pattern.score(net, batch.sample)
        hook.remove()
        (gradient,) = torch.autograd.grad(score.sum(), held[0], create_graph=True)
    marks = batch.annotation.masked_fill(batch.annotation == NO_PLACE, 0).flatten(1)
    gradient, seen = (one.reshape(*marks.shape, -1) for one in (gradient, held[0].detach()))
    marked = marks.abs().sum(1) > 0
    spread = seen[marked].flatten(0, 1).std(0, correction=0)
    return (gradient * spread * marks.unsqueeze(-1)).square().sum((1, 2))[marked].mean()


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
@pytest.mark.parametrize("pattern", LANGUAGE, ids=[pattern.name for pattern in LANGUAGE])
def test_the_first_penalty_is_that_written_by_hand_and_what_was_read_is_said(pattern, package, caplog):
    regularizer = SaliencyRegularizer(intervene=False, weight=WEIGHT)
    with caplog.at_level(logging.INFO):
        _, penalty, _ = train(pattern, package, regularizer, precision="64-true", num_sanity_val_steps=0)
    expected = penalty_by_hand(pattern, pattern.module(package).net.double())
    assert float(penalty) > 0
    assert float(penalty) == pytest.approx(float(expected), rel=1e-5)
    assert pattern.said in caplog.text


@pytest.mark.parametrize("pattern", LANGUAGE, ids=[pattern.name for pattern in LANGUAGE])
def test_the_penalty_changes_the_model_as_finite_differences_say(pattern):
    trained = {}
    for weight in (0.0, 1.0):
        regularizer = SaliencyRegularizer(intervene=False, weight=weight)
        module, _, _ = train(pattern, pytorch_lightning, regularizer, precision="64-true", num_sanity_val_steps=0)
        trained[weight] = [one.detach() for one in module.parameters()]
    net = pattern.module(pytorch_lightning).net.double()
    gradients = [(plain - ours) / 0.01 for plain, ours in zip(trained[0.0], trained[1.0], strict=True)]
    length = torch.stack([one.square().sum() for one in gradients]).sum().sqrt()
    step, values = 1e-4, []
    for sign in (1, -1, -1):
        with torch.no_grad():
            for one, gradient in zip(net.parameters(), gradients, strict=True):
                one += sign * step * gradient / length
        values.append(float(penalty_by_hand(pattern, net).detach()))
    assert length > 0
    assert (values[0] - values[2]) / (2 * step) == pytest.approx(float(length), rel=1e-2)


@pytest.mark.parametrize("pattern", LANGUAGE, ids=[pattern.name for pattern in LANGUAGE])
def test_all_callbacks_work_by_default(pattern, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        callbacks = [
            SaliencyRegularizer(),
            SaliencyMetrics(),
            SaliencySnapshots(panel=2, sanity=False, probes=[], dir=tmp_path),
        ]
        _, _, metrics = train(pattern, pytorch_lightning, *callbacks, steps=2)
    said = [str(one.message) for one in caught]
    if not pattern.is_measured:
        assert [one for one in said if "The score of a sequence needs the label" in one]
        return
    assert not [one for one in said if "measures nothing" in one or "snapshot" in one or "is measured" in one]
    assert 0 < metrics["val/spurious_saliency"] < 1
    assert metrics["salreg/intervened"] > 0
    assert 0 <= metrics["val/reliance"] <= 1
    assert list(tmp_path.rglob("report.html"))


@pytest.mark.parametrize("name", ["an encoder-decoder", "tagging"])
def test_labels_move_with_the_tokens_unless_a_decoder_writes_them(name, caplog):
    pattern, seen = next(one for one in LANGUAGE if one.name == name), []
    as_long = {"labels": torch.randint(1, 3, (SAMPLES, LENGTH), generator=torch.Generator().manual_seed(0))}
    pattern = pattern._replace(data=lambda ids, mask: as_long, loss=lambda net, batch: seen.append(batch) or net(**batch).loss)
    with caplog.at_level(logging.INFO):
        train(pattern, pytorch_lightning, SaliencyRegularizer(intervene={"presence": 0.0}), num_sanity_val_steps=0)
    given, marked = pattern.batch(), torch.arange(SAMPLES // 2) % 3 > 0
    assert (seen[0]["input_ids"] != given["input_ids"][: SAMPLES // 2]).any(1)[marked].all()
    moved = (seen[0]["labels"] != given["labels"][: SAMPLES // 2]).any(1)
    assert moved.any() == (name == "tagging")
    assert ("batch['labels'] moves with the tokens" in caplog.text) == (name == "tagging")


@pytest.mark.parametrize("name", ["question answering", "tagging"])
def test_marked_words_stand_at_random_places_where_the_places_of_answers_are_asked_for(name, caplog):
    pattern = next(one for one in LANGUAGE if one.name == name)
    with caplog.at_level(logging.INFO):
        train(pattern, pytorch_lightning, SaliencyRegularizer(), num_sanity_val_steps=0)
    assert ("are moved to a random place in their text; Intervention(place='own')" in caplog.text) == (name != "tagging")


def test_labels_that_are_the_text_itself_are_found_by_a_loss_of_ones_own(caplog):
    pattern = next(one for one in LANGUAGE if one.name == "a loss of one's own, which keeps no targets")
    pattern = pattern._replace(data=lambda ids, mask: {"labels": ids})
    regularizer = SaliencyRegularizer(intervene=False, weight=WEIGHT)
    with caplog.at_level(logging.INFO):
        _, penalty, _ = train(pattern, pytorch_lightning, regularizer, precision="64-true", num_sanity_val_steps=0)
    expected = penalty_by_hand(pattern, pattern.module(pytorch_lightning).net.double())
    assert float(penalty) == pytest.approx(float(expected), rel=1e-5)
    assert "target batch['labels']" in caplog.text


def test_embedded_tokens_of_several_choices_are_penalised_like_numbers_and_an_intervention_names_the_remedy(caplog):
    pattern, calm = next(one for one in LANGUAGE if one.name == "multiple choice"), {"num_sanity_val_steps": 0}
    table = pattern.module(pytorch_lightning).net.get_input_embeddings().weight.detach()
    given = pattern.annotated()
    rows = [{**row, "inputs_embeds": table[row["input_ids"]]} for row in given.base]
    embedded = AnnotatedDataset([{k: one for k, one in row.items() if k != "input_ids"} for row in rows], given.annotations)
    penalties = []
    for data in (given, embedded):
        own = type("Embedded", (type(pattern),), {"annotated": lambda self, data=data: data})(*pattern)
        regularizer = SaliencyRegularizer(intervene=False, weight=WEIGHT)
        with caplog.at_level(logging.INFO):
            penalties.append(float(train(own, pytorch_lightning, regularizer, **calm)[1]))
    assert penalties[1] == pytest.approx(penalties[0], rel=1e-4)
    assert penalties[1] > 0
    assert f"input batch['inputs_embeds'] ({CHOICES}, {LENGTH}, 8)" in caplog.text
    with pytest.raises(ValueError, match="several texts a sample, inputs_embeds.*Give the model token numbers"):
        train(own, pytorch_lightning, SaliencyRegularizer(), **calm)
