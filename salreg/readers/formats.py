"""The formats of annotation files, and a reader for all of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from salreg import checks
from salreg.readers.boxes import read_boxes
from salreg.readers.chexlocalize import read_chexlocalize
from salreg.readers.coco import read_coco
from salreg.readers.content import read_once
from salreg.readers.createml import read_createml
from salreg.readers.cub import read_cub
from salreg.readers.cvat import read_cvat
from salreg.readers.cvat_video import read_cvat_video
from salreg.readers.datumaro import read_datumaro
from salreg.readers.dicom_seg import read_dicom_seg
from salreg.readers.kaggle import read_kaggle
from salreg.readers.label_studio import read_label_studio
from salreg.readers.label_studio_min import read_label_studio_min
from salreg.readers.labelbox import read_labelbox
from salreg.readers.labelme import read_labelme
from salreg.readers.masks import read_masks
from salreg.readers.megadetector import read_megadetector
from salreg.readers.qupath import read_qupath
from salreg.readers.reading import Readings
from salreg.readers.regions import SIDES, Side
from salreg.readers.shapes import LINE_WIDTH, Line
from salreg.readers.sniff import kind_of, one_of_all
from salreg.readers.superpixels import read_superpixels
from salreg.readers.supervisely import read_supervisely
from salreg.readers.via import read_via
from salreg.readers.voc import read_voc
from salreg.readers.yolo import read_yolo


class Format(NamedTuple):
    """A format of annotation files.

    Attributes:
        name: The name of the format.
        read: The reader for files with categories, or None.
        advice: What to do if salreg does not read it, or reads it in another way.
    """

    name: str
    read: Callable[..., Readings] | None = None
    advice: str = ""


#: The formats that are read.
FORMATS = {
    "COCO": Format("COCO", read_coco),
    "CVAT for images": Format("CVAT for images", read_cvat),
    "CVAT for video": Format("CVAT for video", read_cvat_video),
    "Label Studio": Format("Label Studio", read_label_studio),
    "Label Studio's JSON-MIN": Format("Label Studio's JSON-MIN", read_label_studio_min),
    "Labelbox": Format("Labelbox", read_labelbox),
    "LabelMe": Format("LabelMe", read_labelme),
    "Pascal VOC": Format("Pascal VOC", read_voc),
    "YOLO": Format("YOLO", read_yolo),
    "VIA": Format("VIA", read_via),
    "QuPath": Format("QuPath", read_qupath),
    "CheXlocalize": Format("CheXlocalize", read_chexlocalize),
    "MegaDetector": Format("MegaDetector", read_megadetector),
    "Supervisely": Format("Supervisely", read_supervisely),
    "Datumaro": Format("Datumaro", read_datumaro),
    "CreateML": Format("CreateML", read_createml),
    "ISIC superpixels": Format("ISIC superpixels", read_superpixels),
    "masks": Format("a folder of masks"),
    "boxes": Format("a CSV of boxes"),
    "run lengths": Format("a CSV of run lengths"),
    "DICOM-SEG": Format("DICOM-SEG", read_dicom_seg),
    "CUB": Format("CUB-200-2011's boxes"),
}
_TEXTS = "marks of texts are read by read_spans, or by: salreg run text_classification data.annotations={}"
_OTHERS = {
    "COCO panoptic": "its segments are colours of PNGs; convert it with panopticapi's panoptic2detection_coco_format.py",
    "Label Studio's CSV": "export the project as JSON",
    "VIA 3": "export the project as COCO, or with VIA 2",
    "Labelbox's older export": "export the data rows anew, as NDJSON",
    "COCO's results": "it has only images' numbers; put its detections into the COCO file that lists the images",
}


def sniff(path: str | Path) -> Format:
    """Recognise the format of a file or folder.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It cannot be read, or its format is unknown; the message names the supported formats.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "a.json")
        >>> _ = open(path, "w").write('{"shapes": [], "imagePath": "a.jpg"}')
        >>> sniff(path).name
        'LabelMe'
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There are no annotations at {str(path)!r}.")
    name = kind_of(path)
    if name in FORMATS:
        return FORMATS[name]
    if name == "texts":
        return Format("marks of texts", None, _TEXTS.format(path))
    if name in _OTHERS:
        return Format(name, None, _OTHERS[name])
    if path.is_dir() and (inside := one_of_all(path)) is not None:
        raise ValueError(f"{path} is a folder with {inside[0]} in it, which looks like {inside[1]}: name that file.")
    raise ValueError(f"{path} has no known format. Supported formats: {', '.join(one.name for one in FORMATS.values())}.")


def read_annotations(
    path: str | Path,
    categories: Mapping[str, Side] | None = None,
    *,
    inside: Side = "spurious",
    columns: Mapping[str, str] | None = None,
    images: str | Path | None = None,
    line_width: float = LINE_WIDTH,
    strict: bool = False,
) -> Readings:
    """Read the regions in a file or folder of any supported format.

    Args:
        path: The file or folder. A folder that holds only the folders ``spurious`` and ``relevant`` has the masks of both
            sides.
        categories: Which labels are ``spurious`` and which ``relevant``; needed if the format has labels.
        inside: The mark of masks and boxes without a label.
        columns: For a CSV, see ``read_boxes``; for Label Studio's tasks with several images, the argument ``fields`` of its
            reader.
        images: The folder of the images, for DICOM-SEG, which identifies them by a number in their headers.
        line_width: The width of lines, in pixels of the annotated image.
        strict: Whether an annotation without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: The format is not supported (the message says what it looks like), or the reader raised an error.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "boxes.csv")
        >>> _ = open(path, "w").write("image,x1,y1,x2,y2\\n003.jpg,0,0,2,1\\n")
        >>> read_annotations(path)["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    checks.number("(0, 10000]", line_width=line_width)
    with read_once():
        read = _read(Path(path), sniff(path), categories, inside, columns, images, strict)
    for one in read.values():
        one.marks = [
            mark._replace(shape=mark.shape._replace(width=line_width)) if isinstance(mark.shape, Line) else mark
            for mark in one.marks
        ]
    return read


def _read(
    path: Path,
    found: Format,
    categories: Mapping[str, Side] | None,
    inside: Side,
    columns: Mapping[str, str] | None,
    images: str | Path | None,
    strict: bool,
) -> Readings:
    if found.name == FORMATS["masks"].name:
        names = {entry.name for entry in path.iterdir() if entry.is_dir()}
        by_side = names and names <= set(SIDES) and not any(entry.is_file() for entry in path.iterdir())
        of = {side: path / side for side in SIDES if side in names} if by_side else {inside: path}
        return read_masks(
            spurious=of.get("spurious"), relevant=of.get("relevant"), categories=categories or None, strict=strict
        )
    if found.name == FORMATS["boxes"].name:
        return read_boxes(path, inside, categories=categories, columns=columns, strict=strict)
    if found.name == FORMATS["run lengths"].name:
        return read_kaggle(path, inside, categories=categories, strict=strict)
    if found.name == FORMATS["CUB"].name:
        return read_cub(path, inside, strict=strict)
    if found.read is None:
        raise ValueError(f"{path} looks like {found.name}, which cannot be read as regions: {found.advice}.")
    if not categories:
        raise ValueError(
            f"{path} looks like {found.name}. Say which categories of {path} are spurious or relevant: "
            "data.categories={ruler: spurious} in a recipe, --category ruler=spurious in a check."
        )
    options: dict[str, Any] = {"fields": columns} if found.read is read_label_studio and columns else {}
    if found.read is read_dicom_seg:
        options["images"] = images
    return found.read(path, categories, strict=strict, **options)
