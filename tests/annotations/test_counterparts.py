"""Terms and their counterparts in texts."""

import pytest

from salreg.annotations import Counterparts

PEOPLE = Counterparts({
    "gender": {"female": ["she", "her", "her", "women", "lady"], "male": ["he", "his", "him", "men", "gentleman"]},
    "identity": ["transgender people", "cisgender people"],
    "names": {"a": ["Jamal"], "b": ["Greg"]},
    "size": ["fox", "dog", "pony"],
})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "axis", "one", "other", "expected"),
    [
        ("She lost HER way. Women did.", "gender", "female", "male", "He lost HIS way. Men did."),
        ("he met her", "gender", "male", "female", "she met his"),  # both sides change places
        ("Transgender  people sang", "identity", "transgender people", "cisgender people", "Cisgender people sang"),
        ("Jamal's film, by JAMAL", "names", "a", "b", "Greg's film, by GREG"),
        ("Foxes, ponies and the pony’s dogs", "size", "fox", "pony", "Ponies, foxes and the fox’s dogs"),
        ("ladies' day", "gender", "female", "male", "gentlemans' day"),  # irregular forms are terms of their own
        ("a shed, a herd, other", "gender", "female", "male", "a shed, a herd, other"),
        ("nothing here", "size", "fox", "dog", "nothing here"),
    ],
)
def test_terms_change_places_with_their_form_and_case(text, axis, one, other, expected):
    assert PEOPLE.exchanged(text, axis, one, other) == expected


def test_exchanging_twice_gives_the_text_back_where_no_term_is_ambiguous():
    text = "Foxes met a PONY; the dog slept."
    assert PEOPLE.exchanged(PEOPLE.exchanged(text, "size", "fox", "pony"), "size", "fox", "pony") == text


def test_a_text_has_one_counterpart_for_each_other_group():
    found = list(PEOPLE.counterparts("The fox and the dog", "size"))
    assert [(one, other) for one, other, _ in found] == [("fox", "dog"), ("dog", "fox"), ("fox", "pony"), ("dog", "pony")]
    assert found[2][2] == "The pony and the dog"


def test_terms_are_taken_out_with_their_spaces():
    assert PEOPLE.removed("Ask the women, he said", "gender", "female") == "Ask the, he said"
    assert PEOPLE.removed("the women , he said", "gender", "female") == "the , he said"  # a text in tokens
    assert PEOPLE.removed("Women sang", "gender", "female") == "sang"
    assert PEOPLE.removed("two  spaces stay", "gender", "female") == "two  spaces stay"


def test_whole_words_only_leaves_forms_alone():
    assert Counterparts({"size": ["fox", "dog"]}, match="word").exchanged("foxes, fox", "size", "fox", "dog") == "foxes, dog"


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ({}, ValueError, "needs at least one axis"),
        ({"a": ["x"]}, ValueError, "has 1 group"),
        ({"a": "he she"}, TypeError, "not the text"),
        ({"a": {"b": "he", "c": ["she"]}}, TypeError, "write \\['he'\\]"),
        ({"a": {"b": ["he", "him"], "c": ["she"]}}, ValueError, "b 2, c 1"),
        ({"a": {"b": ["he"], "c": ["He"]}}, ValueError, "in two groups"),
        ({"a": {"b": [" "], "c": ["x"]}}, ValueError, "empty"),
    ],
)
def test_a_lexicon_that_says_nothing_or_two_things_is_refused(axes, error, message):
    with pytest.raises(error, match=message):
        Counterparts(axes)


def test_an_unknown_axis_or_group_is_named():
    with pytest.raises(ValueError, match="did you mean 'gender'"):
        PEOPLE.mentions("she", "gendre")
    with pytest.raises(ValueError, match="did you mean 'male'"):
        PEOPLE.exchanged("she", "gender", "female", "mal")
