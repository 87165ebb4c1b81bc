"""What happens to be laid out like the tokens in one batch does not move with them."""

import pytest
import torch

from salreg.interventions import Intervention

TOKENS = torch.tensor([[5, 91, 6, 7], [5, 6, 92, 7]])
MARKS = torch.tensor([[0, -1, 0, 0], [0, 0, -1, 0]])


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize(
    "labels",
    [torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 0]]), torch.tensor([[3, 8, 2, -100], [4, 4, 6, 1]])],
    ids=["classes", "text"],
)
def test_labels_of_as_many_classes_or_words_as_a_text_has_tokens_stay(labels, restored):
    intervention = Intervention(place="random", padding_token=0)
    longer = torch.nn.functional.pad(TOKENS, (0, 2)), torch.nn.functional.pad(MARKS, (0, 2), value=127)
    intervention({"input_ids": longer[0], "labels": labels}, longer[1])
    if restored:
        state, intervention = intervention.state_dict(), Intervention(place="random", padding_token=0)
        intervention.load_state_dict(state)
    for _ in range(5):
        changed = intervention({"input_ids": TOKENS, "labels": labels}, MARKS).sample
        assert not torch.equal(changed["input_ids"], TOKENS)
        assert changed["labels"] is labels


def test_what_is_always_laid_out_like_the_tokens_moves():
    intervention = Intervention(0.0, padding_token=0)
    for length in (3, 4):
        tokens, marks = TOKENS[:, :length], MARKS[:, :length]
        changed = intervention({"input_ids": tokens, "labels": 10 * tokens}, marks).sample
        assert torch.equal(changed["labels"], (10 * changed["input_ids"]).masked_fill(changed["input_ids"] == 0, -100))
