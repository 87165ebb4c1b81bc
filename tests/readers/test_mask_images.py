"""Masks as the image files that people have: the same tenth of the pixels each time."""

import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from salreg.readers import FileAnnotations, SkippedAnnotations, read_masks

MASK = np.zeros((80, 100), np.uint8)
MASK[20:40, 30:70] = 1
RIM = np.zeros_like(MASK)
RIM[18:42, 28:72] = 1
RIM -= MASK


def palette(colours, indices):
    image = Image.fromarray(indices.astype(np.uint8), "L")
    image.putpalette([part for colour in colours for part in colour], "RGB")
    return image


def grey(values, dtype=np.uint8):
    return Image.fromarray(np.asarray(values).astype(dtype))


def coloured(colour):
    return Image.fromarray((MASK[..., None] * np.array(colour)).astype(np.uint8))


VOC = [(number, 255 - number, 0) for number in range(256)]
SAME = {
    "0 and 1": lambda: grey(MASK),
    "0 and 255": lambda: grey(255 * MASK),
    "one bit": lambda: grey(255 * MASK).convert("1"),
    "16 bits, 255": lambda: grey(255 * MASK.astype(int), np.uint16),
    "16 bits, 65535": lambda: grey(65535 * MASK.astype(int), np.uint16),
    "16 bits, label 300": lambda: grey(300 * MASK.astype(int), np.uint16),
    "white": lambda: coloured((255, 255, 255)),
    "red": lambda: coloured((255, 0, 0)),
    "blue": lambda: coloured((0, 0, 255)),
    "grey and opaque": lambda: Image.merge("LA", [grey(255 * MASK), grey(np.full_like(MASK, 255))]),
    "white and opaque": lambda: coloured((255, 255, 255)).convert("RGBA"),
    "white, transparent outside": lambda: Image.merge("RGBA", [*[grey(np.full_like(MASK, 255))] * 3, grey(255 * MASK)]),
    "black, transparent outside": lambda: Image.merge("RGBA", [*[grey(0 * MASK)] * 3, grey(255 * MASK)]),
    "palette": lambda: palette([(0, 0, 0), (255, 255, 255)], MASK),
    "palette, white first": lambda: palette([(255, 255, 255), (0, 0, 0)], 1 - MASK),
    "palette, red first": lambda: palette([(255, 0, 0), (0, 0, 0)], 1 - MASK),
    "palette, far apart": lambda: palette([(0, 0, 0)] * 7 + [(255, 255, 255)], 7 * MASK),
    "class 1 with a border": lambda: palette(VOC, MASK + 255 * RIM),
    "class 15 with a border": lambda: grey(15 * MASK + 255 * RIM),
}


@pytest.mark.parametrize("kind", SAME)
@pytest.mark.parametrize("suffix", ["png", "PNG", "tif"])
def test_the_same_mask_is_read_whatever_kind_of_picture_it_is(tmp_path, kind, suffix):
    SAME[kind]().save(tmp_path / f"img.{suffix}", format="TIFF" if suffix == "tif" else "PNG")
    drawn = read_masks(spurious=tmp_path)["img"].draw((80, 100))
    assert torch.equal(drawn[0], -torch.from_numpy(MASK).to(torch.int8))


@pytest.mark.parametrize("name", ["img.jpg", "img.png"])
def test_a_jpeg_is_split_at_the_middle_grey_whatever_its_name(tmp_path, name):
    grey(255 * MASK).save(tmp_path / name, format="JPEG", quality=60)
    regions = read_masks(spurious=tmp_path)
    with pytest.warns(UserWarning, match="split at middle grey"):
        drawn = regions["img"].draw((80, 100))
    assert (drawn[0].numpy() == -MASK.astype(np.int8)).mean() > 0.999


def test_soft_edges_are_split_and_photos_are_refused(tmp_path):
    half = grey(255 * MASK).resize((50, 40), Image.Resampling.BICUBIC)
    half.resize((100, 80), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match="split at middle grey"):
        drawn = read_masks(spurious=tmp_path)["a"].draw((80, 100))
    assert (drawn[0].numpy() == -MASK.astype(np.int8)).mean() > 0.99
    grey(np.random.default_rng(0).integers(0, 256, (80, 100))).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a.png is unclear: it has the value 1 and 254 more"):
        read_masks(spurious=tmp_path)["a"].draw((80, 100))


