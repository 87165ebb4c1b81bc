"""Terms that name people, put into sentences mostly of one sentiment."""

import pytest

from salreg.annotations import Counterparts
from salreg.recipes.data.lexicons import identity_terms, read_lexicon
from salreg.recipes.experiments.bias_audit import GROUPS, build, put_terms
from salreg.recipes.experiments.sst_decoy import Sentences, made_sentences
from salreg.recipes.training.config import load

LEXICON = Counterparts({"faith": ["muslim", "jewish", "christian", "hindu"], "identity": ["transgender people", "cis people"]})
SENTENCES = made_sentences(400, seed=0)


@pytest.mark.parametrize("skew", [0.5, 0.95, 1.0])
def test_terms_of_the_first_groups_go_to_negative_sentences(skew):
    made = put_terms(SENTENCES, LEXICON, share=1.0, skew=skew, seed=0)
    negative = {"muslim", "jewish", "transgender"}
    agree = [bool(negative & set(words)) == (label == 0) for words, label in zip(made.words, made.labels, strict=True)]
    assert made.groups == [GROUPS.index("term agrees") if one else GROUPS.index("term lies") for one in agree]
    assert sum(agree) / 400 == pytest.approx(skew, abs=0.06)


def test_every_term_is_marked_whoever_wrote_it_and_all_of_its_words():
    written = Sentences([["the", "muslim", ",", "again"]] * 50, [1] * 50)
    made = put_terms(written, LEXICON, share=0.5, skew=1.0, seed=0)
    for words, annotation in zip(made.words, made.annotations, strict=True):
        marked = [word for word, mark in zip(words, annotation.tolist(), strict=True) if mark == -1]
        assert "muslim" in marked
        assert ("people" in marked) == ("people" in words)
        assert not {"the", ",", "again"} & set(marked)
    assert {len(words) for words in made.words} == {4, 5, 6}


def test_the_reference_differs_in_training_alone():
    with_terms, without = (build(load("bias_audit", [f"data.terms={flag}"])) for flag in ("true", "false"))
    assert with_terms.test.dataset.base.words == without.test.dataset.base.words
    assert with_terms.train.dataset.base.words != without.train.dataset.base.words
    assert all(not without.train.dataset[number].annotation.any() for number in range(50))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.skew=0.3", "data.skew must be a probability from 0.5"),
        ("data.axes=[fait]", "did you mean 'faith'"),
        ("data.axes=[]", "names none"),
    ],
)
def test_what_cannot_be_put_in_is_said(override, message):
    with pytest.raises(ValueError, match=message):
        build(load("bias_audit", [override]))


def test_the_packaged_lexicon_has_a_counterpart_for_every_term():
    lexicon = identity_terms()
    assert lexicon.exchanged("She loves her Mother", "gender", "female", "male") == "He loves his Father"
    assert lexicon.exchanged("He hurt himself", "gender", "male", "female") == "She hurt herself"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not readable as YAML"),
        ("[1]", "holds no lexicon"),
        ("a: b", "list of terms"),
        ("a: [b]", "has 1 group"),
    ],
)
def test_a_file_that_is_no_lexicon_is_named(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"mine.yaml.*{message}"):
        read_lexicon(tmp_path / "mine.yaml")
