"""COCO's JSON of instances: boxes, polygons and run-length encoded masks."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from salreg.names import nearest
from salreg.readers.optional import optional
from salreg.readers.regions import Regions, Shapes, Side, check_sides, image_name


class _Instances(Shapes):
    __slots__ = ()

    def mask(self, shapes: list[Any], size: tuple[int, int]) -> Tensor:
        coco = optional("pycocotools.mask", "coco")
        height, width = size
        encoded: list[Any] = []
        for shape in shapes:
            # A list holds polygons; a mapping is a run-length encoding, compressed if its counts are text.
            if isinstance(shape, Mapping) and not isinstance(shape["counts"], list):
                encoded.append(shape)
            else:
                parts = coco.frPyObjects(shape, height, width)
                encoded += parts if isinstance(parts, list) else [parts]
        return torch.from_numpy(np.asarray(coco.decode(coco.merge(encoded)))).bool()


def read_coco(path: str | Path, categories: Mapping[str, Side]) -> dict[str, Regions]:
    """Regions by the names of their images, from a COCO file of instances. Needs ``pycocotools``.

    Every image that the file lists was looked at: without annotation, nothing is marked in it.

    Args:
        path: The JSON file.
        categories: Which of its categories are ``spurious`` and which ``relevant``; others are passed over.

    Returns:
        The regions of each listed image by name, in the size that the file states. The segmentation counts where there is
        one, otherwise the box. Drawing raises a ``ValueError`` where a spurious region overlaps a relevant one.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: pycocotools is not installed.
        ValueError: No COCO file, a category that it does not have, or an annotation of an image or category that it does not
            list.

    Example:
        >>> import json, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "coco.json")
        >>> _ = open(path, "w").write(json.dumps({
        ...     "images": [{"id": 1, "file_name": "003.jpg", "width": 3, "height": 2},
        ...                {"id": 2, "file_name": "004.jpg", "width": 3, "height": 2}],
        ...     "categories": [{"id": 7, "name": "ruler"}],
        ...     "annotations": [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 1]}]}))
        >>> regions = read_coco(path, {"ruler": "spurious"})
        >>> regions["003"].draw((2, 3)).tolist(), regions["004"].draw((2, 3)).tolist()
        ([[[-1, -1, 0], [0, 0, 0]]], [[[0, 0, 0], [0, 0, 0]]])
    """
    check_sides(categories)
    optional("pycocotools.mask", "coco")  # now, rather than when the first region is drawn
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        names = {one["id"]: one["name"] for one in content["categories"]}
        found: dict[str, _Instances] = {}
        images: dict[int, _Instances] = {}
        for one in content["images"]:
            instances = _Instances(f"{path}, image {one['file_name']!r}", (one["height"], one["width"]))
            # An image that is listed twice keeps the marks of both.
            images[one["id"]] = found.setdefault(image_name(one["file_name"], str(path)), instances)
        annotations = content["annotations"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no COCO file of instances: {type(error).__name__} {error}.") from error
    for category in categories:
        if category not in names.values():
            known = ", ".join(names.values())
            raise ValueError(f"{path} has no category {category!r}{nearest(category, names.values())}. It has: {known}.")
    for number, one in enumerate(annotations):
        image, category = one.get("image_id"), one.get("category_id")
        for kind, value, known_ids in (("image", image, images), ("category", category, names)):
            if value not in known_ids:
                raise ValueError(f"{path}: annotation {one.get('id', number)} belongs to {kind} {value}, which is not listed.")
        if names[category] in categories:
            shape = one.get("segmentation") or _polygon_of(one.get("bbox"), f"{path}: annotation {one.get('id', number)}")
            images[image].marks.setdefault(categories[names[category]], []).append(shape)
    return dict(found)


def _polygon_of(box: Any, where: str) -> list[list[float]]:
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"{where} has neither a segmentation nor a bbox [x, y, width, height].")
    x, y, width, height = (float(edge) for edge in box)
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]