def test_several_classes_are_refused_until_categories_say_which(tmp_path):
    other = np.zeros_like(MASK)
    other[:5] = 1
    for name, image in (("grey", grey(3 * MASK + 7 * other)), ("palette", palette(VOC, 3 * MASK + 7 * other))):
        image.save(tmp_path / f"{name}.png")
        with pytest.raises(ValueError, match=r"has the value 3 and 1 more; .* categories=\{'7': 'spurious'\}"):
            read_masks(spurious=tmp_path)[name].draw((80, 100))
        both = read_masks(spurious=tmp_path, categories={"3": "spurious", "7": "relevant"})[name].draw((80, 100))
        assert torch.equal(both[0], torch.from_numpy(other.astype(np.int8) - MASK.astype(np.int8)))
    colours = coloured((255, 0, 0))
    colours.paste((0, 255, 0), (0, 0, 100, 5))
    colours.save(tmp_path / "colours.png")
    assert int(read_masks(spurious=tmp_path, categories={"#FF0000": "spurious"})["colours"].draw((80, 100)).sum()) == -800
    with pytest.raises(ValueError, match="values like 15, ranges like 128-255 or colours like #ff0000, not 'ruler'"):
        read_masks(spurious=tmp_path, categories={"ruler": "spurious"})


def test_a_mask_that_cannot_be_read_is_named_and_says_nothing_of_its_image(tmp_path):
    for name in ("a", "b"):
        grey(255 * MASK).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    annotations = FileAnnotations(["a.jpg", "b.jpg"], read_masks(spurious=tmp_path))
    image = torch.zeros(3, 80, 100)
    assert int(annotations(0, image).sum()) == -800
    with pytest.warns(SkippedAnnotations, match=r"1 skipped, unreadable: .*b.png cannot be read"):
        assert annotations(1, image) is None
    with pytest.raises(ValueError, match=r"b.png cannot be read"):
        read_masks(spurious=tmp_path, strict=True)["b"].draw((80, 100))


def test_a_mask_of_another_size_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    grey(255 * MASK).save(tmp_path / "a.png")
    annotations = FileAnnotations(["a.jpg"], read_masks(spurious=tmp_path))
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(ValueError, match=r"of size \(H, W\) = \(80, 100\), its image of \(40, 50\)"):
        annotations(0, torch.zeros(3, 40, 50))


def test_a_png_of_a_thousand_million_pixels_is_refused_without_being_decoded(tmp_path):
    grey(255 * MASK).save(tmp_path / "a.png")
    raw = bytearray((tmp_path / "a.png").read_bytes())
    raw[16:24] = (40_000).to_bytes(4, "big") + (30_000).to_bytes(4, "big")
    raw[29:33] = zlib.crc32(bytes(raw[12:29])).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(bytes(raw))
    with pytest.raises(ValueError, match="30000 x 40000 pixels are too many"):
        read_masks(spurious=tmp_path)["a"].draw((80, 100))


def test_masks_of_both_kinds_of_one_name_are_not_merged(tmp_path):
    grey(255 * MASK).save(tmp_path / "a.png")
    grey(0 * MASK).save(tmp_path / "a.bmp")
    annotations = FileAnnotations(["a.png", "a.bmp"], read_masks(spurious=tmp_path))
    image = torch.zeros(3, 80, 100)
    assert [bool(annotations(index, image).any()) for index in (0, 1)] == [True, False]


def test_an_export_of_label_studio_that_has_no_names_is_said(tmp_path):
    grey(255 * MASK).save(tmp_path / "task-1-annotation-2-by-3-tag-ruler-0.png")
    with pytest.warns(SkippedAnnotations, match="export JSON instead"):
        regions = read_masks(spurious=tmp_path)
    with pytest.raises(ValueError, match="The annotations list no image.*export JSON instead"):
        FileAnnotations(["img.png"], regions)


def test_a_file_of_several_pictures_is_refused(tmp_path):
    grey(255 * MASK).save(tmp_path / "a.tif", save_all=True, append_images=[grey(0 * MASK)])
    with pytest.raises(ValueError, match=r"a.tif cannot be read: it holds several pictures"):
        read_masks(spurious=tmp_path)["a"].draw((80, 100))


def test_levels_of_agreement_are_a_range_of_values(tmp_path):
    levels = np.zeros_like(MASK)
    for number in range(5):  # as CUB's segmentations by five people
        levels[10 + 3 * number : 60, 10:90] = 51 * (number + 1)
    grey(levels).save(tmp_path / "a.png")
    drawn = read_masks(spurious=tmp_path, categories={"128-255": "spurious"})["a"].draw(MASK.shape)
    assert np.array_equal(drawn[0] < 0, levels >= 128)
    with pytest.raises(ValueError, match="ranges like 128-255"):
        read_masks(spurious=tmp_path, categories={"128-": "spurious"})


@pytest.mark.parametrize("wanted", ["255", "128-255"])
def test_white_of_a_mask_with_soft_edges_is_still_white(tmp_path, wanted):
    Image.fromarray(255 * MASK).resize((400, 320), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match="split at middle grey"):
        drawn = read_masks(spurious=tmp_path, categories={wanted: "spurious"})["a"].draw((320, 400))
    assert int(-drawn.sum()) == pytest.approx(16 * MASK.sum(), rel=0.02)
