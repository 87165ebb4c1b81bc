"""A small file of each format: the box from (2, 1) to (5, 3) of an image ``a.jpg`` of 8 x 6 pixels, called a ruler."""

import json

BOX = [2, 1, 3, 2]
RING = [[2, 1], [5, 1], [5, 3], [2, 3]]
SIDES = {"ruler": "spurious"}

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8}],
    "categories": [{"id": 7, "name": "ruler"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": BOX},
        {"id": 2, "image_id": 1, "category_id": 7, "segmentation": [[2, 1, 5, 1, 5, 3, 2, 3]]},
        {"id": 3, "image_id": 1, "category_id": 7, "segmentation": {"size": [6, 8], "counts": [13, 2, 4, 2, 4, 2, 21]}},
        {"id": 4, "image_id": 1, "category_id": 7, "segmentation": {"size": [6, 8], "counts": "=24000a0"}},
    ],
}


def _task(kind, value):
    made = {"type": f"{kind}labels", "original_width": 8, "original_height": 6, "id": kind}
    return {**made, "to_name": "image", "value": {f"{kind}labels": ["ruler"], **value}}


#: What Label Studio makes of a stroke over the box: encode_rle of label-studio-sdk 2.1.2.
STROKE = [0, 0, 0, 192, 57, 27, 254, 39, 0, 183, 255, 132, 192, 45, 255, 230, 176, 0]
PERCENT = [[25, 100 / 6], [62.5, 100 / 6], [62.5, 50], [25, 50]]
LABEL_STUDIO = [
    {
        "id": 1,
        "data": {"note": "A mole. Taken in 2020.", "image": "/data/upload/1/0a1b2c3d-a.jpg"},
        "annotations": [
            {
                "result": [
                    _task("rectangle", {"x": 25, "y": 100 / 6, "width": 37.5, "height": 100 / 3, "rotation": 0}),
                    _task("polygon", {"points": PERCENT}),
                    _task("brush", {"format": "rle", "rle": STROKE}),
                ]
            }
        ],
    }
]
LABELME = {
    "imagePath": "a.jpg",
    "imageHeight": 6,
    "imageWidth": 8,
    "shapes": [
        {"label": "ruler", "shape_type": "rectangle", "points": [[5, 3], [2, 1]]},
        {"label": "ruler", "shape_type": "polygon", "points": RING},
    ],
}
VIA = {
    "a.jpg9": {
        "filename": "a.jpg",
        "size": 9,
        "regions": [
            {
                "shape_attributes": {"name": "rect", "x": 2, "y": 1, "width": 3, "height": 2},
                "region_attributes": {"kind": "ruler"},
            },
            {
                "shape_attributes": {"name": "polygon", "all_points_x": [2, 5, 5, 2], "all_points_y": [1, 1, 3, 3]},
                "region_attributes": {"kind": {"ruler": True}},
            },
        ],
    }
}
QUPATH = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"classification": {"name": "ruler"}},
            "geometry": {"type": "Polygon", "coordinates": [[*RING, RING[0]]]},
        }
    ],
}
CHEXLOCALIZE = {"a": {"ruler": {"size": [6, 8], "counts": "=24000a0"}}}
MEGADETECTOR = {
    "detection_categories": {"1": "ruler"},
    "images": [{"file": "a.jpg", "detections": [{"category": "1", "conf": 0.9, "bbox": [0.25, 1 / 6, 0.375, 1 / 3]}]}],
}
#: ``data_2_base64`` of supervisely 6.74.51, of a mask of 2 x 3 pixels that are all 1.
BITMAP = (
    "eJzrDPBz5+WS4mJgYOD19HAJAtLMQMzECCKX7/oSCaTYAnxCXIH0////l96cfxfI"
    "YiwJ8gtmcHh2Iw3I4fF0cQypmJNcceAIUOMKhsdnTqqLAcUZPF39XNY5JTQBAKoPG4U="
)
SUPERVISELY = {
    "size": {"height": 6, "width": 8},
    "objects": [
        {"classTitle": "ruler", "geometryType": "rectangle", "points": {"exterior": [[2, 1], [4, 2]], "interior": []}},
        {"classTitle": "ruler", "geometryType": "polygon", "points": {"exterior": RING, "interior": []}},
        {"classTitle": "ruler", "geometryType": "bitmap", "bitmap": {"origin": [2, 1], "data": BITMAP}},
    ],
}
DATUMARO = {
    "categories": {"label": {"labels": [{"name": "mole", "parent": ""}, {"name": "ruler", "parent": ""}]}},
    "items": [
        {
            "id": "a",
            "image": {"path": "a.jpg", "size": [6, 8]},
            "annotations": [
                {"id": 0, "type": "bbox", "label_id": 1, "bbox": BOX, "attributes": {"rotation": 0.0}},
                {"id": 1, "type": "polygon", "label_id": 1, "points": [2, 1, 5, 1, 5, 3, 2, 3]},
                {"id": 2, "type": "mask", "label_id": 1, "rle": {"size": [6, 8], "counts": "=24000a0"}},
            ],
        }
    ],
}
CREATEML = [{"image": "a.jpg", "annotations": [{"label": "ruler", "coordinates": {"x": 3.5, "y": 2, "width": 3, "height": 2}}]}]
_LABELBOX_OBJECTS = [
    {"name": "ruler", "bounding_box": {"top": 1, "left": 2, "height": 2, "width": 3}},
    {"name": "ruler", "polygon": [{"x": x, "y": y} for x, y in RING]},
]
LABELBOX = {
    "data_row": {"id": "1", "external_id": "a.jpg", "row_data": "https://storage.org/b.jpg"},
    "media_attributes": {"height": 6, "width": 8},
    "projects": {"p": {"labels": [{"annotations": {"objects": _LABELBOX_OBJECTS}}]}},
}
_OF_IMAGE = {"original_width": 8, "original_height": 6}
LABEL_STUDIO_MIN = [
    {
        "id": 1,
        "image": "/data/upload/1/0a1b2c3d-a.jpg",
        "note": "A mole. Taken in 2020.",
        "annotation_id": 1,
        "box": [{**_OF_IMAGE, "x": 25, "y": 100 / 6, "width": 37.5, "height": 100 / 3, "rectanglelabels": ["ruler"]}],
        "ring": [{**_OF_IMAGE, "points": PERCENT, "polygonlabels": ["ruler"]}],
        "brush": [{**_OF_IMAGE, "format": "rle", "rle": STROKE, "brushlabels": ["ruler"]}],
    }
]
CVAT = (
    '<annotations><image name="a.jpg" width="8" height="6">'
    '<box label="ruler" xtl="2" ytl="1" xbr="5" ybr="3" rotation="0"/>'
    '<polygon label="ruler" points="2,1;5,1;5,3;2,3"/>'
    '<mask label="ruler" rle="0, 6" left="2" top="1" width="3" height="2"/>'
    "</image></annotations>"
)
CVAT_VIDEO = (
    "<annotations><meta><original_size><width>8</width><height>6</height></original_size></meta>"
    '<track id="0" label="ruler"><box frame="0" outside="0" xtl="2" ytl="1" xbr="5" ybr="3"/>'
    '<box frame="4" outside="0" xtl="2" ytl="1" xbr="5" ybr="3"/>'
    '<box frame="6" outside="1" xtl="2" ytl="1" xbr="5" ybr="3"/></track></annotations>'
)
VOC = (
    "<annotation><filename>a.jpg</filename><size><width>8</width><height>6</height></size><object><name>ruler</name>"
    "<bndbox><xmin>2</xmin><ymin>1</ymin><xmax>5</xmax><ymax>3</ymax></bndbox></object></annotation>"
)
BOXES = "image,x1,y1,x2,y2,mark\na.jpg,2,1,5,3,spurious\nb.jpg,,,,,\n"
YOLO = "0 0.4375 0.333333333 0.375 0.333333333\n"
RUNS = "ImageId,EncodedPixels\na.jpg,14 2 20 2 26 2\nb.jpg,\n"

