"""What a file of annotations is, by its content."""

from pathlib import Path
from typing import Any

from salreg.readers import createml, label_studio_min
from salreg.readers.content import objects, read_json, read_json_lines, read_table, read_text, read_xml
from salreg.readers.dicom import is_dicom
from salreg.readers.masks import MASK_SUFFIXES
from salreg.readers.regions import files_below

_A_FILE_EACH = ("LabelMe", "QuPath", "Pascal VOC", "YOLO", "ISIC superpixels", "Supervisely", "Datumaro")


def kind_of(path: Path) -> str:
    """The name of a file's or a folder's format in ``salreg.readers.formats``; ``texts`` or ``other`` where it is none.

    Raises:
        ValueError: A file that cannot be read at all; names it.
    """
    return _of_folder(path) if path.is_dir() else _of_file(path)


def _of_folder(path: Path) -> str:
    """By its first files of each kind; files of marks may lie among the images."""
    files = [path / one for one in files_below(path) if (path / one).is_file()]
    if any(is_dicom(file) for file in files[:3]):
        return "DICOM-SEG"
    for suffix in (".geojson", ".json", ".xml", ".txt"):
        alike = [file for file in files if file.suffix.lower() == suffix]
        for file in alike[:3]:
            try:
                name = _of_file(file)
            except ValueError:
                continue
            if name in _A_FILE_EACH:
                return name
    masks = [file for file in files if file.name.lower().endswith(MASK_SUFFIXES)]
    photos = all(file.suffix.lower() in (".jpg", ".jpeg") for file in masks)
    if photos and one_of_all(path) is not None:
        return "other"
    return "masks" if masks or not files else "other"


def one_of_all(folder: Path) -> tuple[Path, str] | None:
    """A file in a folder that holds the annotations of many images, and its kind."""
    for file in files_below(folder):
        if file.suffix.lower() in (".json", ".xml", ".csv", ".ndjson", ".jsonl"):
            try:
                name = _of_file(folder / file)
            except ValueError:
                continue
            if name not in ("other", *_A_FILE_EACH):
                return folder / file, name
    return None


def _of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    first = _first_character(path)
    if suffix in (".xml", ".txt", "") and first in "{[":
        suffix = ".json"
    elif suffix in (".json", ".txt", "") and first == "<":
        suffix = ".xml"
    if suffix == ".xml":
        return _of_xml(path)
    if suffix in (".csv", ".tsv"):
        return _of_table({column.lower().replace("_", "") for column in read_table(path)[0]})
    if suffix in (".json", ".geojson"):
        try:
            return "ISIC superpixels" if path.stem.endswith("_features") else _of_json(read_json(path))
        except ValueError:
            name = _of_lines(path)
            if name == "other":
                raise
            return name
    if suffix in (".jsonl", ".ndjson"):
        return _of_lines(path)
    if suffix == ".ann":
        return "texts"
    if suffix == ".txt":
        return _of_text(path)
    return "DICOM-SEG" if is_dicom(path) else "other"


def _of_lines(path: Path) -> str:
    """Of objects in lines, of which some may be damaged."""
    lines = [one for _, one in read_json_lines(path)]
    for name, key in (("Labelbox", "data_row"), ("texts", "text")):
        if 2 * sum(key in one for one in objects(lines)) > len(lines):
            return name
    return "other"


def _first_character(path: Path) -> str:
    """The first one that is no space, of a file that may be called otherwise than it is; ``?`` where it is empty."""
    with path.open("rb") as file:
        head = file.read(64).lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")
    return chr(head[0]) if head else "?"


def _of_table(columns: set[str]) -> str:
    if "regionshapeattributes" in columns:
        return "VIA"
    if {"annotationid", "annotator", "leadtime"} <= columns:
        return "Label Studio's CSV"
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
    if "data_row" in first:
        return "Labelbox"
    if "Labeled Data" in first:
        return "Labelbox's older export"
    if "image_id" in first and "category_id" in first:
        return "COCO's results"
    if first.get("type") == "Feature":
        return "QuPath"
    if createml.is_entry(first):
        return "CreateML"
    if "text" in first and {"label", "spans", "labels", "entities"} & {*first}:
        return "texts"
    return "Label Studio's JSON-MIN" if any(map(label_studio_min.is_record, items)) else "other"


def _of_object(content: dict[str, Any]) -> str:
    keys = {*content}
    for name, needed in (
        ("MegaDetector", {"images", "detection_categories"}),
        ("Datumaro", {"items", "categories"}),
        ("Labelbox", {"data_row"}),
        ("LabelMe", {"shapes"}),
        ("COCO", {"images"}),
        ("VIA 3", {"project", "metadata", "file"}),
        ("VIA", {"_via_img_metadata"}),
        ("Supervisely", {"objects", "size"}),
    ):
        if needed <= keys:
            of_segments = name == "COCO" and any("segments_info" in one for one in objects(content.get("annotations"))[:1])
            return "COCO panoptic" if of_segments else name
    if content.get("type") in ("FeatureCollection", "Feature"):
        return "QuPath"
    if "data" in keys and {"annotations", "completions", "predictions"} & keys:
        return _of_tasks([content])
    if {"result", "task"} <= keys:
        return "Label Studio"
    values = [one for one in content.values() if isinstance(one, dict)]
    if values and all("filename" in one and "regions" in one for one in values):
        return "VIA"
    if any(values) and all(
        isinstance(one, dict) and {"size", "counts"} <= {*one} for value in values for one in value.values()
    ):
        return "CheXlocalize"
    return "other"


def _of_tasks(tasks: list[dict[str, Any]]) -> str:
    """Label Studio's, of images unless all results are of texts."""
    made = [one for task in tasks for one in objects(task.get("annotations"))]
    values = [result.get("value") for one in made for result in objects(one.get("result"))]
    of_texts = [isinstance(value, dict) and "start" in value and "end" in value for value in values]
    return "texts" if of_texts and all(of_texts) else "Label Studio"
