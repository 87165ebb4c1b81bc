"""ERASER's film reviews and their rationales."""

import json

import pytest
import torch

from salreg.recipes.experiments.movies import build, keep_rationales, made_reviews, read
from salreg.recipes.training.config import load


def write(root, *records, words="a truly great film ."):
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs" / "posR_000.txt").write_text(words)
    (root / "train.jsonl").write_text("\n".join(json.dumps(record) for record in records))


def record(*spans, name="posR_000.txt", classification="POS"):
    evidences = [[{"start_token": start, "end_token": end, "docid": name}] for start, end in spans]
    return {"annotation_id": name, "classification": classification, "evidences": evidences}


def test_rationales_are_marked_relevant(tmp_path):
    write(tmp_path, record((1, 3), (4, 4)), record())
    reviews = read(tmp_path, "train.jsonl", longest=100)
    assert reviews.words[0] == ["a", "truly", "great", "film", "."]
    assert reviews.labels == [1, 1]
    assert reviews.annotations[0].tolist() == [0, 1, 1, 0, 0]  # the empty span is none
    assert reviews.annotations[1] is None


def test_what_is_behind_the_longest_is_cut_off_with_its_marks(tmp_path):
    write(tmp_path, record((1, 3)))
    reviews = read(tmp_path, "train.jsonl", longest=2)
    assert reviews.words[0] == ["a", "truly"]
    assert reviews.annotations[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (record((3, 9)), r"line 1: The span \(3, 9\) does not lie in a text of 5 tokens"),
        (record(name="../secret.txt"), r"line 1: the document '../secret.txt' is not below"),
        (record(name="posR_001.txt"), r"line 1: there is no document"),
        (record(classification="MIXED"), r"line 1: 'MIXED'"),
        ({"annotation_id": "posR_000.txt"}, r"line 1: 'evidences'"),
        ([], r"line 1: "),
    ],
)
def test_a_wrong_line_is_named(tmp_path, wrong, message):
    (tmp_path / "secret.txt").write_text("x")
    write(tmp_path, wrong)
    with pytest.raises(ValueError, match=message):
        read(tmp_path, "train.jsonl", longest=100)


def test_missing_files_say_where_to_point():
    with pytest.raises(ValueError, match=r"share in \[0, 1\], not 2"):
        build(load("movies", ["data.rationales=2"]))
    with pytest.raises(FileNotFoundError, match="Point data.root at the unpacked movies.tar.gz"):
        build(load("movies", ["data.root=nowhere"]))


def test_a_share_of_the_rationales_is_kept_and_always_the_same():
    reviews = made_reviews(100, seed=0)
    kept = [i for i, one in enumerate(keep_rationales(reviews, 0.1).annotations) if one is not None]
    assert len(kept) == 10
    assert kept == [i for i, one in enumerate(keep_rationales(reviews, 0.1).annotations) if one is not None]
    assert keep_rationales(reviews, 1).annotations == reviews.annotations


@pytest.mark.parametrize("network", ["attention", "transformer"])
def test_padding_does_not_change_the_logits(network):
    module = build(load("movies", [f"model={network}"])).module.eval()
    tokens = torch.randint(1, 50, (2, 30))
    padded = torch.nn.functional.pad(tokens, (0, 7))
    assert torch.allclose(module(tokens), module(padded), atol=1e-5)
