"""Files of other tools, and what they may hold besides an ordinary box."""

import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from readers.examples import COCO, LABEL_STUDIO, LABELME, SIDES, VOC, YOLO

from salreg.readers import (
    FileAnnotations,
    SkippedAnnotations,
    read_annotations,
    read_boxes,
    read_coco,
    read_cub,
    read_cvat,
    read_cvat_video,
    read_label_studio,
    read_via,
    read_yolo,
    sniff,
)

SIZE = (800, 1000)


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def pixels(regions, size=SIZE):
    return {name: int(-one.drawn(size).annotation.sum()) for name, one in regions.items()}


TABLES = {
    "NIH": ("Image Index,Finding Label,Bbox [x,y,w,h],,,\na.png,Mass,225.0,547.0,80,70,,,\n", {"a": 5600}),
    "NIH, quoted": ('Image Index,Finding Label,"Bbox [x,y,w,h]"\na.png,Mass,"[225, 547, 80, 70]"\n', {"a": 5600}),
    "RSNA": ("patientId,x,y,width,height,Target\na,264.0,152.0,213.0,379.0,1\nb,,,,,0\n", {"a": 213 * 379, "b": 0}),
    "VinDr": (
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\na,Mass,0,R1,69,75,653,331\nb,No finding,14,R1,,,,\n",
        {"a": 584 * 256, "b": 0},
    ),
    "Open Images": ("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\na,x,/m/1,1,0.1,0.3,0.5,0.75\n", {"a": 200 * 200}),
    "TensorFlow": ("filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,1000,800,ruler,1,1,9,9\n", {"a": 64}),
    "tabs": ("image\tx1\ty1\tx2\ty2\na.jpg\t0\t0\t10\t10\n", {"a": 100}),
    "semicolons": ("Image; X1; Y1; X2; Y2\na.jpg; 0; 0; 10; 10\n", {"a": 100}),
    "fractions": ("image,x1,y1,x2,y2\na.jpg,0.1,0.1,0.5,0.5\n", {"a": 400 * 320}),
    "twins": ("image,x1,y1,x2,y2\nx/a.jpg,0,0,5,5\nx/a.png,5,5,10,11\n", {"x/a.jpg": 25, "x/a.png": 30}),
    "UIDs": ("image,x1,y1,x2,y2\n1.2.840.1,0,0,5,5\n1.2.840.2,5,5,10,11\n", {"1.2.840.1": 25, "1.2.840.2": 30}),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_boxes_are_read_whatever_their_columns(tmp_path, name, encoding):
    table, expected = TABLES[name]
    (tmp_path / "a.csv").write_bytes(table.encode(encoding))
    assert pixels(read_annotations(tmp_path / "a.csv", strict=True)) == expected


def test_columns_of_any_name_can_be_named(tmp_path):
    path = written(tmp_path / "a.csv", "who,l,t,w,h,what\na,0,0,10,10,ruler\nb,0,0,10,20,mole\n")
    columns = {"image": "who", "x": "l", "y": "t", "width": "w", "height": "h", "label": "what"}
    assert pixels(read_boxes(path, columns=columns, categories=SIDES)) == {"a": 100, "b": 0}
    with pytest.raises(ValueError, match=r"no column 'lft'.*It has: who, l, t"):
        read_boxes(path, columns={**columns, "x": "lft"})
    with pytest.raises(ValueError, match="columns has no 'left'"):
        read_boxes(path, columns={**columns, "left": "l"})
    with pytest.raises(ValueError, match=r"no column 'image'.*It has: who, l, t, w, h, what"):
        read_boxes(path)


def test_fractions_among_pixels_are_named_and_those_of_a_whole_table_said(tmp_path):
    path = written(tmp_path / "a.csv", "image,x1,y1,x2,y2\na.jpg,0.1,0.1,0.5,0.5\nb.jpg,0,0,10,10\n")
    with pytest.warns(SkippedAnnotations, match="looks like fractions of the image among boxes in pixels"):
        assert pixels(read_boxes(path)) == {"a": 0, "b": 100}
    written(path, TABLES["fractions"][0])
    assert "were read as fractions" in read_boxes(path).notes[0]


def test_cvat_tells_images_of_one_name_apart_by_their_subset(tmp_path):
    box = '<box label="ruler" xtl="{}" ytl="0" xbr="50" ybr="10"/>'
    image = f'<image name="a.jpg" subset="{{}}" width="100" height="80">{box}</image>'
    path = written(tmp_path / "a.xml", f"<annotations>{image.format('Train', 0)}{image.format('Test', 40)}</annotations>")
    regions = read_cvat(path, SIDES)
    assert pixels(regions, (80, 100)) == {"Train/a": 500, "Test/a": 100}
    assert FileAnnotations(["images/Test/a.jpg", "images/Train/a.jpg"], regions).without == []
    with pytest.raises(ValueError, match="fits the annotations of 'Train/a.jpg' and 'Test/a.jpg'"):
        FileAnnotations(["a.jpg"], regions)


def test_one_image_that_is_listed_twice_keeps_both_marks_unless_its_sizes_differ(tmp_path):
    entry = {"file_name": "a.jpg", "height": 80, "width": 100}
    content = {"images": [{"id": 1, **entry}, {"id": 2, **entry}], "categories": [{"id": 7, "name": "ruler"}]}
    content["annotations"] = [{"image_id": n, "category_id": 7, "bbox": [50 * (n - 1), 0, 10, 10]} for n in (1, 2)]
    path = written(tmp_path / "a.json", content)
    assert pixels(read_coco(path, SIDES, strict=True), (80, 100)) == {"a": 200}
    content["images"][1]["width"] = 200
    with pytest.warns(SkippedAnnotations, match=r"listed with the sizes \(80, 100\) and \(80, 200\)"):
        assert pixels(read_coco(written(path, content), SIDES), (80, 100)) == {"a": 100}


def cvat(path, shapes):
    return written(path, f'<annotations><image name="a.jpg" width="100" height="80">{shapes}</image></annotations>')


def test_cvats_ellipses_and_polylines_are_drawn_and_what_has_no_area_is_counted(tmp_path):
    shapes = '<ellipse label="ruler" cx="50" cy="40" rx="20" ry="10"/><polyline label="ruler" points="0,70;99,70"/>'
    none = '<points label="ruler" points="1,1;50,50"/><tag label="ruler"/><skeleton label="ruler"/><cuboid label="ruler"/>'
    path = cvat(tmp_path / "a.xml", shapes + none)
    with pytest.warns(SkippedAnnotations, match="4 skipped, no area: .*'points' has no area"):
        regions = read_cvat(path, SIDES)
    assert pixels(regions, (80, 100))["a"] == pytest.approx(628 + 300, abs=10)
    with pytest.warns(SkippedAnnotations):
        alone = read_cvat(cvat(tmp_path / "b.xml", none), SIDES)
    assert FileAnnotations(["a.jpg"], alone)(0, torch.zeros(3, 80, 100)) is None  # something is there, nobody knows where


def test_lines_are_as_wide_as_it_is_said(tmp_path):
    path = cvat(tmp_path / "a.xml", '<polyline label="ruler" points="0,40.5;100,40.5"/>')
    assert pixels(read_annotations(path, SIDES), (80, 100)) == {"a": 300}
    assert pixels(read_annotations(path, SIDES, line_width=7), (80, 100)) == {"a": 700}
    for width in (0, float("nan")):
        with pytest.raises(ValueError, match="line_width"):
            read_annotations(path, SIDES, line_width=width)


def test_a_track_lasts_until_it_is_outside_and_is_interpolated(tmp_path):
    box = '<box frame="{}" outside="{}" xtl="{}" ytl="0" xbr="{}" ybr="10"/>'
    track = box.format(1, 0, 0, 10) + box.format(5, 0, 40, 50) + box.format(7, 1, 40, 50)
    size = "<original_size><width>100</width><height>80</height></original_size>"
    meta = f"<meta><task><stop_frame>8</stop_frame>{size}</task></meta>"
    path = written(tmp_path / "a.xml", f'<annotations>{meta}<track label="ruler">{track}</track></annotations>')
    regions = read_cvat_video(path, SIDES, strict=True)
    rows = [one.draw((80, 100))[0, 0] for one in regions.values()]
    starts = [row.argmin().item() if row.any() else None for row in rows]
    assert starts == [None, 0, 10, 20, 30, 40, 40, None, None]


def label_studio(path, data, **result):
    tasks = json.loads(json.dumps(LABEL_STUDIO))
    tasks[0]["data"] = data
    tasks[0]["annotations"][0]["result"] = [{**tasks[0]["annotations"][0]["result"][0], **result}]
    return written(path, tasks)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/1/8e2b5d-img.jpg", "img"),
        ("http://localhost:8080/data/upload/1/8e2b5dff-img.jpg", "img"),
        ("/labelstudio/data/upload/1/8e2b5dff-img.jpg", "img"),
        ("/data/local-files/?d=C%3A%5Cphotos%5Ca%5Cb.jpg", "photos/a/b"),
        ("azure-blob://c/img.jpg", "img"),
        ("gs://bucket/a/img.jpg", "a/img"),
        ("/tasks/17/presign/?fileuri=czM6Ly9idWNrZXQvaW1nLmpwZw==", "img"),
        ("https://x.org/images/img", "images/img"),
        ("/data/local-files/?d=photos/a #1 & b.jpg", "photos/a #1 & b"),
        ("/data/local-files/?d=photos/a%26b.jpg&token=1", "photos/a&b"),
        ("s3://bucket/photos/a #1.jpg", "photos/a #1"),
        ("photos/a #1.jpg", "photos/a #1"),
        ("/data/upload/1/8e2b5dff-bild_%C3%BC.jpg", "bild_ü"),
    ],
)
def test_label_studios_addresses_of_all_storages_are_names(tmp_path, address, name):
    data = {"prompt": "A photo of a mole. Taken in 2020.", "image": address}
    assert set(read_label_studio(label_studio(tmp_path / "a.json", data), SIDES, strict=True)) == {name}


