"""Annotations from the files of annotation tools: folders of masks, tables of boxes, COCO, CVAT, Label Studio.

Each reader gives the regions of every image that somebody looked at by its name, empty where nothing is marked;
``FileAnnotations`` brings them to the samples of a dataset.
"""

from salreg.readers.boxes import read_boxes
from salreg.readers.coco import read_coco
from salreg.readers.cvat import read_cvat
from salreg.readers.file_annotations import FileAnnotations
from salreg.readers.label_studio import read_label_studio
from salreg.readers.masks import read_masks
from salreg.readers.regions import SIDES, Regions, Side, files_below

__all__ = [
    "SIDES",
    "FileAnnotations",
    "Regions",
    "Side",
    "files_below",
    "read_boxes",
    "read_coco",
    "read_cvat",
    "read_label_studio",
    "read_masks",
]
