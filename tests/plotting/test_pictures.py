import numpy as np
import pytest
import torch
from support import history

from salreg.annotations import NO_PLACE
from salreg.history import Frame
from salreg.plotting import comparison, film_strip, overlay
from salreg.plotting.bars import draw_bars
from salreg.plotting.colours import RELEVANT_COLOUR, SPURIOUS_COLOUR
from salreg.plotting.film_strip import MAX_COLUMNS
from salreg.plotting.sentences import MOST_TOKENS, foremost, sentences
from salreg.plotting.signal import draw_signal
from salreg.plotting.tokens import draw_tokens, tokens_html


def has_colour(picture, colour):
    return (np.abs(picture.astype(int) - np.round(np.array(colour) * 255)).max(-1) <= 1).any()


def corner(value):
    annotation = torch.zeros(1, 8, 8)
    annotation[:, :3, :3] = value
    return annotation


@pytest.mark.parametrize(("value", "colour"), [(-1, SPURIOUS_COLOUR), (1, RELEVANT_COLOUR)])
def test_marked_regions_are_outlined_in_their_colour(value, colour):
    plain = overlay(torch.rand(1, 8, 8), torch.rand(8, 8), corner(0), limit=1.0)
    marked = overlay(torch.rand(1, 8, 8), torch.rand(8, 8), corner(value), limit=1.0)
    assert not has_colour(plain, colour)
    assert has_colour(marked, colour)
    assert marked.dtype == np.uint8


def test_the_heat_map_is_brightest_where_saliency_is_highest():
    saliency = torch.zeros(8, 8)
    saliency[7, 7] = 1.0
    picture = overlay(torch.zeros(1, 8, 8), saliency, corner(0), limit=1.0)
    heat = picture[:, -picture.shape[0] :].astype(int).sum(-1)
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert y >= heat.shape[0] * 7 / 8
    assert x >= heat.shape[1] * 7 / 8


@pytest.mark.parametrize(
    ("image", "saliency", "annotation"),
    [
        (torch.rand(3, 8, 8), torch.rand(4, 4), corner(-1)),
        (torch.rand(5, 500, 300), torch.rand(500, 300), torch.zeros(1, 500, 300)),
        (torch.rand(6), torch.rand(6), torch.tensor([-1.0, 0, 0, 0, 0, 1])),
        (torch.rand(400), torch.rand(400), torch.zeros(400)),
        (torch.arange(6), torch.rand(6), torch.tensor([-1, 0, 0, 1, 0, 127])),
        (torch.zeros(3, dtype=torch.long), torch.full((3,), float("nan")), torch.full((3,), 127)),
        (torch.full((1, 8, 8), float("nan")), torch.full((8, 8), float("nan")), corner(-1)),
        (torch.zeros(1, 8, 8), torch.zeros(8, 8), corner(-1)),
    ],
    ids=["coarse map", "large, five channels", "table", "wide table", "text", "empty text", "NaN", "nothing at all"],
)
def test_all_kinds_of_samples_can_be_drawn(image, saliency, annotation):
    picture = overlay(image, saliency, annotation, limit=float(saliency.max()))
    assert picture.ndim == 3
    assert max(picture.shape) < 2000


def frames(count, samples=2):
    return [
        Frame(index, [torch.full((8, 8), float(index + 1))] * samples, ["cat"] * samples, [0.01] * samples)
        for index in range(count)
    ]


def test_a_film_strip_grows_by_a_column_per_epoch_up_to_its_limit():
    def width(count):
        return film_strip([torch.rand(1, 8, 8)] * 2, [corner(-1)] * 2, ["cat", "$dog_"], frames(count)).shape[1]

    assert width(1) < width(2) < width(MAX_COLUMNS)
    assert width(MAX_COLUMNS) == width(50)


def strip_of(*maps, label=""):
    """A film strip of one dark image."""
    epochs = [Frame(epoch, [saliency], ["cat"], [0.0]) for epoch, saliency in enumerate(maps)]
    return film_strip([torch.zeros(1, 8, 8)], [corner(0)], [label], epochs)


def brightness(strip, epoch):
    """Of an epoch's cell; labels are empty."""
    left = 24 + (epoch + 1) * (88 + 6)
    return strip[60:110, left + 10 : left + 70].mean()


def test_a_map_is_as_bright_beside_a_loud_untrained_epoch_as_beside_a_quiet_one():
    loud, quiet = torch.full((8, 8), 1000.0), torch.full((8, 8), 0.5)
    assert brightness(strip_of(loud, quiet, quiet), 1) == brightness(strip_of(quiet, quiet, quiet), 1) > 150


def test_a_nearly_silent_map_is_dark():
    noise, strong = torch.full((8, 8), 1e-3), torch.ones(8, 8)
    assert brightness(strip_of(strong, strong, noise), 2) < brightness(strip_of(strong, strong, noise), 1) - 100


def test_long_labels_have_room():
    label = "not arrested again within two years"
    short, long = strip_of(torch.ones(8, 8), label="no"), strip_of(torch.ones(8, 8), label=label)
    assert long.shape[1] > short.shape[1] + 50
    assert (long[46:130, :4] == 255).all()  # nothing is cut on the left


def test_long_predictions_are_wrapped_below_their_maps():
    def height(prediction):
        frame = Frame(1, [torch.ones(8, 8)], [prediction], [0.5])
        return film_strip([torch.rand(1, 8, 8)], [corner(0)], ["cat"], [frame]).shape[0]

    assert height("not arrested again within two years") > height("cat")


