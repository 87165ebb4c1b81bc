"""Supervisely, Datumaro, CreateML, Labelbox and Label Studio's JSON-MIN, beside an ordinary box."""

import json

import pytest
import torch
from readers.examples import BITMAP, CREATEML, DATUMARO, LABEL_STUDIO_MIN, LABELBOX, SIDES, SUPERVISELY

from salreg.readers import (
    FileAnnotations,
    SkippedAnnotations,
    read_annotations,
    read_createml,
    read_datumaro,
    read_label_studio_min,
    read_labelbox,
    read_qupath,
    read_supervisely,
    read_voc,
    sniff,
)


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")
    return path


def supervisely(path, *objects, height=80, width=100):
    return written(path, {"size": {"height": height, "width": width}, "objects": list(objects)})


def object_of(kind, **more):
    return {"classTitle": "ruler", "geometryType": kind, **more}


def drawn(regions, name="a"):
    return -regions[name].draw((80, 100))[0]


def test_a_polygon_of_supervisely_has_its_holes_and_a_line_its_width(tmp_path):
    square, hole = ([[x, y], [x + n, y], [x + n, y + n], [x, y + n]] for x, y, n in ((10, 10, 20), (15, 15, 5)))
    parts = [{"exterior": square, "interior": [hole]}, {"exterior": [[50, 10], [60, 10], [60, 20], [50, 20]]}]
    path = supervisely(
        tmp_path / "a.jpg.json",
        object_of("multipolygon", parts=parts),
        object_of("line", points={"exterior": [[70, 50.5], [90, 50.5]], "interior": []}),
    )
    marked = drawn(read_supervisely(path, SIDES, strict=True))
    assert int(marked[:40].sum()) == 400 - 25 + 100
    assert not marked[15:20, 15:20].any()
    assert marked[49:52, 70:90].all()
    assert int(marked[40:].sum()) == pytest.approx(60 + 3.1416 * 1.5**2, abs=1)  # its ends are round


def test_a_rectangle_of_supervisely_includes_its_last_whole_pixels_and_turns_clockwise(tmp_path):
    turned = object_of("oriented_bbox", points=[[20, 35], [79, 44]], angle=torch.pi / 2)
    whole = object_of("rectangle", points={"exterior": [[1, 1], [9, 4]]})
    parts = object_of("rectangle", points={"exterior": [[10.5, 1.5], [12.5, 4.5]]})
    path = supervisely(tmp_path / "a.jpg.json", turned, whole)
    marked = drawn(read_supervisely(path, SIDES, strict=True))
    assert marked[10:70, 45:55].all()
    assert marked[1:5, 1:10].all()
    assert int(marked.sum()) == 600 + 36
    assert int(drawn(read_supervisely(supervisely(path, parts), SIDES)).sum()) == 6


def test_a_project_of_supervisely_is_read_with_the_images_of_its_folders(tmp_path):
    box = object_of("rectangle", points={"exterior": [[1, 1], [9, 9]]})
    for number in (1, 2):
        supervisely(tmp_path / f"ds{number}" / "ann" / "a.jpg.json", *[box] * (number == 1))
        written(tmp_path / f"ds{number}" / "img_info" / "a.jpg.json", {"id": number})
    written(tmp_path / "meta.json", {"classes": [{"title": "ruler"}], "tags": []})
    assert sniff(tmp_path).name == "Supervisely"
    regions = read_annotations(tmp_path, SIDES)
    matched = FileAnnotations(["ds1/img/a.jpg", "ds2/img/a.jpg"], regions)
    assert [int(matched(n, torch.zeros(3, 80, 100)).sum()) for n in (0, 1)] == [-81, 0]
    (tmp_path / "ds2" / "ann" / "a.jpg.json").rename(tmp_path / "ds2" / "ann" / "b.jpg.json")
    assert FileAnnotations(["photos/a.jpg", "photos/b.jpg"], read_annotations(tmp_path, SIDES)).without == []


