"""An image that a file lists without marks was looked at: something else than one that it does not list."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from salreg import AnnotatedDataset
from salreg.readers import FileAnnotations, SkippedAnnotations, read_boxes, read_coco, read_cvat, read_label_studio, read_masks

RULER = {"ruler": "spurious"}


def masks(path):
    path.mkdir()
    for name, value in (("marked", 255), ("clean", 0)):
        Image.fromarray(np.full((6, 8), value, np.uint8)).save(path / f"{name}.png")
    return read_masks(spurious=path)


def boxes(path):
    path.write_text("image,x1,y1,x2,y2\nmarked.jpg,2,1,5,3\nclean.jpg,,,,\n")
    return read_boxes(path)


def coco(path):
    images = [{"id": i, "file_name": f"{name}.jpg", "height": 6, "width": 8} for i, name in enumerate(("marked", "clean"))]
    ruler = {"image_id": 0, "category_id": 7, "bbox": [2, 1, 3, 2]}
    path.write_text(json.dumps({"images": images, "categories": [{"id": 7, "name": "ruler"}], "annotations": [ruler]}))
    return read_coco(path, RULER)


def cvat(path):
    ruler = '<box label="ruler" xtl="2" ytl="1" xbr="5" ybr="3"/>'
    path.write_text(
        f'<annotations><image name="marked.jpg" width="8" height="6">{ruler}</image>'
        '<image name="clean.jpg" width="8" height="6"/></annotations>'
    )
    return read_cvat(path, RULER)


def task(image, *annotations):
    return {"data": {"image": image}, "annotations": list(annotations)}


def rectangle(label):
    value = {"x": 25, "y": 100 / 6, "width": 37.5, "height": 200 / 6, "rectanglelabels": [label]}
    return {"type": "rectanglelabels", "original_width": 8, "original_height": 6, "value": value}


def label_studio(path, *tasks):
    tasks = tasks or (task("marked.jpg", {"result": [rectangle("ruler")]}), task("clean.jpg", {"result": []}))
    path.write_text(json.dumps(tasks))
    return read_label_studio(path, RULER)


@pytest.mark.parametrize("regions_of", [masks, boxes, coco, cvat, label_studio])
def test_what_a_file_lists_without_marks_was_looked_at_and_what_it_does_not_list_was_not(tmp_path, regions_of):
    images = ["marked.jpg", "clean.jpg", "unseen.jpg"]
    annotations = FileAnnotations(images, regions_of(tmp_path / "file"))
    base = TensorDataset(torch.rand(3, 3, 6, 8))
    data = AnnotatedDataset(base, annotations)
    assert [one.looked_at for one in data] == [True, True, False]
    assert [bool(one.annotation.any()) for one in data] == [True, False, False]
    assert annotations.without == ["unseen.jpg"]
    assert [one.looked_at for one in AnnotatedDataset(base, annotations, empty="unknown")] == [True, False, False]


@pytest.mark.parametrize(("regions_of", "drawn"), [(boxes, (3, 4)), (label_studio, (3, 4)), (coco, (6, 8)), (cvat, (6, 8))])
def test_nothing_is_drawn_in_the_size_that_the_file_states_or_else_that_of_the_image(tmp_path, regions_of, drawn):
    nothing = regions_of(tmp_path / "file")["clean"].draw((3, 4))
    assert torch.equal(nothing, torch.zeros(1, *drawn, dtype=torch.int8))


def test_a_file_whose_images_all_lack_the_thing_matches_them(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image,x1,y1,x2,y2\na.jpg,,,,\nb.jpg, , , , \n")
    assert FileAnnotations(["x/a.jpg", "x/b.jpg"], read_boxes(path)).without == []
    with pytest.raises(ValueError, match="None of the 2 annotated names belongs to one of the 1 images: there is 'a'"):
        FileAnnotations(["c.jpg"], read_boxes(path))


@pytest.mark.parametrize("row", ["a.jpg,,1,5,3", "a.jpg,,,,3", "a.jpg"])
def test_a_row_that_is_half_empty_or_cut_off_is_no_empty_one(tmp_path, row):
    path = tmp_path / "boxes.csv"
    path.write_text(f"image,x1,y1,x2,y2\n{row}\n")
    with pytest.raises(ValueError, match="line 2: the edges of a box must be four numbers, or all empty if nothing is"):
        read_boxes(path, strict=True)
    with pytest.warns(SkippedAnnotations, match="1 skipped, no number: .*line 2"):
        assert read_boxes(path)["a"].skipped == 1


def test_an_empty_row_beside_a_box_takes_nothing_away(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image,x1,y1,x2,y2\na.jpg,,,,\na.jpg,2,1,5,3\n")
    assert int(read_boxes(path)["a"].draw((6, 8)).sum()) == -6


def test_shapes_of_other_labels_alone_are_an_empty_annotation(tmp_path):
    pencil = task("clean.jpg", {"result": [rectangle("pencil")]})
    regions = label_studio(tmp_path / "file", task("marked.jpg", {"result": [rectangle("ruler")]}), pencil)
    assert not regions["clean"].draw((6, 8)).any()
    path = tmp_path / "coco.json"
    coco(path)
    content = json.loads(path.read_text())
    content["categories"].append({"id": 8, "name": "pencil"})
    content["annotations"].append({"image_id": 1, "category_id": 8, "bbox": [0, 0, 1, 1]})
    path.write_text(json.dumps(content))
    assert not read_coco(path, RULER)["clean"].draw((6, 8)).any()


def test_a_task_of_label_studio_was_looked_at_once_somebody_finished_it(tmp_path):
    regions = label_studio(
        tmp_path / "file",
        task("marked.jpg", {"result": []}, {"result": [rectangle("ruler")]}),
        task("waiting.jpg"),
        task("skipped.jpg", {"result": [], "was_cancelled": True}),
        task("skipped_once.jpg", {"result": [], "was_cancelled": True}, {"result": []}),
    )
    assert set(regions) == {"marked", "skipped_once"}
    assert int(regions["marked"].draw((3, 4)).sum()) == -6


def test_a_finished_task_without_an_image_is_named(tmp_path):
    finished = {"id": 9, "data": {"text": "a mole"}, "annotations": [{"result": []}]}
    with pytest.raises(ValueError, match="task 9 has no address of an image"):
        label_studio(tmp_path / "file", finished)
    path = tmp_path / "export.json"
    path.write_text(json.dumps([finished, task("marked.jpg", {"result": [rectangle("ruler")]})]))
    with pytest.warns(SkippedAnnotations, match="task 9 has no address of an image"):
        assert set(read_label_studio(path, RULER)) == {"marked"}