def test_of_several_images_label_studios_marks_belong_to_the_one_they_were_made_on(tmp_path):
    two = {"left": "/data/upload/1/8e2b5dff-a.jpg", "right": "/data/upload/1/8e2b5dff-b.jpg"}
    path = label_studio(tmp_path / "a.json", two, to_name="right")
    assert pixels(read_label_studio(path, SIDES), (6, 8)) == {"a": 0, "b": 6}
    path = label_studio(tmp_path / "a.json", two, to_name="imgR")
    assert pixels(read_label_studio(path, SIDES, fields={"imgR": "right"}), (6, 8)) == {"a": 0, "b": 6}
    with pytest.warns(SkippedAnnotations, match=r"must say which of \['left', 'right'\] is shown by its control 'imgR'"):
        regions = read_label_studio(path, SIDES)
    assert [one.skipped for one in regions.values()] == [1, 1]
    listed = {"images": list(two.values())}
    path = label_studio(tmp_path / "a.json", listed, item_index=1)
    assert pixels(read_label_studio(path, SIDES), (6, 8)) == {"a": 0, "b": 6}


def test_an_image_level_annotation_does_not_refuse_the_file(tmp_path):
    content = json.loads(json.dumps(COCO))
    content["images"].append({"id": "2", "file_name": "/data/b.jpg"})
    content["annotations"] += [{"id": 9, "image_id": 2, "category_id": 7}, {"id": 10, "image_id": 9, "category_id": 7}, "none"]
    with pytest.warns(SkippedAnnotations) as caught:
        regions = read_coco(written(tmp_path / "a.json", content), SIDES)
    assert "image '/data/b.jpg', annotation 9: it has neither a segmentation nor a bbox" in str(caught[0].message)
    assert pixels(regions, (6, 8)) == {"a": 6, "data/b": 0}
    assert [problem.id for problem in regions.problems] == ["9", "10", "6"]