@pytest.mark.parametrize(
    ("bitmap", "reason"),
    [
        ({"origin": [2, 1], "data": "eJwDAAAAAAE="}, "its bitmap is not a picture"),
        ({"origin": [2, 1], "data": "%"}, "its bitmap is not a picture"),
        ({"origin": [0.5, 1], "data": BITMAP}, "not begin at a whole pixel"),
        ({"origin": [float("nan"), 1], "data": BITMAP}, "not finite numbers"),
        ({"data": BITMAP}, "has no origin"),
        ({"origin": [500, 1], "data": BITMAP}, ""),
    ],
)
def test_a_bitmap_of_supervisely_that_is_none_is_named(tmp_path, bitmap, reason):
    path = supervisely(tmp_path / "a.jpg.json", object_of("bitmap", id=7, bitmap=bitmap), object_of("point"))
    with pytest.warns(SkippedAnnotations, match=f"annotation 7: .*{reason}" if reason else "'point' has no area"):
        regions = read_supervisely(path, SIDES)
    assert not regions["a"].drawn((80, 100)).annotation.any()
    assert regions["a"].skipped + len(regions["a"].drawn((80, 100)).problems) == 2


def test_a_bitmap_between_the_pixels_of_a_smaller_picture_marks_where_it_lies(tmp_path):
    path = supervisely(tmp_path / "a.jpg.json", object_of("bitmap", bitmap={"origin": [21, 11], "data": BITMAP}))
    found = read_supervisely(path, SIDES)["a"].drawn((8, 10), (80, 100))
    assert found.problems == []
    assert found.annotation[0].nonzero().tolist() == [[1, 2]]


def test_datumaro_draws_ellipses_turned_boxes_and_lines_and_names_the_rest(tmp_path):
    content = json.loads(json.dumps(DATUMARO))
    item = content["items"][0]
    item |= {"id": "x/a", "media": {"path": "x/a.png", "size": [80, 100]}, "annotations": []}
    del item["image"]
    for kind, more in (
        ("ellipse", {"points": [30, 30, 70, 50]}),
        ("bbox", {"bbox": [0, 5, 20, 10], "attributes": {"rotation": 90}}),
        ("polyline", {"points": [0, 70.5, 100, 70.5]}),
        ("points", {"points": [1, 1]}),
        ("label", {}),
        ("skeleton", {"elements": []}),
        ("bbox", {"id": "unlisted", "label_id": 9, "bbox": [1, 1, 5, 5]}),
    ):
        item["annotations"].append({"id": kind, "type": kind, "label_id": 1, **more})
    with pytest.warns(SkippedAnnotations, match="2 skipped, no area: .*annotation points: .*annotation skeleton: "):
        regions = read_datumaro(written(tmp_path / "train.json", content), SIDES)
    marked = drawn(regions, "x/a")
    assert int(marked[25:55].sum()) == pytest.approx(3.1416 * 20 * 10, abs=8)
    assert marked[0:20, 5:15].all()
    assert int(marked[:25].sum()) == 200
    assert marked[69:72].all()
    assert int(marked[55:].sum()) == 300
    written(tmp_path / "test.json", content)
    with pytest.warns(SkippedAnnotations):
        assert set(read_annotations(tmp_path, SIDES)) == {"train/x/a", "test/x/a"}


def test_createmls_fractions_are_not_taken_for_pixels(tmp_path):
    content = json.loads(json.dumps(CREATEML))
    content += [{"image": "b.jpg", "annotations": []}, {"image": "c.jpg"}]
    content[0]["annotations"].append({"label": "ruler", "coordinates": {"x": 0.5, "y": 0.5, "width": 0.2, "height": 0.1}})
    with pytest.warns(SkippedAnnotations) as caught:
        regions = read_createml(written(tmp_path / "a.json", content), SIDES)
    assert "image 'a.jpg', annotation 1: its coordinates look like fractions" in str(caught[0].message)
    assert "annotation 2: it is not an image with annotations" in str(caught[0].message)
    assert (set(regions), regions["a"].skipped) == ({"a", "b"}, 1)
    assert drawn(regions)[1:3, 2:5].all()
    assert int(drawn(regions).sum()) == 6


