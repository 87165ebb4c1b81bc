"""Files of annotation tools, read and brought to the samples of a dataset."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch.utils.data import TensorDataset

from salreg import AnnotatedDataset
from salreg.readers import (
    FileAnnotations,
    SkippedAnnotations,
    read_boxes,
    read_coco,
    read_cvat,
    read_label_studio,
    read_masks,
    read_voc,
)

MASK = np.zeros((6, 8), dtype=np.uint8)
MASK[1:3, 2:5] = 1


def png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def coco(path, **changes):
    content = {
        "images": [{"id": 1, "file_name": "mole/a.jpg", "height": 6, "width": 8}],
        "categories": [{"id": 7, "name": "ruler"}, {"id": 8, "name": "lesion"}],
        "annotations": [{"id": 3, "image_id": 1, "category_id": 7, "bbox": [2, 1, 3, 2]}],
    }
    path.write_text(json.dumps(content | changes))
    return path


def csv(path, *rows, header="image,x1,y1,x2,y2"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_masks_hold_0_and_1_or_255(tmp_path):
    png(tmp_path / "s" / "mole" / "a.png", MASK)
    png(tmp_path / "s" / "mole" / "b.png", 255 * MASK)
    regions = read_masks(spurious=tmp_path / "s")
    assert set(regions) == {"mole/a", "mole/b"}
    for one in regions.values():
        assert torch.equal(one.draw((0, 0)), -torch.from_numpy(MASK).to(torch.int8).unsqueeze(0))


def test_two_folders_of_masks_mark_both_sides(tmp_path):
    png(tmp_path / "s" / "a.png", MASK)
    png(tmp_path / "r" / "a.png", MASK[::-1].copy())
    drawn = read_masks(spurious=tmp_path / "s", relevant=tmp_path / "r")["a"].draw((0, 0))
    assert sorted(drawn.unique().tolist()) == [-1, 0, 1]
    png(tmp_path / "r" / "a.png", MASK)
    with pytest.raises(ValueError, match=r"image 'a': 6 places are marked both spurious and relevant"):
        read_masks(spurious=tmp_path / "s", relevant=tmp_path / "r")["a"].draw((0, 0))


def test_wrong_masks_and_folders_are_named(tmp_path):
    png(tmp_path / "s" / "a.png", 128 * MASK)
    with pytest.raises(ValueError, match=r"s/a.png is unclear: it has the value 128"):
        read_masks(spurious=tmp_path / "s")["a"].draw((0, 0))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no mask"):
        read_masks(spurious=tmp_path / "empty")
    with pytest.raises(ValueError, match="needs spurious"):
        read_masks()


def test_a_mask_that_is_a_link_out_of_its_folder_is_not_read(tmp_path):
    png(tmp_path / "elsewhere.png", MASK)
    png(tmp_path / "s" / "a.png", MASK)
    (tmp_path / "s" / "b.png").symlink_to(tmp_path / "elsewhere.png")
    assert set(read_masks(spurious=tmp_path / "s")) == {"a"}


@pytest.mark.parametrize(
    "shape",
    [
        {"bbox": [2, 1, 3, 2]},
        {"segmentation": [[2, 1, 5, 1, 5, 3, 2, 3]]},
        {"segmentation": {"size": [6, 8], "counts": [13, 2, 4, 2, 4, 2, 21]}},
        {"segmentation": {"size": [6, 8], "counts": coco_mask.encode(np.asfortranarray(MASK))["counts"].decode()}},
    ],
    ids=["box", "polygon", "counts", "compressed"],
)
def test_coco_holds_boxes_polygons_and_runs(tmp_path, shape):
    path = coco(tmp_path / "coco.json", annotations=[{"image_id": 1, "category_id": 7, **shape}])
    drawn = read_coco(path, {"ruler": "spurious"})["mole/a"].draw((6, 8))
    assert torch.equal(drawn, -torch.from_numpy(MASK).to(torch.int8).unsqueeze(0))


def test_cocos_categories_choose_the_side(tmp_path):
    path = coco(tmp_path / "coco.json")
    assert read_coco(path, {"ruler": "relevant"})["mole/a"].draw((6, 8)).sum() == 6
    assert not read_coco(path, {"lesion": "relevant"})["mole/a"].draw((6, 8)).any()
    with pytest.raises(ValueError, match="no category 'rular' .did you mean 'ruler'"):
        read_coco(path, {"rular": "spurious"})


def test_a_coco_file_whose_ids_do_not_match_is_refused(tmp_path):
    stray = {"id": 3, "image_id": 2, "category_id": 7, "bbox": [0, 0, 1, 1]}
    shapeless = {"id": 3, "image_id": 1, "category_id": 7}
    for wrong, message in (
        (stray, "annotation 3: it belongs to image 2, which is not listed"),
        (stray | {"image_id": 1, "category_id": 9}, "annotation 3: it belongs to category 9"),
        (shapeless, "annotation 3: it has neither a segmentation nor a bbox"),
    ):
        path = coco(tmp_path / "coco.json", annotations=[wrong])
        with pytest.raises(ValueError, match=message):
            read_coco(path, {"ruler": "spurious"}, strict=True)
        with pytest.warns(SkippedAnnotations, match=message):
            assert not read_coco(path, {"ruler": "spurious"})["mole/a"].marks
    (tmp_path / "d.json").write_text('{"images": []}')
    with pytest.raises(ValueError, match="not a COCO file"):
        read_coco(tmp_path / "d.json", {"ruler": "spurious"})


def test_a_table_of_boxes_may_say_the_side(tmp_path):
    header = "image,x1,y1,x2,y2,mark"
    path = csv(tmp_path / "b.csv", "a.jpg,2,1,5,3,", "a.jpg,0,4,1,5,relevant", header=header)
    drawn = read_boxes(path)["a"].draw((6, 8))
    assert (drawn == -1).sum() == 6
    assert drawn[0, 4, 0] == 1
    overlapping = csv(tmp_path / "c.csv", "a.jpg,2,1,5,3,", "a.jpg,4,1,6,3,relevant", header=header)
    with pytest.raises(ValueError, match="2 places are marked both spurious and relevant"):
        read_boxes(overlapping)["a"].draw((6, 8))
    assert int(read_boxes(overlapping)["a"].drawn((6, 8)).annotation.sum()) == 2 - 4


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,2,1,x,3", "line 2: .'2', '1', 'x', '3'. are not numbers"),
        (",2,1,5,3", "'' is not the name of an image"),
        ("../,2,1,5,3", "'../' is not the name of an image"),
    ],
)
def test_wrong_rows_are_named_and_the_others_count(tmp_path, row, message):
    path = csv(tmp_path / "b.csv", row, "b.jpg,2,1,5,3")
    with pytest.raises(ValueError, match=message):
        read_boxes(path, strict=True)
    with pytest.warns(SkippedAnnotations, match=message):
        assert len(read_boxes(path)["b"].marks) == 1


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "C:\\photos\\a.jpg", "https://example.org/photos/a.jpg"])
def test_a_name_from_another_place_meets_its_image_by_its_end(tmp_path, name):
    annotations = FileAnnotations(["a.jpg", "b.jpg"], read_boxes(csv(tmp_path / "b.csv", f"{name},2,1,5,3")))
    assert annotations.without == ["b.jpg"]


def test_a_box_outside_the_image_and_a_missing_column_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"b.csv, image 'a.jpg', annotation in line 2: it is outside the image"):
        read_boxes(csv(tmp_path / "b.csv", "a.jpg,20,1,25,3"))["a"].draw((6, 8))
    with pytest.raises(ValueError, match="no column 'x1' .did you mean 'x'"):
        read_boxes(csv(tmp_path / "c.csv", header="image,x,y1,x2,y2"))


def dataset(annotations, images=2):
    return AnnotatedDataset(TensorDataset(torch.rand(images, 3, 6, 8), torch.arange(images)), annotations)


def test_annotations_meet_their_samples_by_path_or_by_a_unique_bare_name(tmp_path):
    regions = read_boxes(csv(tmp_path / "b.csv", "mole/a.jpg,2,1,5,3", "c.png,0,0,1,1", "z.jpg,0,0,1,1"))
    annotations = FileAnnotations(["mole/a.jpg", "nevus/a.jpg", "nevus/c.jpg"], regions)
    data = dataset(annotations, 3)
    assert [int(data[index].annotation.sum()) for index in range(3)] == [-6, 0, -1]
    assert annotations.without == ["nevus/a.jpg"]
    assert annotations.unused == ["z"]


def test_a_bare_name_that_several_images_have_belongs_to_none(tmp_path):
    regions = read_boxes(csv(tmp_path / "b.csv", "a.jpg,2,1,5,3"))
    with pytest.raises(ValueError, match="annotations of 'a.jpg' fit the images 'mole/a.jpg' and 'nevus/a.jpg'"):
        FileAnnotations(["mole/a.jpg", "nevus/a.jpg"], regions)
    assert FileAnnotations(["mole/a.jpg", "mole/a.png"], regions).without == ["mole/a.png"]
    png(tmp_path / "s" / "a.png", MASK)
    with pytest.raises(ValueError, match="annotations of 'a' fit the images 'mole/a.jpg' and 'mole/a.png'"):
        FileAnnotations(["mole/a.jpg", "mole/a.png"], read_masks(spurious=tmp_path / "s"))


def test_another_size_is_an_error_or_resized_and_counted(tmp_path):
    png(tmp_path / "s" / "a.png", MASK[::2, ::2].copy())
    regions = read_masks(spurious=tmp_path / "s")
    with pytest.raises(ValueError, match=r"'a.jpg' is of size .H, W. = .3, 4., its image of .6, 8."):
        dataset(FileAnnotations(["a.jpg"], regions), 1)[0]
    annotations = FileAnnotations(["a.jpg"], regions, resize=True)
    drawn = dataset(annotations, 1)[0].annotation
    assert drawn.dtype == torch.int8
    assert torch.equal(drawn[0, ::2, ::2], -torch.from_numpy(MASK[::2, ::2]).to(torch.int8))
    assert annotations.resized == 1


def cvat(path, shapes, name="mole/a.jpg", head=""):
    path.write_text(f'{head}<annotations><image name="{name}" width="8" height="6">{shapes}</image></annotations>')
    return path


@pytest.mark.parametrize(
    "shape",
    [
        '<box label="ruler" xtl="2.00" ytl="1.00" xbr="5.00" ybr="3.00"/>',
        '<polygon label="ruler" points="2,1;5,1;5,3;2,3"/>',
        '<mask label="ruler" rle="0,6" left="2" top="1" width="3" height="2"/>',
        '<mask label="ruler" rle="1,3,1,3" left="1" top="1" width="4" height="2"/>',
    ],
    ids=["box", "polygon", "mask", "mask in a larger box"],
)
def test_cvat_holds_boxes_polygons_and_masks(tmp_path, shape):
    drawn = read_cvat(cvat(tmp_path / "a.xml", shape), {"ruler": "spurious"})["mole/a"].draw((6, 8))
    assert torch.equal(drawn, -torch.from_numpy(MASK).to(torch.int8).unsqueeze(0))


def test_wrong_xml_is_refused(tmp_path):
    box = '<box label="ruler" xtl="2" ytl="1" xbr="5" ybr="3"/>'
    entity = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    with pytest.raises(ValueError, match="not readable XML: EntitiesForbidden"):
        read_cvat(cvat(tmp_path / "a.xml", box, head=entity), {"ruler": "spurious"})
    with pytest.raises(ValueError, match="not readable XML: ParseError"):
        read_cvat(cvat(tmp_path / "b.xml", "<box>"), {"ruler": "spurious"})
    with pytest.raises(ValueError, match="has the label 'rular' .did you mean 'ruler'"):
        read_cvat(cvat(tmp_path / "d.xml", box), {"rular": "spurious"})
    short = '<mask label="ruler" rle="0,5" left="2" top="1" width="3" height="2"/>'
    with pytest.raises(ValueError, match="'mole/a.jpg', annotation 0: its runs cover 5 places of a mask of 2 x 3"):
        read_cvat(cvat(tmp_path / "e.xml", short), {"ruler": "spurious"}, strict=True)


#: What Label Studio makes of a stroke over MASK's places: encode_rle of label-studio-sdk 2.1.2.
STROKE = [0, 0, 0, 192, 57, 27, 254, 39, 0, 183, 255, 132, 192, 45, 255, 230, 176, 0]


def label_studio(path, kind="rectangle", image="/data/upload/1/0a1b2c3d-a.jpg", cancelled=False, **value):
    value = {f"{kind}labels": ["ruler"], **value}
    result = {"type": f"{kind}labels", "original_width": 8, "original_height": 6, "value": value}
    task = {"id": 4, "data": {"note": "no image", "image": image}, "annotations": [{"result": [result]}]}
    task["annotations"][0]["was_cancelled"] = cancelled
    path.write_text(json.dumps([task]))
    return path


BOX = {"x": 25, "y": 100 / 6, "width": 37.5, "height": 200 / 6}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("rectangle", BOX),
        ("rectangle", {"x": 62.5, "y": 100 / 6, "width": 25, "height": 50, "rotation": 90}),
        ("polygon", {"points": [[25, 100 / 6], [62.5, 100 / 6], [62.5, 50], [25, 50]]}),
        ("brush", {"format": "rle", "rle": STROKE}),
    ],
    ids=["box", "turned box", "polygon", "brush"],
)
def test_label_studio_holds_boxes_polygons_and_strokes(tmp_path, kind, value):
    drawn = read_label_studio(label_studio(tmp_path / "s.json", kind, **value), {"ruler": "spurious"})["a"].draw((6, 8))
    expected = -torch.from_numpy(MASK).to(torch.int8).unsqueeze(0)
    assert torch.equal(drawn, expected)


def test_an_ellipse_of_label_studio_is_round(tmp_path):
    path = tmp_path / "s.json"
    value = {"x": 50, "y": 50, "radiusX": 40, "radiusY": 30, "rotation": 30, "ellipselabels": ["ruler"]}
    result = {"type": "ellipselabels", "original_width": 200, "original_height": 200, "value": value}
    path.write_text(json.dumps([{"data": {"image": "a.jpg"}, "annotations": [{"result": [result]}]}]))
    drawn = read_label_studio(path, {"ruler": "relevant"})["a"].draw((0, 0))[0]
    y, x = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    turn = torch.tensor(torch.pi / 6)
    along = (x - 100) * turn.cos() + (y - 100) * turn.sin()
    across = (y - 100) * turn.cos() - (x - 100) * turn.sin()
    inside = (along / 80) ** 2 + (across / 60) ** 2 <= 1
    assert (inside != (drawn > 0)).float().mean() < 0.01


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/1/0a1b2c3d-a.jpg", "a"),
        ("/data/upload/a.jpg", "a"),
        ("/data/local-files/?d=photos/mole%20s/a.jpg", "photos/mole s/a"),
        ("s3://bucket/mole/a.jpg", "mole/a"),
        ("https://example.org/mole/a%20b.jpg?token=x.y", "mole/a b"),
        ("mole/a.jpg", "mole/a"),
    ],
)
def test_label_studios_addresses_are_names(tmp_path, address, name):
    assert set(read_label_studio(label_studio(tmp_path / "s.json", image=address, **BOX), {"ruler": "spurious"})) == {name}


def test_what_is_wrong_in_label_studios_file_is_named(tmp_path):
    path, sides = tmp_path / "s.json", {"ruler": "spurious"}
    with pytest.raises(ValueError, match=r"label 'rular' .did you mean 'ruler'"):
        read_label_studio(label_studio(path, **BOX), {"rular": "spurious"})
    with pytest.raises(ValueError, match="No shape of .* has the label 'ruler'"):
        read_label_studio(label_studio(path, cancelled=True, **BOX), sides)
    for broken in (STROKE[:-4], STROKE[:12], [0] * 30):
        with pytest.raises(ValueError, match=r"image 'a.jpg', annotation 0 of annotation 0 of task 4: a brush stroke"):
            read_label_studio(label_studio(path, "brush", rle=broken), sides, strict=True)["a"].draw((6, 8))
    for content in ('{"a": 1}', "[1]", '[{"image": "a.jpg", "label": []}]', "no json"):
        path.write_text(content)
        with pytest.raises(ValueError, match="not (a )?JSON"):
            read_label_studio(path, sides)
    content = json.loads(label_studio(path, **BOX).read_text())
    content[0]["annotations"][0]["result"][0]["image_rotation"] = 90
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="its image was rotated by 90 degrees"):
        read_label_studio(path, sides, strict=True)


def test_names_match_where_one_is_the_only_end_of_the_other():
    class Nothing:
        def draw(self, size):
            raise AssertionError

    def unmatched(images, names):
        return FileAnnotations(images, {name: Nothing() for name in names}).without

    assert unmatched(["mole/a.jpg", "mole/b.jpg"], ["photos/mole/a", "b"]) == []
    assert unmatched(["a.jpg", "mole/a.jpg", "c.jpg"], ["mole/a", "c"]) == ["a.jpg"]
    for images, names, both in (
        (["x/a.jpg", "y/a.jpg", "y/b.jpg"], ["a", "b"], "'a' fit the images 'x/a.jpg' and 'y/a.jpg'"),
        (["a.jpg", "b.jpg"], ["x/a", "y/a", "y/b"], "image 'a.jpg' fits the annotations of 'x/a' and 'y/a'"),
        (["a.jpg", "mole/a.jpg"], ["photos/mole/a"], "'photos/mole/a' fit the images 'a.jpg' and 'mole/a.jpg'"),
    ):
        with pytest.raises(ValueError, match=f"match several others: .*{both}"):
            unmatched(images, names)


@pytest.mark.parametrize(("read", "library", "extra"), [(read_cvat, "defusedxml", "cvat"), (read_voc, "defusedxml", "cvat")])
def test_a_library_that_is_missing_is_named_with_what_to_install(tmp_path, monkeypatch, read, library, extra):
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / "marks").write_text("<annotation/>")
    with pytest.raises(ModuleNotFoundError, match=rf"{library} is needed .* pip install 'salreg\[{extra}\]'"):
        read(tmp_path / "marks", {"ruler": "spurious"})
