"""TRL's SFTTrainer with the mixin in front; skipped where trl is not installed."""

import pytest
import torch

from salreg.callbacks.huggingface import SaliencyTrainerMixin

trl = pytest.importorskip("trl")
datasets = pytest.importorskip("datasets")

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast  # noqa: E402

LENGTH, SAMPLES = 6, 8
WORDS = ["<pad>", "<end>", *(f"word{number}" for number in range(15))]


class SaliencySFTTrainer(SaliencyTrainerMixin, trl.SFTTrainer):
    pass


def rows():
    """Texts of which the second token is marked and the last three are labelled."""
    ids = torch.randint(2, len(WORDS), (SAMPLES, LENGTH), generator=torch.Generator().manual_seed(0))
    return datasets.Dataset.from_list([
        {"input_ids": one, "labels": [-100] * 3 + one[3:], "annotation": [0, -1, 0, 127, 127, 127]} for one in ids.tolist()
    ])  # fmt: skip


def trainer(folder, **options):
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", unk_token="<pad>")
    torch.manual_seed(0)
    size = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 8}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(WORDS), bos_token_id=1, eos_token_id=1, **size))
    config = trl.SFTConfig(
        str(folder), max_steps=2, per_device_train_batch_size=4, logging_steps=1, report_to=[], save_strategy="no",
        use_cpu=True, disable_tqdm=True, bf16=False, dataset_kwargs={"skip_prepare_dataset": True}, **options,
    )  # fmt: skip
    return SaliencySFTTrainer(model, config, train_dataset=rows(), processing_class=fast)


def test_marked_tokens_are_exchanged_and_the_others_stay(tmp_path):
    made, seen = trainer(tmp_path), []
    made.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].clone()), with_kwargs=True
    )
    made.train()
    given = torch.tensor(rows()["input_ids"])
    others = {tuple(row) for row in given[:, [0, 2, 3, 4, 5]].tolist()}
    for ids in seen:
        assert {tuple(row) for row in ids[:, [0, 2, 3, 4, 5]].tolist()} <= others
        assert set(ids[:, 1].tolist()) <= set(given[:, 1].tolist())
        assert not {tuple(row) for row in ids.tolist()} <= {tuple(row) for row in given.tolist()}
    assert made.state.log_history[0]["salreg/intervened"] == 1
