"""The annotated tensor of a batch."""

import pytest
import torch

from salreg.interventions.inputs import annotated_input, embedded_choices

TOKENS, SERIES, MARKS = torch.randint(5, 90, (2, 6)), torch.rand(2, 6, 3), torch.zeros(2, 6)


def test_the_only_tensor_that_an_annotation_fits_has_no_others_beside_it():
    images = torch.rand(2, 3, 4, 4)
    found = annotated_input((images, torch.tensor([0, 1])), torch.zeros(2, 1, 4, 4))
    assert found.tensor is images
    assert (found.kind, found.others) == ("grid", 0)


def test_of_two_images_the_second_is_counted():
    images = torch.rand(2, 3, 4, 4)
    assert annotated_input((images, images + 1), torch.zeros(2, 1, 4, 4)).others == 1


def test_token_numbers_under_their_key_are_the_input_whatever_else_is_laid_out_like_them():
    found = annotated_input({"features": SERIES, "input_ids": TOKENS}, MARKS)
    assert found.tensor is TOKENS
    assert (found.kind, found.others) == ("tokens", 0)


def test_beside_token_numbers_without_a_key_a_series_may_be_the_input_too():
    found = annotated_input((TOKENS, SERIES), MARKS)
    assert found.tensor is TOKENS
    assert (found.kind, found.others) == ("tokens", 1)
    assert annotated_input({"words": TOKENS, "features": SERIES}, MARKS).others == 1


def test_scalars_in_a_batch_are_passed_over():
    with pytest.raises(ValueError, match=r"fit no input of the batch, which has \(\) float32, \(2, 3\) float32"):
        annotated_input([torch.tensor(1.0), torch.rand(2, 3)], torch.zeros(2, 1, 4, 4))


def test_embedded_choices_are_those_that_the_annotations_fit():
    choices = torch.rand(2, 3, 5, 8)
    assert embedded_choices({"inputs_embeds": choices}, torch.zeros(2, 3, 5)) is choices
    assert embedded_choices({"inputs_embeds": choices}, torch.zeros(2, 3, 7)) is None
    assert embedded_choices({"inputs_embeds": choices}, torch.zeros(2, 3, 4)) is None
