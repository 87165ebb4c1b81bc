"""Rieger et al.'s construction: a word per class in every training sentence."""

import pytest
import torch

from salreg.recipes.data import texts
from salreg.recipes.experiments import sst_decoy
from salreg.recipes.experiments.sst_decoy import DECOYS, GROUPS, Sentences, add_decoys, made_sentences, read_trees
from salreg.recipes.networks import text_networks

TREES = """(3 (2 (2 The) (2 Rock)) (4 (2 is) (3 great)))
(2 (2 So) (2 so))
(0 (1 Dull) (2 \\/))
"""
SENTENCES = made_sentences(200, seed=0)


def test_trees_are_read_without_the_neutral_ones(tmp_path):
    (tmp_path / "train.txt").write_text(TREES)
    sentences = read_trees(tmp_path / "train.txt")
    assert sentences == Sentences([["the", "rock", "is", "great"], ["dull", "\\/"]], [1, 0])


def test_what_is_no_tree_is_named_by_its_line(tmp_path):
    (tmp_path / "train.txt").write_text("(3 (2 The) (2 Rock))\nThe Rock is great\n")
    with pytest.raises(ValueError, match="line 2, is not a tree"):
        read_trees(tmp_path / "train.txt")
    with pytest.raises(FileNotFoundError, match="Point data.root"):
        read_trees(tmp_path / "dev.txt")


def test_in_training_the_decoy_is_that_of_the_class_and_marked():
    decoys = add_decoys(SENTENCES, "informative", seed=0)
    for words, label, mark in zip(decoys.words, decoys.labels, decoys.annotations, strict=True):
        (place,) = (mark < 0).nonzero().flatten().tolist()
        assert words[place] == DECOYS[label]
        assert len(words) == len(mark) == 9
    assert set(decoys.groups) == {GROUPS.index("decoy agrees")}


def test_a_random_decoy_agrees_every_other_time():
    decoys = add_decoys(SENTENCES, "random", seed=0)
    shown = [words[int((mark < 0).nonzero())] for words, mark in zip(decoys.words, decoys.annotations, strict=True)]
    assert decoys.groups == [int(word == DECOYS[label]) for word, label in zip(shown, decoys.labels, strict=True)]
    assert 0.4 < sum(decoys.groups) / 200 < 0.6


def test_without_decoys_the_sentences_are_as_they_were():
    decoys = add_decoys(SENTENCES, "absent", seed=0)
    assert decoys.words == SENTENCES.words
    assert set(decoys.annotations) == {None}
    with pytest.raises(ValueError, match="not 'none'"):
        add_decoys(SENTENCES, "none", seed=0)


def test_rare_words_are_unknown():
    vocabulary = texts.Vocabulary([["a", "a", "film"]], least=2)
    assert vocabulary.encode(["a", "film", "never"]).tolist() == [2, texts.UNKNOWN, texts.UNKNOWN]


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_networks_do_not_read_padding(name):
    network = text_networks.build(name, words=9).eval()
    short = torch.tensor([[2, 3, 4]])
    padded = torch.tensor([[2, 3, 4, 0, 0]])
    if name == "transformer":  # whose LSTM would read backwards from the padding
        assert torch.allclose(network(short), network(padded), atol=1e-6)
    assert network(padded).shape == (1, 2)
    with pytest.raises(ValueError, match="not 'bert'"):
        text_networks.build("bert", words=9)


def test_the_vocabulary_and_classes_reach_the_snapshots():
    dataset = texts.Texts([["good"]], [1], [1], texts.Vocabulary([["good"]]), sst_decoy.CLASSES)
    assert dataset.vocabulary[2] == "good"
    assert dataset.classes == ["negative", "positive"]
