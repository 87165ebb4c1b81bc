"""What all readers share: they collect the marks of each image and what had to be skipped."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from salreg.names import nearest
from salreg.readers.names import normal, stem
from salreg.readers.problems import BadShape, Problem, SkippedAnnotations, by_kind
from salreg.readers.regions import ImageMarks, Mark, Side, check_sides
from salreg.readers.shapes import Shape, Size


class Readings(dict[str, ImageMarks]):
    """The marks of each image that somebody looked at, by name; the suffix is dropped unless two names differ only in it.

    Attributes:
        problems: The annotations that were skipped.
        notes: Sentences about anything that was read in a non-obvious way.
        labels: The number of marks for each wanted label.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.labels: Counter[str] = Counter()


class Reading:
    """A file that is being read.

    Args:
        path: The file, for errors.
        sides: The wanted labels; None takes every mark as of the side ``inside``.
        strict: Whether a faulty annotation raises an error.
        inside: See ``sides``.
    """

    def __init__(self, path: str | Path, sides: Mapping[str, Side] | None, strict: bool, inside: Side = "spurious") -> None:
        check_sides(sides if sides is not None else {"inside": inside})
        self.file, self.strict = str(path), strict
        self.sides = None if sides is None else {str(label): side for label, side in sides.items()}
        self.inside: Side = inside
        self.seen: Counter[str] = Counter()
        self._unlabelled = 0
        self._read = Readings()
        self._images: dict[tuple[str, str], ImageMarks] = {}

    def image(self, name: Any, size: tuple[Any, Any] | None = None, group: str = "") -> ImageMarks | None:
        """The image of that name, which somebody looked at; None, with a problem noted, if the name is invalid.

        Args:
            name: The name in the file.
            size: ``(H, W)`` in the file; an invalid size counts as not stated.
            group: Distinguishes images of the same name.
        """
        written = str(name) if isinstance(name, (str, int)) and not isinstance(name, bool) else ""
        if not normal(written):
            self.skip(str(name), "", "no name", f"{name!r} is not the name of an image")
            return None
        stated = None if size is None else self._size(written, size)
        known = self._images.get((normal(written), group))
        if known is None:
            known = ImageMarks(self.file, written, stated, strict=self.strict)
            self._images[normal(written), group] = known
        elif stated is not None and known.size not in (None, stated):
            self.skip(written, "", "two sizes", f"it is listed with the sizes {known.size} and {stated}; the second is ignored")
            known.skipped += 1
            return None
        elif known.size is None:
            known.size = stated
        return known

    def mark(
        self, image: ImageMarks | None, labels: Any, id: Any, make: Callable[..., Shape], *arguments: Any, **options: Any
    ) -> None:
        """Add one annotation, with the shape that ``make`` creates from the arguments, unless none of its labels is wanted.

        Args:
            image: The image it belongs to; None if that was already a problem.
            labels: One label or several.
            id: The annotation's id in the file.
            make: A maker of ``salreg.readers.checked``.
        """
        try:
            sides = self.wanted(labels)
            if not sides or image is None:
                return
            shape = make(*arguments, **options)
        except BadShape as error:
            self.skip(image or "", id, error.kind, str(error))
            return
        except RecursionError:
            self.skip(image or "", "", "malformed", "it is nested too deeply")
            return
        for label, side in sides.items():
            self._read.labels[label] += 1
            image.marks.append(Mark(side, label, str(id), shape))

    def wanted(self, labels: Any) -> dict[str, Side]:
        """The wanted labels of an annotation by side; only the first of each side."""
        given = [str(label) for label in labels] if isinstance(labels, (list, tuple, set)) else [str(labels)]
        for label in given:
            self.seen[label] += 1
        if not any(given):
            self._unlabelled += 1
        if self.sides is None:
            return {given[0] if given else "": self.inside}
        found: dict[str, Side] = {}
        for label in given:
            if label in self.sides and self.sides[label] not in found.values():
                found[label] = self.sides[label]
        return found

    def skip(self, image: ImageMarks | str, id: Any, kind: str, reason: str) -> None:
        """Skip an annotation, or raise a ``ValueError`` if reading is strict. A skipped mark shows that something is on the
        image, so the image does not count as empty.
        """
        if isinstance(image, ImageMarks):
            image.skipped += 1
        problem = Problem(self.file, image.name if isinstance(image, ImageMarks) else image, str(id), kind, reason)
        if self.strict:
            raise ValueError(f"{problem}.")
        self._read.problems.append(problem)

    def note(self, sentence: str) -> None:
        """Warn about something once."""
        if sentence not in self._read.notes:
            self._read.notes.append(sentence)

    def finish(self, known: Iterable[str] | None = None) -> Readings:
        """The result of reading; warns about skipped annotations.

        Args:
            known: All labels of the file; those of its annotations by default.

        Raises:
            ValueError: A wanted label does not occur in the file.
        """
        self._check_labels(sorted(self.seen) if known is None else list(known))
        read = self._read
        copies = Counter(name for name, _ in self._images)
        for (name, group), one in self._images.items():
            if group and copies[name] > 1:
                one.name = f"{group}/{name}"
        stems = Counter(stem(normal(one.name)) for one in self._images.values())
        for one in self._images.values():
            short = stem(normal(one.name))
            read[short if stems[short] == 1 else normal(one.name)] = one
        if read.problems:
            head = f"{self.file}: {len(read.problems)} annotations were skipped, the others count (strict=True refuses them)"
            warnings.warn("\n".join([head, *by_kind(read.problems)]), SkippedAnnotations, stacklevel=3)
        return read

    def _check_labels(self, known: list[str]) -> None:
        known = [label for label in known if label]
        if not known and self._images and not self._unlabelled:  # looked at, and nothing marked in any
            return
        for label in self.sides or ():
            if label not in known:
                there = f"It has: {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}." if known else "It has no label."
                if not known and self._unlabelled:
                    there = f"Its {self._unlabelled} shapes have no label."
                hints = " ".join([there, *self._read.notes, *by_kind(self._read.problems)])
                raise ValueError(f"No shape of {self.file} has the label {label!r}{nearest(label, known)}. {hints}")

    def _size(self, name: str, size: tuple[Any, Any]) -> Size | None:
        if any(edge is None or edge == "" for edge in size):
            return None
        try:
            height, width = (0.0 if isinstance(edge, bool) else float(edge) for edge in size)
        except (TypeError, ValueError, OverflowError):
            height = width = 0.0
        if not (1 <= height <= 1e6 and 1 <= width <= 1e6) or height % 1 or width % 1:
            self.skip(name, "", "no size", f"its size (H, W) = {size} is none; that of the image counts")
            return None
        return int(height), int(width)