def test_yolo_has_the_names_of_its_classes_beside_it(tmp_path):
    written(tmp_path / "data.yaml", "nc: 2\nnames:\n  0: mole\n  1: ruler\n")
    (tmp_path / "labels").mkdir()
    written(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.5 0.5\n0 0.5 0.5 1 1\n1 0 0 0.25 0 0.25 0.25 0 0.25\n")
    written(tmp_path / "labels" / "b.txt", "")
    assert pixels(read_yolo(tmp_path / "labels", SIDES), (8, 8)) == {"a": 20, "b": 0}
    assert pixels(read_yolo(tmp_path / "labels", {"0": "spurious"}), (8, 8)) == {"a": 64, "b": 0}
    written(tmp_path / "data.yaml", "names: ['mole', 'ruler']\n")
    assert pixels(read_yolo(tmp_path / "labels", SIDES), (8, 8)) == {"a": 20, "b": 0}


def test_cub_and_vias_table_and_folders_of_single_files(tmp_path):
    written(tmp_path / "images.txt", "1 001.A/a.jpg\n2 002.B/b.jpg\n")
    path = written(tmp_path / "bounding_boxes.txt", "1 60.0 27.0 10.0 4.0\n3 1 1 1 1\n")
    with pytest.warns(SkippedAnnotations, match="in line 2: '3 1 1 1 1' does not consist of a number from images.txt"):
        assert pixels(read_cub(path)) == {"001.A/a": -40}
    table = written(
        tmp_path / "via.csv",
        "filename,region_shape_attributes,region_attributes\n"
        'a.jpg,"{""name"":""rect"",""x"":1,""y"":1,""width"":5,""height"":5}","{""label"":""ruler""}"\nb.jpg,{},{}\n',
    )
    assert pixels(read_via(table, SIDES)) == {"a": 25, "b": 0}


@pytest.mark.parametrize(
    ("name", "content", "looks_like", "advice"),
    [
        ("a.json", [{"Labeled Data": "x", "Label": {}}], "Labelbox's older export", "as NDJSON"),
        ("a.json", [{"image_id": 1, "category_id": 1, "bbox": [], "score": 1}], "COCO's results", "images' numbers"),
        ("a.jsonl", '{"text": "A ruler", "label": []}', "marks of texts", "salreg run text_classification"),
    ],
)
def test_formats_that_are_not_read_are_named_with_what_to_do(tmp_path, name, content, looks_like, advice):
    path = written(tmp_path / name, content)
    assert looks_like in sniff(path).name
    with pytest.raises(ValueError, match=f"{name} looks like .*{looks_like}.*{advice}"):
        read_annotations(path, SIDES)


@pytest.mark.parametrize("content", ["", "[1, 2", '{"a": {}}', "[[[[" * 5000, "null"])
def test_a_file_of_no_format_names_itself_and_those_that_are_read(tmp_path, content):
    path = written(tmp_path / "a.json", content)
    with pytest.raises(
        ValueError, match=r"a.json (is empty|is not JSON|cannot be read as JSON|has no known format.* COCO, CVAT)"
    ):
        read_annotations(path, SIDES)


def test_a_file_that_needs_categories_asks_for_them(tmp_path):
    with pytest.raises(ValueError, match=r"looks like COCO. Say which categories of .*a.json are spurious or relevant"):
        read_annotations(written(tmp_path / "a.json", COCO))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_annotations(tmp_path / "a.json", SIDES)["a"].size == (6, 8)


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [("a.json", LABELME, "LabelMe"), ("a.xml", VOC, "Pascal VOC"), ("a.txt", YOLO, "YOLO"), ("README.txt", "Masks.", "masks")],
)
def test_marks_may_lie_among_the_images(tmp_path, name, content, format):
    Image.new("L", (8, 6)).save(tmp_path / "a.png")
    written(tmp_path / name, content)
    assert format in sniff(tmp_path).name


