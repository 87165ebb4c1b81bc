"""Hugging Face's Trainer with the mixin in front: what it trains, adds and shows to the model."""

import pytest
import torch
from tokenizers import Tokenizer, models
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

from salreg.annotations import NO_PLACE
from salreg.callbacks import SaliencyRegularizer
from salreg.callbacks.huggingface import SaliencyTrainerMixin
from salreg.data import AnnotatedDataset

VOCABULARY, LENGTH, SAMPLES = 17, 6, 12
_STILL = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)


class SaliencyTrainer(SaliencyTrainerMixin, Trainer):
    pass


class Rows(Dataset):
    """Samples as a tokenizer gives them, with a column that no model takes."""

    def __init__(self, language_model):
        torch.manual_seed(0)
        ids = torch.randint(4, VOCABULARY, (SAMPLES, LENGTH))
        labels = ids.clone().index_fill(1, torch.arange(3), -100) if language_model else ids[:, 0] % 2
        self.rows = [
            {"input_ids": i, "attention_mask": torch.ones_like(i), "labels": one, "text": "not for the model"}
            for i, one in zip(ids, labels, strict=True)
        ]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


def gpt2():
    torch.manual_seed(0)
    size = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 8, "initializer_range": 0.5}
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=1, **size, **_STILL))


def bert():
    torch.manual_seed(0)
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.5}
    return BertForSequenceClassification(BertConfig(vocab_size=VOCABULARY, max_position_embeddings=8, **size, **still))


MODELS = {"gpt2": gpt2, "bert": bert}


def annotated(name):
    marks = torch.zeros(SAMPLES, LENGTH, dtype=torch.int8)
    marks[:, 1] = -1
    return AnnotatedDataset(Rows(name == "gpt2"), marks)


def trainer_of(name, folder, data=None, kind=SaliencyTrainer, saliency=None, callbacks=(), **options):
    arguments = TrainingArguments(
        str(folder), max_steps=2, per_device_train_batch_size=4, logging_steps=1, report_to=[], save_strategy="no",
        use_cpu=True, disable_tqdm=True, learning_rate=0.01, optim="sgd", lr_scheduler_type="constant", max_grad_norm=0.0,
        **options,
    )  # fmt: skip
    data = annotated(name) if data is None else data
    added = {} if kind is Trainer else {"saliency": saliency}
    return kind(MODELS[name](), arguments, train_dataset=data, eval_dataset=data, callbacks=list(callbacks), **added)


def parameters(trainer):
    return torch.cat([one.detach().flatten() for one in trainer.model.parameters()])


@pytest.mark.parametrize("name", MODELS)
def test_without_intervention_and_penalty_it_trains_as_the_trainer_alone(name, tmp_path):
    ours = trainer_of(name, tmp_path, saliency={"intervene": False, "weight": 0})
    plain = trainer_of(name, tmp_path, Rows(name == "gpt2"), Trainer, **({"remove_unused_columns": True}))
    plain.data_collator = lambda rows: default_data_collator([{k: v for k, v in row.items() if k != "text"} for row in rows])
    ours.train()
    plain.train()
    assert torch.equal(parameters(ours), parameters(plain))


