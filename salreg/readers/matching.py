"""Which regions belong to which image: the same name, or else the weakest difference of names that is unique."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from salreg.readers.names import composed, core, is_rooted, normal, stem


class Matches(NamedTuple):
    """What was found.

    Attributes:
        regions: The number of each image's regions; None where it has none.
        differences: How many names differ, by what.
        examples: A pair (image, regions) of each difference.
        ambiguous: Names that fit several others, in words.
    """

    regions: list[int | None]
    differences: Counter[str]
    examples: dict[str, tuple[str, str]]
    ambiguous: list[str]


_LEVELS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", lambda name: name),
    ("the suffix", stem),
    ("percent signs or the way of writing accents", lambda name: composed(stem(name))),
    ("upper and lower case", lambda name: composed(stem(name)).casefold()),
    ("what a tool added", lambda name: core(composed(name)).casefold()),
)


def match(images: Sequence[str], regions: Sequence[str]) -> Matches:
    """Match names of images and of regions, of which each belongs to one other at most.

    Example:
        >>> found = match(["moles/IMG_3.jpg", "moles/4.jpg"], ["img_3", "moles/4.jpg"])
        >>> found.regions, dict(found.differences)
        ([0, 1], {'the folder, upper and lower case': 1})
    """
    found: list[int | None] = [None] * len(images)
    left = [dict(enumerate(map(normal, names))) for names in (images, regions)]
    result = Matches(found, Counter(), {}, [])
    for pairs_of, where, what, key in (
        *((pairs_of, where, *level) for level in _LEVELS for pairs_of, where in ((_equal, ""), (_ends_of, "the folder"))),
        *((_last, "the folders", *level) for level in _LEVELS),
    ):
        here, there = ({number: key(name) for number, name in names.items()} for names in left)
        if pairs_of is _last:  # only where the folders are those of another machine
            there = {number: name for number, name in there.items() if is_rooted(regions[number])}
        pairs = pairs_of(here, there)
        of_image, of_region = (Counter(pair[side] for pair in pairs) for side in (0, 1))
        certain = [(image, region) for image, region in pairs if of_image[image] == of_region[region] == 1]
        for image, region in certain:
            found[image] = region
            bare = what == "the suffix" and stem(regions[region]) == regions[region]  # no suffix is none that differs
            difference = ", ".join(part for part in (where, "" if bare else what) if part)
            if difference:
                result.differences[difference] += 1
                result.examples.setdefault(difference, (images[image], regions[region]))
        if pairs_of is not _last:
            _say_ambiguous(result, pairs, of_image, of_region, images, regions)
        for image, region in certain if pairs_of is _last else pairs:
            left[0].pop(image, None)
            left[1].pop(region, None)
    return result


def _say_ambiguous(
    result: Matches,
    pairs: list[tuple[int, int]],
    of_image: Counter[int],
    of_region: Counter[int],
    images: Sequence[str],
    regions: Sequence[str],
) -> None:
    several: dict[int, list[str]] = {}
    for image, region in pairs:
        if of_region[region] > 1:
            several.setdefault(region, []).append(images[image])
    for region, fitting in several.items():
        result.ambiguous.append(f"the annotations of {regions[region]!r} fit the images {_listed(fitting)}")
    several = {}
    for image, region in pairs:
        if of_image[image] > 1:
            several.setdefault(image, []).append(regions[region])
    for image, fitting in several.items():
        result.ambiguous.append(f"the image {images[image]!r} fits the annotations of {_listed(fitting)}")


def _listed(names: list[str]) -> str:
    return f"{' and '.join(map(repr, names[:2]))}{' and others' if len(names) > 2 else ''}"


def _equal(images: dict[int, str], regions: dict[int, str]) -> list[tuple[int, int]]:
    named: dict[str, list[int]] = {}
    for number, name in regions.items():
        named.setdefault(name, []).append(number)
    return [(image, region) for image, name in images.items() for region in named.get(name, ())]


def _last(images: dict[int, str], regions: dict[int, str]) -> list[tuple[int, int]]:
    """Pairs of the same last name, whatever their folders."""
    bare = ({number: name.rpartition("/")[2] for number, name in names.items()} for names in (images, regions))
    return _equal(*bare)


def _ends_of(images: dict[int, str], regions: dict[int, str]) -> list[tuple[int, int]]:
    """Pairs of which one path is the other's end."""
    named: dict[str, list[int]] = {}
    longer: dict[str, list[int]] = {}
    for number, name in regions.items():
        named.setdefault(name, []).append(number)
        for end in _ends(name):
            longer.setdefault(end, []).append(number)
    return [
        (image, region)
        for image, name in images.items()
        for region in (*longer.get(name, ()), *(one for end in _ends(name) for one in named.get(end, ())))
    ]


def _ends(path: str) -> list[str]:
    """A path without its first folder, its first two, ..., down to the bare name."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts))]