def test_a_file_is_known_by_its_content_whatever_it_is_called(tmp_path):
    assert pixels(read_annotations(written(tmp_path / "a.xml", COCO), SIDES), (6, 8)) == {"a": 6}
    assert pixels(read_annotations(written(tmp_path / "b.json", VOC), SIDES), (6, 8)) == {"a": 6}


def test_a_box_of_coco_may_be_turned(tmp_path):
    content = json.loads(json.dumps(COCO))
    content["images"][0] |= {"height": 80, "width": 100}
    content["annotations"] = [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [20, 35, 60, 10], "attributes": {"rotation": 90.0}}
    ]
    drawn = read_coco(written(tmp_path / "a.json", content), SIDES)["a"].draw((80, 100))[0]
    assert (drawn[10:70, 45:55] == -1).all()
    assert int(drawn.sum()) == -600


def test_features_of_isic_are_superpixels(tmp_path):
    numbers = np.arange(48).reshape(6, 8) // 6 + 300
    colours = np.stack([numbers % 256, numbers // 256, 0 * numbers], -1).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "ISIC_1_superpixels.png")
    flags = [int(number in (302, 303)) for number in range(400)]
    written(tmp_path / "ISIC_1_features.json", {"streaks": flags, "pigment_network": [0] * 400})
    regions = read_annotations(tmp_path, {"streaks": "relevant", "pigment_network": "spurious"})
    drawn = regions["ISIC_1"].draw((6, 8))[0]
    assert np.array_equal(drawn, np.isin(numbers, (302, 303)).astype(int))
    with pytest.warns(SkippedAnnotations, match="not a list of 0 and 1"):
        read_annotations(written(tmp_path / "ISIC_1_features.json", {"streaks": [2]}), {"streaks": "relevant"})
