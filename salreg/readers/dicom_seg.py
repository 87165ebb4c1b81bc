"""DICOM segmentations."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from salreg.readers.checked import pixels
from salreg.readers.damage import as_os_error
from salreg.readers.dicom import head, is_dicom
from salreg.readers.optional import optional
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side, files_below

_UID = "SOPInstanceUID"


def read_dicom_seg(
    path: str | Path, labels: Mapping[str, Side], *, images: str | Path | None = None, strict: bool = False
) -> Readings:
    """Read regions by image name from a DICOM-SEG of binary segments, or a folder of them. It needs ``pydicom`` and
    ``highdicom``.

    A segmentation knows its images by their SOP instance UID. Every image that it refers to was looked at.

    Args:
        path: The file, or the folder.
        labels: Which of its segments' labels are ``spurious`` and which ``relevant``; others are ignored.
        images: The folder of the DICOM images, whose headers say which file has which UID; by default the UID is taken to be
            the file's name.
        strict: Whether a frame without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: highdicom is not installed.
        ValueError: It is not a DICOM-SEG, or a wanted label does not occur in it.
    """
    highdicom = optional("highdicom", "dicom")
    path, reading = Path(path), Reading(path, labels, strict)
    names: dict[str, list[str]] = {}
    for uid, name in () if images is None else _names(Path(images)):
        names.setdefault(uid, []).append(name)
    files = [path / one for one in files_below(path) if is_dicom(path / one)] if path.is_dir() else [path]
    known: set[str] = set()
    for file in files:
        try:
            found = highdicom.seg.segread(file)
        except Exception as error:  # whatever a malformed file makes the library raise
            raise ValueError(f"{file} is not a DICOM-SEG that can be read: {error}.") from error
        known |= {str(found.get_segment_description(number).segment_label) for number in found.segment_numbers}
        _read(reading, found, names)
    return reading.finish(sorted(known))


def _read(reading: Reading, found: Any, names: Mapping[str, list[str]]) -> None:
    size = int(found.Rows), int(found.Columns)
    for _, _, uid in found.get_source_image_uids():
        called = names.get(str(uid), [str(uid)])
        if len(called) > 1:
            reading.skip(called[0], "", "one number twice", f"{called[0]!r} and {called[1]!r} have the same number, {uid}")
            continue
        image = reading.image(called[0], size)
        for number in found.segment_numbers:
            label = str(found.get_segment_description(number).segment_label)
            if not reading.wanted(label):
                continue
            found_pixels = found.get_pixels_by_source_instance(
                [uid], segment_numbers=[number], ignore_spatial_locations=True, assert_missing_frames_are_empty=True
            )
            if np.any(found_pixels):
                reading.mark(image, label, f"segment {number}", pixels, found_pixels[0, ..., 0] > 0)


def _names(folder: Path) -> Iterator[tuple[str, str]]:
    """The UID and the path of each DICOM image below a folder."""
    for path in files_below(folder):
        if is_dicom(folder / path):
            try:
                with as_os_error("it is not DICOM"):
                    uid = str(head(folder / path, stop_before_pixels=True, specific_tags=[_UID]).get(_UID))
            except OSError:  # which reading the image says
                continue
            yield uid, path.as_posix()