def test_labelboxs_rows_without_a_label_were_not_looked_at_and_its_masks_are_named(tmp_path):
    rows = [json.loads(json.dumps(LABELBOX)) for _ in range(3)]
    rows[0]["projects"]["p"]["labels"][0]["annotations"]["objects"].append(
        {"feature_id": "m1", "name": "ruler", "annotation_kind": "ImageSegmentationMask", "mask": {"url": "https://x/m"}}
    )
    rows[1] |= {"data_row": {"row_data": "https://storage.org/x/b%20c.jpg?sig=1"}}
    rows[1]["projects"]["p"]["labels"][0]["annotations"]["objects"] = [
        {"name": "ruler", "line": [{"x": 0, "y": 3}, {"x": 8, "y": 3}]}
    ]
    rows[2] |= {"data_row": {"external_id": "d.jpg"}, "projects": {"p": {"labels": []}}}
    path = tmp_path / "a.ndjson"
    path.write_text("\n".join(map(json.dumps, rows)) + "\nno json\n")
    with pytest.warns(SkippedAnnotations) as caught:
        regions = read_annotations(path, SIDES)
    assert "annotation m1: its mask is stored at an address, which is not fetched" in str(caught[0].message)
    assert "annotation in line 4: it is not a data row" in str(caught[0].message)
    assert {name: int(-one.draw((6, 8)).sum()) for name, one in regions.items()} == {"a": 6, "x/b c": 24}
    assert set(read_labelbox(written(tmp_path / "b.json", rows[1:]), SIDES, strict=True)) == {"x/b c"}


def test_json_min_joins_the_records_of_a_task_and_says_what_it_cannot_tell(tmp_path):
    first, second = json.loads(json.dumps(LABEL_STUDIO_MIN * 2))
    second |= {"annotation_id": 2, "ring": [], "brush": []}
    second["box"][0] |= {"x": 0, "labels": ["ruler"], "rectanglelabels": []}  # labels of a control of their own
    empty = {"id": 2, "image": "b.jpg", "annotation_id": 3, "box": []}
    unfinished = {"id": 3, "image": "c.jpg", "annotation_id": None}
    several = {**first, "id": 4, "image": "d.jpg", "other": "e.jpg", "ring": [], "brush": []}
    with pytest.warns(SkippedAnnotations, match="annotation 0 of task 4: JSON-MIN does not say which of its task's images"):
        regions = read_label_studio_min(written(tmp_path / "a.json", [first, second, empty, unfinished, several]), SIDES)
    assert set(regions) == {"a", "b", "d", "e"}
    assert regions["a"].draw((6, 8))[0, 1].tolist() == [-1] * 5 + [0] * 3
    assert [regions[name].skipped for name in "abde"] == [0, 0, 1, 1]
    assert any("does not say whether images were rotated" in note for note in regions.notes)


def test_supervisely_is_known_by_its_content(tmp_path):
    assert sniff(written(tmp_path / "a.json", SUPERVISELY)).name == "Supervisely"


def test_rolabelimgs_boxes_turn_clockwise_by_radians(tmp_path):
    box = "<cx>50</cx><cy>40</cy><w>60</w><h>10</h>"
    objects = [
        f"<object><name>ruler</name><robndbox>{box}<angle>{angle}</angle></robndbox></object>" for angle in (0, 1.5707963)
    ]
    for name, one in zip("ab", objects, strict=True):
        (tmp_path / f"{name}.xml").write_text(f"<annotation>{one}</annotation>")
    regions = read_voc(tmp_path, SIDES, strict=True)
    for name, inside in (("a", (slice(35, 45), slice(20, 80))), ("b", (slice(10, 70), slice(45, 55)))):
        expected = torch.zeros(80, 100, dtype=torch.int8)
        expected[inside] = 1
        assert torch.equal(drawn(regions, name), expected)


def test_of_a_collection_of_qupath_the_polygons_count(tmp_path):
    square = {"type": "Polygon", "coordinates": [[[10, 10], [20, 10], [20, 20], [10, 20], [10, 10]]]}
    two = {"type": "MultiPolygon", "coordinates": [[[[30, 10], [40, 10], [40, 20], [30, 20], [30, 10]]]]}
    point = {"type": "Point", "coordinates": [1, 1]}
    collections = [[square, two, point], [point]]
    features = [
        {
            "type": "Feature",
            "properties": {"classification": {"name": "ruler"}},
            "geometry": {"type": "GeometryCollection", "geometries": geometries},
        }
        for geometries in collections
    ]
    path = written(tmp_path / "a.geojson", features)
    with pytest.warns(SkippedAnnotations, match="GeometryCollection"):
        marked = drawn(read_qupath(path, SIDES))
    assert int(marked.sum()) == 200
    assert marked[10:20, 30:40].all()
