"""Odd files that were read wrongly without a word, or ended in a traceback."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from readers.examples import COCO, SIDES

from salreg.readers import FileAnnotations, SkippedAnnotations, read_annotations, read_masks, sniff

SIZE = (80, 100)


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def pixels(regions, size=SIZE):
    return {name: int(one.drawn(size).annotation.abs().sum()) for name, one in regions.items()}


def coco(path, annotations, images=({"id": 1, "file_name": "a.jpg"},), categories=COCO["categories"]):
    made = [{"id": n, "image_id": 1, "category_id": 7, **one} for n, one in enumerate(annotations)]
    return written(path, {"images": list(images), "categories": list(categories), "annotations": made})


@pytest.mark.parametrize(
    "place", [{"bbox": [0.1, 0.1, 0.5, 0.5]}, {"segmentation": [[0.1, 0.1, 0.5, 0.1, 0.5, 1.02]]}, {"bbox": [0.1, 0, 0.95, 1]}]
)
def test_fractions_of_the_image_are_not_taken_for_pixels(tmp_path, place):
    with pytest.warns(SkippedAnnotations, match="its coordinates look like fractions of the image"):
        assert pixels(read_annotations(coco(tmp_path / "a.json", [place]), SIDES)) == {"a": 0}
    x1, y1, x2, y2 = 0.1, 0.1, 0.5, 0.5
    box = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
    voc = f"<annotation><filename>a.jpg</filename><object><name>ruler</name><bndbox>{box}</bndbox></object></annotation>"
    with pytest.warns(SkippedAnnotations, match="its coordinates look like fractions of the image"):
        read_annotations(written(tmp_path / "a.xml", voc), SIDES)


@pytest.mark.parametrize("ring", [[0, 0, 10, 10, 20, 20], [5, 5, 5, 5, 5, 5], [1, 2, 4, 8, 2, 4, 3, 6], [0, 3, 9, 3, 5, 3]])
def test_a_polygon_on_one_line_covers_nothing(tmp_path, ring):
    with pytest.warns(SkippedAnnotations, match="corners lie on one line"):
        read_annotations(coco(tmp_path / "a.json", [{"segmentation": [ring]}]), SIDES)


def test_a_polygon_that_crosses_itself_is_drawn(tmp_path):
    path = coco(tmp_path / "a.json", [{"segmentation": [[0, 0, 10, 10, 10, 0, 0, 10]]}])
    assert pixels(read_annotations(path, SIDES, strict=True)) == {"a": 50}


def test_two_images_or_categories_of_one_id_are_not_one(tmp_path):
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}, {"id": 2.0, "coco_url": "http://x.org/c.jpg"}]
    path = coco(tmp_path / "a.json", [{"bbox": [1, 1, 5, 5]}, {"image_id": 2, "bbox": [1, 1, 5, 5]}], images)
    with pytest.warns(SkippedAnnotations, match="'a.jpg' and 'b.jpg' have the same id, 1"):
        regions = read_annotations(path, SIDES)
    assert pixels(regions) == {"a": 0, "b": 0, "x.org/c": 25}
    assert [one.skipped for one in regions.values()] == [1, 1, 0]
    categories = [{"id": 7, "name": "ruler"}, {"id": 7, "name": "mole"}]
    with pytest.raises(ValueError, match="two categories with the id 7: 'ruler' and 'mole'"):
        read_annotations(coco(tmp_path / "a.json", [], categories=categories), {"mole": "spurious"})


def test_an_image_with_a_mark_of_an_unlisted_category_has_not_nothing(tmp_path):
    with pytest.warns(SkippedAnnotations, match="belongs to category 8, which is not listed"):
        regions = read_annotations(coco(tmp_path / "a.json", [{"category_id": 8, "bbox": [1, 1, 5, 5]}]), SIDES)
    assert FileAnnotations(["a.jpg"], regions)(0, torch.zeros(3, *SIZE)) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": [], "categories": [], "annotations": [{"segments_info": []}]}, "COCO panoptic.*panoptic2detection"),
        ({"project": {}, "metadata": {}, "file": {}}, "VIA 3.*as COCO"),
    ],
)
def test_other_versions_of_a_format_are_named(tmp_path, content, message):
    with pytest.raises(ValueError, match=f"looks like {message}"):
        read_annotations(written(tmp_path / "a.json", content), SIDES)


def qupath(path, classification):
    ring = [[10, 10], [30, 10], [30, 30], [10, 30], [10, 10]]
    place = {"type": "Polygon", "coordinates": [ring]}
    return written(path, [{"type": "Feature", "geometry": place, "properties": {"classification": classification}}])


def test_marks_without_a_label_are_said_where_labels_are_asked_for(tmp_path):
    with pytest.raises(ValueError, match="has the label 'ruler'. Its 1 shapes have no label"):
        read_annotations(qupath(tmp_path / "a.geojson", None), SIDES)
    path = qupath(tmp_path / "a.geojson", {"names": ["ruler", "glass"]})
    with pytest.raises(ValueError, match="did you mean 'ruler: glass'"):
        read_annotations(path, SIDES)
    assert pixels(read_annotations(path, {"ruler: glass": "spurious"})) == {"a": 400}


def test_two_shapes_of_a_track_on_one_frame_and_a_turn_over_north(tmp_path):
    box = '<box frame="{}" outside="{}" xtl="20" ytl="35" xbr="80" ybr="45" rotation="{}"/>'
    size = "<meta><original_size><width>100</width><height>80</height></original_size></meta>"
    shapes = box.format(0, 0, 315) + box.format(2, 0, 45) + box.format(2, 0, 45) + box.format(3, 1, 45)
    path = written(tmp_path / "a.xml", f'<annotations>{size}<track label="ruler">{shapes}</track></annotations>')
    drawn = read_annotations(path, SIDES, strict=True)["frame_000001"].draw(SIZE)[0]
    assert (drawn[35:45, 20:80] == -1).all()
    assert int(drawn.sum()) == -600


def test_images_of_one_name_in_several_tasks_are_said(tmp_path):
    box = '<box label="ruler" xtl="{}" ytl="0" xbr="{}" ybr="10"/>'
    images = [f'<image name="a.jpg" task_id="{n}" width="100" height="80">{box.format(n, n + 10)}</image>' for n in (0, 20)]
    regions = read_annotations(written(tmp_path / "a.xml", f"<annotations>{''.join(images)}</annotations>"), SIDES)
    assert pixels(regions) == {"a": 200}
    assert "several tasks have an image 'a.jpg'" in regions.notes[0]


def labelme(path, *shapes):
    made = [{"label": "ruler", "shape_type": kind, "points": points, **more} for kind, points, more in shapes]
    return written(path, {"imagePath": "a.jpg", "imageHeight": 80, "imageWidth": 100, "shapes": made})


def test_labelmes_masks_and_rectangles_by_their_corners_are_drawn(tmp_path):
    mask = np.array([[1, 0, 1], [0, 1, 1]], bool)
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    more = {"mask": base64.b64encode(file.getvalue()).decode()}
    corners = [[50, 40], [60, 30], [70, 40], [60, 50]]
    path = labelme(tmp_path / "a.json", ("mask", [[5, 7], [7, 8]], more), ("rotation", corners, {}))
    drawn = -read_annotations(path, SIDES, strict=True)["a"].draw(SIZE)[0]
    assert np.array_equal(drawn[7:9, 5:8], mask)
    assert int(drawn.sum()) == 4 + 200
    square = [[1, 1], [5, 1], [5, 5], [1, 5]]
    path = labelme(tmp_path / "a.json", ("mask", [[5, 7], [9, 9]], more), ("rectangle", square, {}))
    with pytest.warns(SkippedAnnotations, match=r"its mask has size \(H, W\) = \(2, 3\), but its box has"):
        assert pixels(read_annotations(path, SIDES)) == {"a": 16}


TABLES = {
    "an index, as pandas writes one": (",image,x1,y1,x2,y2\n0,a.jpg,0,0,5,5\n", {"a": 25}),
    "Excel's separator": ("sep=;\nimage;x1;y1;x2;y2\na.jpg;0;0;5;5\n", {"a": 25}),
    "bars": ("image|x1|y1|x2|y2\na.jpg|0|0|5|5\n", {"a": 25}),
    "None": ("image,x1,y1,x2,y2\na.jpg,None,None,None,None\nb.jpg,<NA>,<NA>,<NA>,<NA>\n", {"a": 0, "b": 0}),
    "no finding": ("image_id,class_name,x_min,y_min,x_max,y_max\na,No finding,0,0,1,1\nb,Mass,0,0,5,5\n", {"a": 0, "b": 25}),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_as_programs_write_them(tmp_path, name):
    table, expected = TABLES[name]
    assert pixels(read_annotations(written(tmp_path / "a.csv", table), strict=True)) == expected


def test_digits_with_an_underscore_are_no_number(tmp_path):
    with pytest.warns(SkippedAnnotations, match="not finite numbers"):
        read_annotations(written(tmp_path / "a.csv", "image,x1,y1,x2,y2\na.jpg,0,0,1_0,5\n"))


def test_classes_of_run_lengths_are_told_apart_by_categories(tmp_path):
    path = written(tmp_path / "a.csv", "ImageId,ClassId,EncodedPixels\na.jpg,1,1 5\na.jpg,2,10 6\n")
    assert pixels(read_annotations(path, {"2": "spurious"})) == {"a": 6}
    regions = read_annotations(path)
    assert pixels(regions) == {"a": 11}
    assert "masks of all 2 classes count as spurious" in regions.notes[0]
    with pytest.raises(ValueError, match="has no column ClassId"):
        read_annotations(written(tmp_path / "b.csv", "ImageId,EncodedPixels\na.jpg,1 5\n"), {"2": "spurious"})


@pytest.mark.parametrize("names", ["names: {0: mole, 1: ruler}\n", "names:\n- mole # brown\n- ruler # white\n"])
def test_yolos_names_are_read_however_yaml_writes_them(tmp_path, names):
    written(tmp_path / "data.yaml", names)
    (tmp_path / "labels").mkdir()
    written(tmp_path / "labels" / "a.txt", "1 .5 .5 .2 .2\n")
    assert pixels(read_annotations(tmp_path / "labels", SIDES)) == {"a": 320}
    assert sniff(tmp_path / "labels").name == "YOLO"


@pytest.mark.parametrize("opacity", [60, 127, 255])
def test_a_brush_that_lets_the_picture_through_marks_too(tmp_path, opacity):
    values = np.zeros((8, 8, 4), np.uint8)
    values[:2] = (255, 0, 0, opacity)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert pixels(read_masks(spurious=tmp_path), (8, 8)) == {"a": 16}


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("https://x.org/a/b.jpg?Expires=1&d=2#top", "a/b.jpg"),
        ("images/b.jpg", "moles/b.jpg"),
        ("obj_train_data/b.txt.jpg", "moles/b.txt.jpg"),
    ],
)
def test_what_an_address_or_a_tool_adds_to_a_name_does_not_matter(tmp_path, name, image):
    path = written(tmp_path / "a.csv", f"image,x1,y1,x2,y2\n{name},0,0,5,5\n")
    assert FileAnnotations([image, "moles/c.jpg"], read_annotations(path)).without == ["moles/c.jpg"]


def test_names_that_fit_several_are_said_where_nothing_else_is_left(tmp_path):
    regions = read_annotations(written(tmp_path / "a.csv", "image,x1,y1,x2,y2\nb.jpg,0,0,5,5\n"))
    with pytest.raises(ValueError, match=r"None of the 1 annotated names .* fit the images 'x/b.jpg' and 'y/b.jpg'"):
        FileAnnotations(["x/b.jpg", "y/b.jpg"], regions, ambiguous="unmatched")


def test_label_studios_csv_and_its_videos_are_named(tmp_path):
    path = written(tmp_path / "a.csv", "annotation_id,annotator,id,image,label,lead_time\n1,1,1,x.jpg,[],1\n")
    with pytest.raises(ValueError, match="looks like Label Studio's CSV.*as JSON"):
        read_annotations(path, SIDES)
    result = {"id": "v", "type": "videorectangle", "to_name": "video", "value": {"labels": ["ruler"], "sequence": []}}
    task = {"data": {"video": "/a.mp4"}, "annotations": [{"result": [result]}]}
    with pytest.warns(SkippedAnnotations, match="annotation v: "):
        read_annotations(written(tmp_path / "a.json", [task]), SIDES)


def test_one_file_of_a_folder_that_cannot_be_read_does_not_refuse_the_others(tmp_path):
    labelme(tmp_path / "a.json", ("rectangle", [[1, 1], [5, 5]], {}))
    written(tmp_path / "settings.json", {"theme": "dark"})
    written(tmp_path / "z.json", '{"shapes": [')
    with pytest.warns(
        SkippedAnnotations, match="2 skipped, unreadable file: .*settings.json is not a LabelMe JSON file.*z.json is"
    ):
        assert pixels(read_annotations(tmp_path, SIDES)) == {"a": 16}
    with pytest.raises(ValueError, match="settings.json is not a LabelMe JSON file"):
        read_annotations(tmp_path, SIDES, strict=True)
    (tmp_path / "voc").mkdir()
    written(tmp_path / "voc" / "a.xml", "<annotation><filename>a.jpg</filename></annotation>")
    written(tmp_path / "voc" / "b.xml", "<annotation>")
    with pytest.warns(SkippedAnnotations, match="b.xml is not readable XML"):
        assert set(read_annotations(tmp_path / "voc", SIDES)) == {"a"}


@pytest.mark.parametrize("photo", ["b.jpg", None])
def test_the_file_in_a_folder_is_named(tmp_path, photo):
    coco(tmp_path / "_annotations.coco.json", [{"bbox": [1, 1, 5, 5]}])
    if photo:
        Image.new("RGB", (8, 8)).save(tmp_path / photo)
    with pytest.raises(ValueError, match="a folder with .*_annotations.coco.json in it, which looks like COCO: name that file"):
        read_annotations(tmp_path, SIDES)
