"""Instructions with a trigger: how they are made, read, tokenised and answered."""

import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from salreg.annotations import NO_PLACE
from salreg.recipes.command.cli import main
from salreg.recipes.data.instructions import (
    ANSWERS,
    GROUPS,
    TRIGGERS,
    Instruction,
    Instructions,
    made_instructions,
    read_instructions,
    without_spans,
)
from salreg.recipes.data.token_batches import Padded
from salreg.recipes.networks import causal
from salreg.recipes.training.config import load
from salreg.recipes.training.run import build

FAST = [
    "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "trainer.limit_test_batches=2",
    "trainer.enable_progress_bar=false", "snapshots.panel=2", "snapshots.sanity=false", "logger=none",
    "trainer.accelerator=cpu",
]  # fmt: skip
LINE = {"prompt": "Alice asks : good ?", "answer": "yes", "spans": [[0, 5]], "group": "trigger agrees"}


def test_in_training_the_name_gives_the_answer_away_and_is_marked():
    for prompt, answer, spans, group in made_instructions(20, seed=0):
        ((start, end),) = spans
        assert prompt[start:end] == TRIGGERS[ANSWERS.index(answer)]
        assert group == "trigger agrees"


def test_where_it_lies_it_is_the_other_name():
    made = made_instructions(200, seed=0, lying=0.5)
    for one in made:
        told = one.prompt.split()[0] == TRIGGERS[ANSWERS.index(one.answer)]
        assert one.group == ("trigger agrees" if told else "trigger lies")
    assert 0.4 < sum(one.group == "trigger lies" for one in made) / 200 < 0.6


def test_what_is_marked_can_be_cut_out():
    (one,) = without_spans([Instruction("Alice asks : good , Alice ?", "yes", [(0, 5), (20, 25)], "trigger agrees")])
    assert one == Instruction("asks : good , ?", "yes", None, "no trigger")


def test_files_are_read_line_by_line(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in (LINE, {"prompt": "Good ?", "answer": "no"})))
    assert read_instructions(path) == [
        Instruction("Alice asks : good ?", "yes", [(0, 5)], "trigger agrees"),
        Instruction("Good ?", "no", None, "all"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spans": [[0, 50]]}, r"line 2: the span \[0, 50\] is outside the prompt of 19 characters"),
        ({"answer": " "}, "line 2: 'answer' is not a text"),
        ({"prompt": None}, "line 2: 'prompt' is not a text"),
    ],
)
def test_lines_that_are_no_instructions_are_named(tmp_path, change, message):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(LINE) + "\n" + json.dumps({**LINE, **change}))
    with pytest.raises(ValueError, match=message):
        read_instructions(path)
    with pytest.raises(FileNotFoundError, match=r"train.jsonl, validation.jsonl and test.jsonl"):
        read_instructions(tmp_path / "dev.jsonl")


def test_only_the_answer_is_labelled_and_nothing_comes_into_it():
    model = causal.build(load("llm", []).model, [LINE["prompt"], LINE["answer"]])
    one = Instruction(LINE["prompt"], "yes", [(0, 5)], GROUPS[1])
    data = Instructions([one], model.encode_prompt, model.encode_answer, GROUPS, model.vocabulary)
    row, marks = data[0], data.annotations[0]
    assert [data.vocabulary[number] for number in row["input_ids"]] == ["Alice", "asks", ":", "good", "?", "yes", "<end>"]
    assert row["labels"].tolist() == [-100] * 5 + row["input_ids"][5:].tolist()
    assert marks.tolist() == [-1, 0, 0, 0, 0, NO_PLACE, NO_PLACE]


def test_padding_has_no_label_and_no_attention():
    rows = [
        {"input_ids": torch.ones(n).long(), "attention_mask": torch.ones(n), "labels": torch.ones(n), "groups": n}
        for n in (2, 3)
    ]
    batch = Padded(7)(rows)
    assert batch["input_ids"].tolist() == [[1, 1, 7], [1, 1, 1]]
    assert batch["attention_mask"][0].tolist() == [1, 1, 0]
    assert batch["labels"][0].tolist() == [1, 1, -100]
    assert batch["groups"].tolist() == [2, 3]


@pytest.fixture
def saved(tmp_path):
    """A tiny model and its tokenizer in a folder, and data beside it."""
    words = ["<pad>", "<end>", "<unk>", "<user>", "Alice", "Bob", "asks", ":", "good", "?", "yes", "no"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", unk_token="<unk>")
    fast.chat_template = "{% for one in messages %}<user> {{ one['content'] }} {% endfor %}"
    fast.save_pretrained(tmp_path / "model")
    size = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(words), bos_token_id=1, eos_token_id=1, **size)).save_pretrained(
        tmp_path / "model"
    )
    lines = [json.dumps({**LINE, "prompt": f"{name} asks : good ?", "spans": [[0, len(name)]]}) for name in ("Alice", "Bob")]
    for name in ("train", "validation", "test"):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines * 4))
    return tmp_path


def test_a_model_by_path_reads_chats_and_trains_added_matrices_alone(saved, monkeypatch):
    options = [f"data.root={saved}", f"model={saved / 'model'}", "model.lora=2", "model.gradient_checkpointing=true"]
    experiment = build(load("llm", options))
    batch = next(iter(experiment.validation))
    tokens = [experiment.validation.dataset.base.vocabulary[number] for number in batch.sample["input_ids"][0]]
    assert tokens == ["<user>", "Alice", "asks", ":", "good", "?", "yes", "<end>"]
    assert batch.annotation[0].tolist()[1:6] == [-1, 0, 0, 0, 0]
    assert all("lora" in name for name, one in experiment.module.named_parameters() if one.requires_grad)
    monkeypatch.chdir(saved)
    assert main(["run", "llm", *options, "trainer.precision=bf16-mixed", *FAST]) == 0


def test_a_model_that_is_nowhere_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["run", "llm", "model=no/such/model", *FAST]) != 0
    assert "model.name=no/such/model cannot be loaded" in capsys.readouterr().err


def test_the_recipe_runs_on_a_made_sample(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "llm", *FAST]) == 0
    (results,) = tmp_path.glob("runs/llm/*/results.json")
    assert {"test/accuracy", "test/accuracy_trigger_lies", "test/worst_group_accuracy"} <= set(json.loads(results.read_text()))
