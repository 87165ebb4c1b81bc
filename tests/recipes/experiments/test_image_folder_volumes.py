"""A user's own volumes, with masks of volumes or marks on their slices."""

from pathlib import Path

import numpy as np
import pytest
import torch
from readers.dicom_files import dicom
from support import ONE_EPOCH

from salreg.readers import SkippedAnnotations, read_annotations, read_boxes
from salreg.readers.dicom_series import series
from salreg.recipes.command.cli import main
from salreg.recipes.data.volume_files import VolumeFolder, of_volumes
from salreg.recipes.experiments.image_folder import build
from salreg.recipes.training.config import load

SHAPE = (12, 10, 8)  # left to right, back to front, foot to head
SMALL = ["data.size=10", "data.depth=8", "data.batch_size=4", "data.crop=1"]


def nifti(path, values, affine=None):
    nibabel = pytest.importorskip("nibabel")
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


@pytest.fixture(autouse=True)
def volumes(tmp_path):
    """Twelve volumes of noise, with a clip at the left of the front, near the feet; every third of them and its mask was
    stored the other way round."""
    generator = np.random.default_rng(0)
    for number in range(12):
        values = generator.uniform(0, 50, SHAPE).astype(np.float32)
        mask = np.zeros(SHAPE, np.uint8)
        if number != 5:
            mask[:4, -3:, :2] = 1
        values[mask > 0] = 100
        name = Path(("a", "b")[number % 2]) / f"{number}.nii.gz"
        turned = np.diag([-1.0, -1, 1, 1])
        for folder, one in (("volumes", values), ("masks", mask)):
            if number % 3:
                nifti(tmp_path / folder / name, one)
            else:
                nifti(tmp_path / folder / name, np.ascontiguousarray(one[::-1, ::-1]), turned)
    return tmp_path / "volumes"


def built(*overrides):
    return build(load("image_folder", ["data.root=volumes", "data.annotations=masks", *SMALL, *overrides]))


def test_marks_lie_on_the_thing_however_the_volume_was_stored():
    experiment = built("data.size=12", "data.depth=8")
    marked = 0
    for split in (experiment.train, experiment.validation, experiment.test):
        for sample in split.dataset.base:
            volume, marks = sample.sample[0], sample.annotation
            assert volume.shape == marks.shape == (1, 8, 12, 12)
            assert sample.looked_at
            if marks.any():
                marked += 1
                assert (marks[0, :2, :3, :4] == -1).all()  # feet, front, left
                assert int(marks.sum()) == -2 * 4 * 4  # three of ten rows are four of twelve
                assert volume[0, :2, :3, :4].min() > 0.95
                assert volume[marks == 0].mean() < 0.4
    assert marked == 11


def test_it_trains_and_draws_slices_of_them():
    assert main(["run", "image_folder", "data.root=volumes", "data.annotations=masks", *SMALL, *ONE_EPOCH]) == 0
    assert len(list(Path("runs").rglob("film_strip.png"))) == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.name=vit"], "For volumes, model.name must be resnet, not 'vit'"),
        (["data.annotations=boxes.csv"], "it is flat, but its image is a volume"),
        (["data.root=mixed"], "mixed holds volumes, such as a/0.nii.gz, and images, such as a/0.png"),
    ],
)
def test_mistakes_are_one_line(volumes, capsys, overrides, message):
    Path("boxes.csv").write_text("image,x1,y1,x2,y2\na/0,0,0,2,2\n")
    mixed = Path("mixed/a/0.nii.gz")
    mixed.parent.mkdir(parents=True)
    mixed.write_bytes((volumes / "a" / "0.nii.gz").read_bytes())
    mixed.with_name("0.png").write_bytes(b"")
    run = ["run", "image_folder", "data.root=volumes", "data.annotations=masks", *SMALL, *ONE_EPOCH, *overrides]
    assert main(run) == 2
    assert message in capsys.readouterr().err


def test_masks_of_volumes_are_checked(capsys):
    assert main(["annotations", "check", "masks", "--data", "volumes", "--sheet", "sheet.png"]) == 0
    out = capsys.readouterr().out
    assert "12 of 12 images were looked at: 11 marked (11 spurious, 0 relevant); 1 looked at, nothing marked." in out
    assert Path("sheet.png").is_file()
    nifti(Path("masks/a/0.nii.gz"), np.ones((3, 3, 3), np.uint8))
    nifti(Path("masks/a/2.nii.gz"), np.arange(960).reshape(SHAPE).astype(np.int16))
    assert main(["annotations", "check", "masks", "--data", "volumes", "--sheet", "second.png"]) == 0
    out = capsys.readouterr().out
    assert "annotations whose size differs from their image's: a/0.nii.gz" in out
    assert "is unclear: it has the value 1 and 958 more" in out


def a_series(folder, values, orientation=(1, 0, 0, 0, 1, 0), uid="1.2.9"):
    """Slices of ``values`` (slices, rows, columns), in files whose names are in no order."""
    folder.mkdir(parents=True)
    normal = np.cross(orientation[:3], orientation[3:])
    for number, one in enumerate(values):
        place = {"ImagePositionPatient": [float(x) for x in 2.0 * number * normal], "SeriesInstanceUID": uid}
        place |= {"ImageOrientationPatient": list(orientation), "InstanceNumber": 99 - number}
        dicom(folder / f"{(7 * number) % 10}.dcm", one, uid=f"{uid}.{number + 1}", **place)