def test_runs_are_compared_side_by_side_on_one_scale():
    runs = {"plain": history(5, seed=0), "regularised": history(5, seed=1)}
    one, both = (comparison(some, "input_gradient") for some in ({"plain": runs["plain"]}, runs))
    assert both.shape == (one.shape[0], 2 * one.shape[1], 3)
    for frame in runs["regularised"].frames["input_gradient"]:
        frame.saliency = [saliency / 1000 for saliency in frame.saliency]
    dark = comparison(runs, "input_gradient")
    assert dark[:, one.shape[1] :].mean() < both[:, one.shape[1] :].mean() - 5


def words(saliency, annotation=(0, 0), limit=1.0):
    return draw_tokens(["good", "film"], torch.tensor(saliency), torch.tensor(annotation), limit, width=100)


def test_the_most_salient_word_has_the_darkest_ground():
    left, right = (words([1.0, 0.1])[:, side].mean() for side in (slice(0, 30), slice(40, 60)))
    assert left < right - 30


@pytest.mark.parametrize(("value", "colour"), [(-1, SPURIOUS_COLOUR), (1, RELEVANT_COLOUR)])
def test_marked_words_are_underlined(value, colour):
    assert has_colour(words([0.0, 0.0], (value, 0)), colour)
    assert not has_colour(words([0.0, 0.0]), colour)


def test_padding_is_not_drawn():
    assert np.array_equal(words([0.5, 0.5], (0, 127)), draw_tokens(["good"], torch.tensor([0.5]), torch.zeros(1), 1.0, 100))


def test_words_are_wrapped_and_of_a_long_text_some_sentences_are_drawn():
    one, many = (draw_tokens(["word"] * size, torch.ones(size), torch.zeros(size), 1.0, width=100) for size in (1, 1000))
    assert len(draw_tokens(["word"] * 30, torch.ones(30), torch.zeros(30), 1.0, width=100)) > len(one)
    whole = draw_tokens(["word"] * MOST_TOKENS, torch.ones(MOST_TOKENS), torch.zeros(MOST_TOKENS), 1.0, width=100)
    assert len(many) < len(whole)


def long_text():
    """A hundred sentences of four words, of which the 90th is marked, the 50th most salient, and the last padding."""
    words, annotation, saliency = ["it", "was", "fine", "."] * 100, torch.zeros(400), torch.zeros(400)
    annotation[358] = -1
    annotation[396:] = NO_PLACE
    saliency[201] = 1.0
    return words, annotation, saliency


def test_of_a_long_text_marked_and_salient_sentences_come_first_and_the_rest_is_a_gap():
    words, annotation, saliency = long_text()
    shown = foremost(words, annotation, [saliency])
    assert len(shown) == 100
    assert set(range(356, 360)) | set(range(200, 204)) <= set(shown)
    assert not set(shown) & set(range(396, 400))
    assert foremost(words[:200], annotation[:200], []) == list(range(200))
    page = tokens_html(words, saliency, annotation, 1.0)
    assert page.count("…") == 3  # behind the beginning, the salient and the marked sentence
    assert page.count("border-bottom") == len(shown)


def test_sentences_without_full_stops_are_cut():
    assert [len(one) for one in sentences(["word"] * 100, range(100))] == [40, 40, 20]


def test_a_map_without_a_number_puts_no_sentence_first():
    words, annotation, saliency = long_text()
    assert foremost(words, annotation, [saliency * float("nan")]) == foremost(words, annotation, [])


def test_words_in_html_are_words():
    page = tokens_html(["<script>", "film"], torch.tensor([1.0, 0.0]), torch.tensor([-1, 0]), 1.0)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_bars_are_as_long_as_the_saliency():
    drawn = draw_bars(["race", "age"], torch.zeros(2), torch.tensor([1.0, 0.5]), torch.tensor([-1.0, 0]), 1.0, width=100)
    blue = (np.abs(drawn.astype(int) - np.round(np.array(SPURIOUS_COLOUR) * 255)).max(-1) <= 1).any(0)
    grey = (np.abs(drawn.astype(int) - 140).max(-1) <= 1)[14:].any(0)
    assert blue.sum() == pytest.approx(2 * grey.sum(), abs=3)


def test_rows_of_texts_of_different_lengths_have_their_own_height():
    ids = [torch.arange(3), torch.arange(60)]
    frame = Frame(0, [torch.rand(3), torch.rand(60)], ["", ""], [0.0, 0.0])
    strip = film_strip(ids, [torch.zeros(3), torch.zeros(60)], ["short", "long"], [frame], names=[["word"] * 3, ["word"] * 60])
    assert strip.shape[0] > 18 * (60 * 35 // 168)


def test_a_signal_is_a_curve_on_the_colours_of_its_saliency():
    signal, saliency, marks = torch.sin(torch.arange(600.0) / 20)[None], torch.zeros(600), torch.zeros(600)
    saliency[300:], marks[:150] = 1.0, -1
    drawn = draw_signal(signal, saliency, marks, 1.0, 120, 40)
    dark = (drawn < 60).all(-1)
    assert dark[2:-2].any(0).all()  # the curve is everywhere
    left, right = (drawn[20][columns][~dark[20][columns]] for columns in (slice(0, 60), slice(60, 120)))
    assert left.mean() > 230 > right.mean()
    spurious = (drawn[0] == (np.array(SPURIOUS_COLOUR) * 255).round().astype(np.uint8)).all(-1)
    assert spurious[:30].all()
    assert not spurious[30:].any()
    assert draw_signal(signal[:, :7], None, marks[:7], 1.0, 20, 16).shape == (16, 20, 3)
