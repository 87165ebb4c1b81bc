"""CVAT's XML for videos: tracks over frames."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from salreg.readers.checked import numbers
from salreg.readers.content import read_xml
from salreg.readers.cvat import cvat_shape
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Shape

_MOST_FRAMES, _MOST_MARKS = 100_000, 2_000_000


def read_cvat_video(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Regions by the names of the frames, from "CVAT for video 1.1" XML. It needs ``defusedxml``.

    A frame is called ``frame_000012``, as in CVAT's exports of frames. Every frame of the task was looked at. A track lasts
    until it is ``outside``; between two of its shapes with the same number of points, coordinates are interpolated.

    Args:
        path: The XML file.
        labels: Which of its labels are ``spurious`` and which ``relevant``; others are ignored.
        strict: Whether a shape without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: defusedxml is not installed.
        ValueError: The file is not such XML, has more than 100,000 frames or 2 million shapes, or a wanted label does not occur
            in it.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "annotations.xml")
        >>> box = '<box frame="{}" outside="{}" xtl="0" ytl="0" xbr="2" ybr="1"/>'
        >>> _ = open(path, "w").write(
        ...     '<annotations><track label="ruler">' + box.format(0, 0) + box.format(2, 1) + '</track></annotations>')
        >>> regions = read_cvat_video(path, {"ruler": "spurious"})
        >>> [int(regions[f"frame_00000{number}"].draw((2, 3)).sum()) for number in range(3)]
        [-2, -2, 0]
    """
    reading, root = Reading(path, labels, strict), read_xml(path)
    tracks = root.findall("track")
    if root.tag != "annotations" or not tracks:
        raise ValueError(f"{path} is not a CVAT XML file for video: it has no track.")
    size = root.findtext(".//original_size/height"), root.findtext(".//original_size/width")
    last = max((frame for one in root.iter() if (frame := _frame(one)) is not None), default=0)
    stop = root.findtext(".//meta/task/stop_frame") or root.findtext(".//meta/job/stop_frame")
    last = max(last, int(stop) if stop and stop.isdecimal() and len(stop) < 10 else 0)
    if last >= _MOST_FRAMES:
        raise ValueError(f"{path} has {last + 1} frames; at most {_MOST_FRAMES} are read: export the video in parts.")
    frames = [reading.image(f"frame_{frame:06}", size if all(size) else None) for frame in range(last + 1)]
    marks = 0
    for number, track in enumerate(tracks):
        label = track.get("label")
        if not reading.wanted(label):
            continue
        found = ((frame, one) for one in track if (frame := _frame(one)) is not None and frame <= last)
        shapes = sorted(found, key=lambda pair: pair[0])
        for frame, make, one in _over_frames(shapes, last):
            marks += 1
            if marks > _MOST_MARKS:
                raise ValueError(f"{path}: its tracks have more than {_MOST_MARKS} shapes: export the video in parts.")
            reading.mark(frames[frame], label, f"track {track.get('id', number)}", make, *one)
    return reading.finish()


def _frame(one: Any) -> int | None:
    frame = one.get("frame", "")
    return int(frame) if frame.isdecimal() and len(frame) < 10 else None


def _over_frames(shapes: list[tuple[int, Any]], last: int) -> Iterator[tuple[int, Any, tuple[Any, ...]]]:
    """The frames on which a track is seen, with the maker of its shape and what it takes."""
    for (frame, one), (until, following) in zip(shapes, [*shapes[1:], (last + 1, None)], strict=True):
        if one.get("outside") == "1":
            continue
        yield frame, cvat_shape, (one.tag, dict(one.attrib))
        for between in range(frame + 1, until):
            if following is None or following.get("outside") == "1":
                yield between, cvat_shape, (one.tag, dict(one.attrib))
            else:
                yield between, _between, (one, following, (between - frame) / (until - frame))


def _between(one: Any, following: Any, share: float) -> Shape:
    """The shape at a share of the way to the following one."""
    mixed = dict(one.attrib)
    for key in ("xtl", "ytl", "xbr", "ybr", "cx", "cy", "rx", "ry", "points"):
        if key in mixed:
            mixed[key] = _mixed(mixed[key], following.get(key, ""), share)
    if "rotation" in mixed or following.get("rotation"):
        first, second = numbers((one.get("rotation", 0), following.get("rotation", 0)))
        mixed["rotation"] = str(first + share * ((second - first + 180) % 360 - 180))  # the shorter way
    return cvat_shape(one.tag, mixed)


def _mixed(first: str, second: str, share: float) -> str:
    pairs = [[part.split(",") for part in text.split(";")] for text in (first, second)]
    if [len(pair) for pair in pairs[0]] != [len(pair) for pair in pairs[1]]:
        raise BadShape("malformed", "two shapes of its track have different numbers of points, so what lies between is unknown")
    try:
        mixed = [
            [float(a) + share * (float(b) - float(a)) for a, b in zip(*two, strict=True)] for two in zip(*pairs, strict=True)
        ]
    except ValueError as error:
        raise BadShape("no number", "a coordinate is not a number") from error
    return ";".join(",".join(map(repr, pair)) for pair in mixed)