def test_a_series_is_the_volume_that_its_nifti_is(tmp_path):
    values = np.random.default_rng(0).integers(0, 4000, (6, 10, 12))
    a_series(tmp_path / "dicom" / "a" / "one", values)
    sagittal = (0, 1, 0, 0, 0, -1)  # rows from front to back, columns from head to foot, slices from left to right
    a_series(tmp_path / "dicom" / "b" / "two", values, sagittal)
    folder = VolumeFolder(tmp_path / "dicom")
    assert folder.classes == ["a", "b"]
    first, second = (folder[number][0][0].numpy() for number in (0, 1))
    assert folder.size(0) == first.shape == (6, 10, 12)
    assert np.allclose(first, values[:, :, ::-1] / values.max() * 1.0 - values.min() / values.max(), atol=2e-3)
    assert folder.size(1) == second.shape == (10, 12, 6)
    nibabel = pytest.importorskip("nibabel")
    along, down = np.array(sagittal[:3]), np.array(sagittal[3:])
    affine = np.eye(4)  # of columns, rows and slices to right, front and head, as dcm2niix has it
    affine[:3, :3] = np.diag([-1, -1, 1]) @ np.stack([along, down, 2 * np.cross(along, down)], 1)
    nifti(tmp_path / "nifti" / "a" / "two.nii.gz", values.transpose(2, 1, 0).astype(np.int16), affine)
    nifti(tmp_path / "nifti" / "b" / "two.nii.gz", values.transpose(2, 1, 0).astype(np.int16), affine)
    assert nibabel.aff2axcodes(affine) == ("P", "I", "R")
    assert np.allclose(VolumeFolder(tmp_path / "nifti")[0][0][0], second, atol=1e-5)


def test_marks_of_slices_are_stacked(tmp_path):
    root = tmp_path / "dicom"
    a_series(root / "a" / "one", np.ones((6, 10, 12), int))
    a_series(root / "b" / "two", np.ones((6, 10, 12), int))
    third = series(root / "a" / "one").files[2].relative_to(root).as_posix()
    (tmp_path / "boxes.csv").write_text(f"image,x1,y1,x2,y2\n{third},1,2,4,5\n")
    folder = VolumeFolder(root)
    marks = of_volumes(read_boxes(tmp_path / "boxes.csv"), root, folder.paths)
    assert set(marks) == {"a/one"}
    drawn = marks["a/one"].draw((6, 10, 12))
    expected = torch.zeros(6, 10, 12)
    expected[2, 2:5, 8:11] = -1  # DICOM's rows go from right to left
    assert torch.equal(drawn[0].float(), expected)
    assert int(marks["a/one"].draw((3, 2, 2)).sum()) == -1


def test_slices_that_make_no_volume_are_named(tmp_path, capsys):
    a_series(tmp_path / "dicom" / "a" / "one", np.ones((6, 10, 12), int))
    a_series(tmp_path / "dicom" / "b" / "two", np.ones((6, 10, 12), int))
    series(tmp_path / "dicom" / "b" / "two").files[2].unlink()
    series.cache_clear()
    nifti(tmp_path / "marks" / "a" / "one.nii.gz", np.ones((12, 10, 6), np.uint8))
    run = ["run", "image_folder", "data.root=dicom", "data.annotations=marks", *SMALL, *ONE_EPOCH]
    assert main(run) == 2
    assert "dicom holds 2 volumes, of which 2 are for validation and 2 for testing: none are left" in capsys.readouterr().err
    with pytest.raises(ValueError, match="two cannot be read: a slice is missing"):
        VolumeFolder(tmp_path / "dicom")[1]


def test_a_dicom_segmentation_marks_a_series(tmp_path):
    hd = pytest.importorskip("highdicom")
    from pydicom import dcmread
    from pydicom.sr.codedict import codes

    root = tmp_path / "dicom"
    for number, name in enumerate(("a/one", "b/two")):
        a_series(root / name, np.random.default_rng(number).integers(0, 4000, (6, 10, 12)), uid=f"1.2.{number + 9}")
    slices = [dcmread(path) for path in series(root / "a" / "one").files]
    for one in slices:
        one.SOPClassUID, one.PixelSpacing, one.SliceThickness, one.Modality = "1.2.840.10008.5.1.4.1.1.2", [1, 1], 2, "CT"
    mask = np.zeros((6, 10, 12), bool)
    mask[1:3, 2:5, :3] = True
    kinds = hd.seg.SegmentAlgorithmTypeValues.MANUAL, hd.seg.SegmentationTypeValues.BINARY
    clip = hd.seg.SegmentDescription(1, "clip", codes.SCT.Tissue, codes.SCT.Organ, kinds[0])
    made = hd.seg.Segmentation(slices, mask, kinds[1], [clip], "1.2.3.9", 2, "1.2.3.10", 1, "salreg", "test", "1", "1")
    made.save_as(tmp_path / "seg.dcm")
    regions = read_annotations(tmp_path / "seg.dcm", {"clip": "spurious"}, images=root)
    folder = VolumeFolder(root)
    drawn = of_volumes(regions, root, folder.paths)["a/one"].draw((6, 10, 12))[0]
    assert np.array_equal(drawn, -mask[:, :, ::-1].astype(int))
    twice = root / "b" / "two" / "copy.dcm"
    twice.write_bytes(series(root / "a" / "one").files[0].read_bytes())
    with pytest.warns(SkippedAnnotations, match="copy.dcm' have the same number, 1.2.9.1"):
        read_annotations(tmp_path / "seg.dcm", {"clip": "spurious"}, images=root)
