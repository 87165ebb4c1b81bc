"""Annotations from the files of annotation tools, of masks and of tables.

Each reader returns, by image name, the regions of every image that somebody looked at; they are empty if nothing is marked.
``FileAnnotations`` matches them with the samples of a dataset. ``read_annotations`` chooses the reader by the file's content. A
single faulty annotation is named, skipped and counted.
"""

from salreg.readers.boxes import read_boxes
from salreg.readers.chexlocalize import read_chexlocalize
from salreg.readers.coco import read_coco
from salreg.readers.createml import read_createml
from salreg.readers.cub import read_cub
from salreg.readers.cvat import read_cvat
from salreg.readers.cvat_video import read_cvat_video
from salreg.readers.datumaro import read_datumaro
from salreg.readers.dicom_seg import read_dicom_seg
from salreg.readers.file_annotations import FileAnnotations
from salreg.readers.formats import read_annotations, sniff
from salreg.readers.kaggle import read_kaggle
from salreg.readers.label_studio import read_label_studio
from salreg.readers.label_studio_min import read_label_studio_min
from salreg.readers.labelbox import read_labelbox
from salreg.readers.labelme import read_labelme
from salreg.readers.masks import read_masks
from salreg.readers.megadetector import read_megadetector
from salreg.readers.problems import Problem, SkippedAnnotations
from salreg.readers.qupath import read_qupath
from salreg.readers.reading import Readings
from salreg.readers.regions import SIDES, ImageMarks, Regions, Side, files_below
from salreg.readers.spans import TextMarks, read_spans
from salreg.readers.superpixels import read_superpixels
from salreg.readers.supervisely import read_supervisely
from salreg.readers.via import read_via
from salreg.readers.voc import read_voc
from salreg.readers.yolo import read_yolo

__all__ = [
    "SIDES",
    "FileAnnotations",
    "ImageMarks",
    "Problem",
    "Readings",
    "Regions",
    "Side",
    "SkippedAnnotations",
    "TextMarks",
    "files_below",
    "read_annotations",
    "read_boxes",
    "read_chexlocalize",
    "read_coco",
    "read_createml",
    "read_cub",
    "read_cvat",
    "read_cvat_video",
    "read_datumaro",
    "read_dicom_seg",
    "read_kaggle",
    "read_label_studio",
    "read_label_studio_min",
    "read_labelbox",
    "read_labelme",
    "read_masks",
    "read_megadetector",
    "read_qupath",
    "read_spans",
    "read_superpixels",
    "read_supervisely",
    "read_via",
    "read_voc",
    "read_yolo",
    "sniff",
]
