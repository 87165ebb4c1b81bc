"""A language model's answers as classes: their probabilities against those counted by hand, and an audit of them."""

import pytest
import torch

from salreg.annotations import Counterparts
from salreg.audit import AnswerModel, audit_texts

WORDS = ["<pad>", "<end>", "Bob", "Alice", "asks", "yes", "no", "maybe", "not"]


def encode(text):
    return [WORDS.index(word) for word in text.split()]


@pytest.fixture(scope="module")
def net():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, n_positions=16)
    return transformers.GPT2LMHeadModel(config).eval()


def test_a_score_is_the_log_probability_of_the_answer_behind_the_prompt(net):
    answers = [encode("yes <end>"), encode("maybe not <end>")]
    scores = AnswerModel(net, encode, answers, rows=3)(["Bob asks", "Alice asks Bob asks"])
    for row, prompt in enumerate(("Bob asks", "Alice asks Bob asks")):
        for column, answer in enumerate(answers):
            tokens, by_hand = encode(prompt), 0.0
            for token in answer:
                logits = net(input_ids=torch.tensor([tokens])).logits[0, -1]
                by_hand += float(logits.log_softmax(0)[token].detach())
                tokens = [*tokens, token]
            assert float(scores[row, column]) == pytest.approx(by_hand, rel=1e-5)


def test_a_tokenizer_ends_the_answers_and_frames_only_the_prompts(net):
    class Tokenizer:
        eos_token_id = 1

        def __call__(self, text, add_special_tokens=True):
            return {"input_ids": [*([4] if add_special_tokens else []), *encode(text)]}

    scores = AnswerModel.from_tokenizer(net, Tokenizer(), ["yes", "no"])(["Bob"])
    by_hand = AnswerModel(net, lambda text: [4, *encode(text)], [encode("yes <end>"), encode("no <end>")])(["Bob"])
    assert torch.equal(scores, by_hand)


def test_an_audit_sees_what_a_language_model_goes_by():
    class Echo(torch.nn.Module):
        """It says yes to Bob and no to Alice."""

        def forward(self, input_ids, attention_mask):
            named = (input_ids == 2).any(1)
            logits = torch.zeros(*input_ids.shape, len(WORDS))
            logits[named, :, 5], logits[~named, :, 6] = 9.0, 9.0
            return type("Output", (), {"logits": logits})

    model = AnswerModel(Echo(), encode, [encode("no"), encode("yes")])
    found = audit_texts(
        model, ["Bob asks", "Alice asks"] * 5, [1, 0] * 5, Counterparts({"who": ["Bob", "Alice"]}), progress=False
    )
    assert found.uses[0].changes["substitution"].share.value == 1
    assert found.positive == "1"


@pytest.mark.parametrize("answers", [[[5]], [[5], []]])
def test_fewer_than_two_answers_or_an_empty_one_are_an_error(net, answers):
    with pytest.raises(ValueError, match="at least two answers"):
        AnswerModel(net, encode, answers)
