"""What a file of annotations is, by its content."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from salreg.readers.boxes import read_boxes
from salreg.readers.chexlocalize import read_chexlocalize
from salreg.readers.coco import read_coco
from salreg.readers.content import objects, read_json, read_json_lines, read_table, read_text, read_xml
from salreg.readers.cub import read_cub
from salreg.readers.cvat import read_cvat
from salreg.readers.cvat_video import read_cvat_video
from salreg.readers.dicom import is_dicom
from salreg.readers.dicom_seg import read_dicom_seg
from salreg.readers.kaggle import read_kaggle
from salreg.readers.label_studio import read_label_studio
from salreg.readers.labelme import read_labelme
from salreg.readers.masks import _SUFFIXES as MASK_SUFFIXES
from salreg.readers.masks import read_masks
from salreg.readers.megadetector import read_megadetector
from salreg.readers.qupath import read_qupath
from salreg.readers.reading import Readings
from salreg.readers.regions import SIDES, Side, files_below
from salreg.readers.via import read_via
from salreg.readers.voc import read_voc
from salreg.readers.yolo import read_yolo


class Format(NamedTuple):
    """A format that files come in.

    Attributes:
        name: What it is called.
        read: The reader of files with categories, or None.
        advice: What to do where salreg does not read it, or reads it otherwise.
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
    "LabelMe": Format("LabelMe", read_labelme),
    "Pascal VOC": Format("Pascal VOC", read_voc),
    "YOLO": Format("YOLO", read_yolo),
    "VIA": Format("VIA", read_via),
    "QuPath": Format("QuPath", read_qupath),
    "CheXlocalize": Format("CheXlocalize", read_chexlocalize),
    "MegaDetector": Format("MegaDetector", read_megadetector),
    "masks": Format("a folder of masks"),
    "boxes": Format("a CSV of boxes"),
    "run lengths": Format("a CSV of run lengths"),
    "DICOM-SEG": Format("DICOM-SEG", read_dicom_seg),
    "CUB": Format("CUB-200-2011's boxes"),
}
_CONVERT = "convert it to COCO first, for example with datumaro: datum convert -i PATH -if {} -f coco_instances -o coco"
_TEXTS = "marks of texts are read by read_spans, or by: salreg run text_classification data.annotations={}"
_OTHERS = {
    "Supervisely": "export it as COCO from Supervisely (app 'Export to COCO')",
    "Datumaro": _CONVERT.format("datumaro"),
    "CreateML": "convert it to COCO, for example in Roboflow, or with a few lines of Python",
    "Labelbox": "convert it to COCO with Labelbox's labelbox.data.serialization",
    "COCO's results": "it holds detections by the images' numbers; put them into the annotations of the COCO file that lists "
    "the images",
    "Label Studio's JSON-MIN": "export the project as JSON, which says which image each shape is on",
    "GeoJSON of something else": "only features of QuPath's are read",
}