#: By name: the file's name, its content, and its categories.
FILES = {
    "coco": ("a.json", json.dumps(COCO), SIDES),
    "label_studio": ("a.json", json.dumps(LABEL_STUDIO), SIDES),
    "labelme": ("a.json", json.dumps(LABELME), SIDES),
    "via": ("a.json", json.dumps(VIA), SIDES),
    "qupath": ("a.geojson", json.dumps(QUPATH), SIDES),
    "chexlocalize": ("a.json", json.dumps(CHEXLOCALIZE), SIDES),
    "supervisely": ("a.jpg.json", json.dumps(SUPERVISELY), SIDES),
    "datumaro": ("a.json", json.dumps(DATUMARO), SIDES),
    "createml": ("a.json", json.dumps(CREATEML), SIDES),
    "labelbox": ("a.ndjson", json.dumps(LABELBOX) + "\n", SIDES),
    "label_studio_min": ("a.json", json.dumps(LABEL_STUDIO_MIN), SIDES),
    "megadetector": ("a.json", json.dumps(MEGADETECTOR), SIDES),
    "cvat": ("a.xml", CVAT, SIDES),
    "cvat_video": ("a.xml", CVAT_VIDEO, SIDES),
    "voc": ("a.xml", VOC, SIDES),
    "boxes": ("a.csv", BOXES, None),
    "yolo": ("a.txt", YOLO, {"0": "spurious"}),
    "runs": ("a.csv", RUNS, None),
}