@pytest.mark.parametrize("name", MODELS)
def test_the_model_sees_changed_texts_in_training_and_those_given_in_evaluation(name, tmp_path):
    seen = {True: [], False: []}
    trainer = trainer_of(name, tmp_path, per_device_eval_batch_size=SAMPLES)
    trainer.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen[module.training].append(kwargs["input_ids"].clone()), with_kwargs=True
    )
    trainer.train()
    given = torch.stack([row["input_ids"] for row in Rows(name == "gpt2").rows])
    known = {tuple(row) for row in given[:, [0, 2, 3, 4, 5]].tolist()}
    for ids in seen[True]:
        assert {tuple(row) for row in ids[:, [0, 2, 3, 4, 5]].tolist()} <= known
        assert not {tuple(row) for row in ids.tolist()} <= {tuple(row) for row in given.tolist()}
    assert "eval_loss" in trainer.evaluate()
    assert torch.equal(seen[False][0], given)
    assert trainer.state.log_history[0]["salreg/intervened"] == 1


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_holds_the_penalty_which_is_logged(name, tmp_path):
    logs = {}
    for weight in (0.0, 2.0):
        trainer = trainer_of(name, tmp_path, saliency=SaliencyRegularizer(intervene=False, weight=weight))
        trainer.train()
        logs[weight] = trainer.state.log_history[0]
    penalty = logs[2.0]["salreg/penalty"]
    assert penalty > 0
    assert logs[2.0]["loss"] - logs[0.0]["loss"] == pytest.approx(2 * penalty, rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_accumulated_steps_take_the_mean_of_their_penalties(name, tmp_path):
    given = {"max_samples": None, "intervene": False, "weight": 1.0}
    both = trainer_of(name, tmp_path, saliency=given, gradient_accumulation_steps=2)
    both.train()
    plain = trainer_of(name, tmp_path, saliency={"intervene": False, "weight": 0}, gradient_accumulation_steps=2)
    plain.train()
    first, without = both.state.log_history[0], plain.state.log_history[0]
    assert first["loss"] - without["loss"] == pytest.approx(first["salreg/penalty"], rel=1e-3)


def test_annotations_may_lie_in_a_column_of_the_data(tmp_path):
    marks = [None, *[[0, -1, 0, 0, 0, 0]] * (SAMPLES - 1)]
    rows = [{**row, "annotation": one} for row, one in zip(Rows(True).rows, marks, strict=True)]
    trainer = trainer_of("gpt2", tmp_path, rows)
    trainer._set_signature_columns_if_needed()
    assert "annotation" in trainer._signature_columns
    batch = trainer.data_collator(rows[:3])
    assert batch["salreg"]["looked_at"].tolist() == [False, True, True]
    assert batch["salreg"]["annotation"][:, 1].tolist() == [0, -1, -1]
    trainer.train()
    assert 0 < trainer.state.log_history[0]["salreg/intervened"] <= 1


def test_batches_without_annotations_are_an_error_that_names_the_remedy(tmp_path):
    rows = [{key: value for key, value in row.items() if key != "text"} for row in Rows(True).rows]
    with pytest.raises(RuntimeError, match="carries none. Wrap the training set"):
        trainer_of("gpt2", tmp_path, rows).train()


@pytest.mark.parametrize(
    "collator", [None, DataCollatorWithPadding, DataCollatorForSeq2Seq, DataCollatorForTokenClassification]
)
def test_without_the_mixin_annotated_samples_are_an_error_that_names_it(collator, tmp_path):
    trainer = trainer_of("gpt2", tmp_path, kind=Trainer)
    if collator is not None:
        words = Tokenizer(models.WordLevel({"a": 0, "<pad>": 1}, unk_token="a"))
        trainer.data_collator = collator(PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>"))
    with pytest.raises(TypeError, match="With Hugging Face's Trainer, use SaliencyTrainerMixin"):
        trainer.train()


def test_samples_that_are_no_dictionaries_are_an_error(tmp_path):
    rows = AnnotatedDataset([(row["input_ids"], 0) for row in Rows(True).rows], torch.zeros(SAMPLES, LENGTH))
    with pytest.raises(TypeError, match="needs dictionaries"):
        trainer_of("gpt2", tmp_path, rows).train()


def test_the_mixin_alone_and_other_settings_are_errors(tmp_path):
    with pytest.raises(TypeError, match="must come before a Trainer"):
        SaliencyTrainerMixin()
    with pytest.raises(TypeError, match="or its arguments by name"):
        trainer_of("gpt2", tmp_path, saliency=3)


def test_columns_may_stay_and_marks_follow_a_padding_collator(tmp_path):
    def padded(rows):
        longest = max(len(row["input_ids"]) for row in rows)
        keys = {"input_ids": 0, "attention_mask": 0, "labels": -100}
        assert "text" in rows[0]
        return {
            key: torch.stack([torch.nn.functional.pad(row[key], (longest - len(row[key]), 0), value=fill) for row in rows])
            for key, fill in keys.items()
        }

    rows = [{k: v if k == "text" else v[: LENGTH - n % 3] for k, v in row.items()} for n, row in enumerate(Rows(True).rows)]
    marks = [torch.tensor([0, -1, *[0] * (len(row["input_ids"]) - 2)], dtype=torch.int8) for row in rows]
    seen = []

    class Looking(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            seen.append(state.global_step)

    data = AnnotatedDataset(rows, marks)
    trainer = trainer_of("gpt2", tmp_path, data, remove_unused_columns=False, callbacks=[Looking()])
    trainer.data_collator.collator = padded
    batch = next(iter(trainer.get_eval_dataloader()))
    ids, annotation = batch["input_ids"], batch["salreg"]["annotation"]
    assert torch.equal(annotation == NO_PLACE, batch["attention_mask"] == 0)
    originals = torch.stack([row["input_ids"][1] for row in rows[:8]])
    assert torch.equal(ids[annotation == -1], originals)
    trainer.train()
    assert seen == [1, 2]