def sniff(path: str | Path) -> Format:
    """What a file or folder looks like.

    Raises:
        FileNotFoundError: There is nothing.
        ValueError: It cannot be read at all, or is of no known format; names those that are read.

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
    name = _of_folder(path) if path.is_dir() else _of_file(path)
    if name in FORMATS:
        return FORMATS[name]
    if name == "texts":
        return Format("marks of texts", None, _TEXTS.format(path))
    if name in _OTHERS:
        return Format(name, None, _OTHERS[name])
    raise ValueError(
        f"{path} is of no format that is known. These are read: {', '.join(one.name for one in FORMATS.values())}."
    )


def read_annotations(
    path: str | Path,
    categories: Mapping[str, Side] | None = None,
    *,
    inside: Side = "spurious",
    columns: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Readings:
    """The regions in a file or folder of any format that salreg reads.

    Args:
        path: The file or folder. One that holds none but the folders ``spurious`` and ``relevant`` has the masks of both sides.
        categories: Which labels are ``spurious`` and which ``relevant``; needed where the format has labels.
        inside: What masks and boxes without a label are.
        columns: Of a CSV, see ``read_boxes``; of Label Studio's tasks with several images, its ``fields``.
        strict: Whether an annotation that means nothing certain is an error, rather than skipped, named and counted.

    Raises:
        FileNotFoundError: There is nothing.
        ValueError: It is of no format that is read, and then says what it looks like; or its reader's error.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "boxes.csv")
        >>> _ = open(path, "w").write("image,x1,y1,x2,y2\\n003.jpg,0,0,2,1\\n")
        >>> read_annotations(path)["003"].draw((2, 3)).tolist()
        [[[-1, -1, 0], [0, 0, 0]]]
    """
    path, found = Path(path), sniff(path)
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
        return read_kaggle(path, inside, strict=strict)
    if found.name == FORMATS["CUB"].name:
        return read_cub(path, inside, strict=strict)
    if found.read is None:
        raise ValueError(f"{path} looks like {found.name}, which is not read as regions: {found.advice}.")
    if not categories:
        raise ValueError(
            f"{path} looks like {found.name}. Say which categories of {path} are spurious or relevant: "
            "data.categories={ruler: spurious} in a recipe, --category ruler=spurious in a check."
        )
    options = {"fields": columns} if found.read is read_label_studio and columns else {}
    return found.read(path, categories, strict=strict, **options)


def _of_folder(path: Path) -> str:
    if any(is_dicom(path / one) for one in files_below(path)[:3]):
        return "DICOM-SEG"
    suffixes = {one.suffix.lower() for one in files_below(path) if (path / one).is_file()}
    first = {
        suffix: next((path / one for one in files_below(path) if one.suffix.lower() == suffix), path) for suffix in suffixes
    }
    if suffixes & {*MASK_SUFFIXES}:
        return "masks"
    if ".geojson" in suffixes:
        return "QuPath"
    for suffix in (".json", ".xml"):
        if suffix in suffixes:
            name = _of_file(first[suffix])
            return name if name in ("LabelMe", "QuPath", "Pascal VOC") else f"a folder of {suffix}"
    return "YOLO" if ".txt" in suffixes else "masks" if not suffixes else "other"


def _of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".xml":
        return _of_xml(path)
    if suffix in (".csv", ".tsv"):
        return _of_table({column.lower().replace("_", "") for column in read_table(path)[0]})
    if suffix in (".json", ".geojson"):
        try:
            return _of_json(read_json(path))
        except ValueError:
            if all(isinstance(one, dict) and "text" in one for _, one in read_json_lines(path) or [(0, None)]):
                return "texts"
            raise
    if suffix in (".jsonl", ".ann"):
        lines = read_json_lines(path) if suffix == ".jsonl" else []
        return "texts" if suffix == ".ann" or any(isinstance(one, dict) and "text" in one for _, one in lines) else "other"
    if suffix == ".txt":
        return _of_text(path)
    return "DICOM-SEG" if is_dicom(path) else "other"


def _of_table(columns: set[str]) -> str:
    if "regionshapeattributes" in columns:
        return "VIA"
    return "run lengths" if {"imageid", "encodedpixels"} <= columns else "boxes"


def _of_xml(path: Path) -> str:
    root = read_xml(path)
    if root.tag == "annotation":
        return "Pascal VOC"
    if root.tag != "annotations":
        return "other"
    return "CVAT for video" if root.find("track") is not None and root.find("image") is None else "CVAT for images"


def _of_text(path: Path) -> str:
    lines = [line.split() for line in read_text(path).splitlines()[:20] if line.strip()]
    if "bounding_boxes" in path.name or path.with_name("images.txt").is_file():
        return "CUB"
    return "YOLO" if all(len(line) >= 5 and line[0].isdecimal() for line in lines) else "other"


def _of_json(content: Any) -> str:
    items = objects(content)
    if isinstance(content, dict):
        return _of_object(content)
    if not items:
        return "Label Studio" if content == [] else "other"
    first = items[0]
    if any(isinstance(one.get("data"), dict) for one in items):
        return _of_tasks(items)
    if "Labeled Data" in first or "data_row" in first:
        return "Labelbox"
    if "image_id" in first and "category_id" in first:
        return "COCO's results"
    if first.get("type") == "Feature":
        return "QuPath"
    if isinstance(first.get("annotations"), list) and ("image" in first or "imagefilename" in first):
        return "CreateML"
    if "text" in first and {"label", "spans", "labels", "entities"} & {*first}:
        return "texts"
    minimal = any(
        isinstance(one, dict) and "original_width" in one
        for value in first.values()
        if isinstance(value, list)
        for one in value
    )
    return "Label Studio's JSON-MIN" if minimal else "other"


def _of_object(content: dict[str, Any]) -> str:
    keys = {*content}
    for name, needed in (
        ("MegaDetector", {"images", "detection_categories"}),
        ("Datumaro", {"items", "categories"}),
        ("LabelMe", {"shapes"}),
        ("COCO", {"images"}),
        ("VIA", {"_via_img_metadata"}),
        ("Supervisely", {"objects", "size"}),
    ):
        if needed <= keys:
            return name
    if content.get("type") in ("FeatureCollection", "Feature"):
        return "QuPath"
    if "data" in keys and {"annotations", "completions", "predictions"} & keys:
        return _of_tasks([content])
    if {"result", "task"} <= keys:
        return "Label Studio"
    values = [one for one in content.values() if isinstance(one, dict)]
    if values and all("filename" in one and "regions" in one for one in values):
        return "VIA"
    if values and all(isinstance(one, dict) and {"size", "counts"} <= {*one} for value in values for one in value.values()):
        return "CheXlocalize"
    return "other"


def _of_tasks(tasks: list[dict[str, Any]]) -> str:
    """Label Studio's, of images unless all results are of texts."""
    made = [one for task in tasks for one in objects(task.get("annotations"))]
    values = [result.get("value") for one in made for result in objects(one.get("result"))]
    of_texts = [isinstance(value, dict) and "start" in value and "end" in value for value in values]
    return "texts" if of_texts and all(of_texts) else "Label Studio"
