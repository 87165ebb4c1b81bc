"""Images as they are seen: turned by EXIF, of 16 bits, of DICOM, of NIfTI, and whole slides."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from readers.dicom_files import dicom

from salreg.annotations import from_mask
from salreg.readers import FileAnnotations, read_annotations, read_dicom_seg, read_masks, slides
from salreg.readers.dicom import picture
from salreg.readers.dicom import values as greys
from salreg.readers.nifti import read_volume
from salreg.readers.pictures import opened, size_of
from salreg.recipes.data.image_files import ImageFiles, image_paths

PIXELS = np.zeros((80, 100), np.uint8)
PIXELS[:10, :20] = 200


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "how"), [("jpg", {}), ("png", {}), ("tif", {}), ("tif", {"compression": "tiff_lzw"})])
def test_an_image_is_upright_and_so_is_its_size(tmp_path, orientation, suffix, how):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    quarters = {3: 2, 6: 1, 8: 3}.get(orientation, 0)  # that a camera was turned
    Image.fromarray(np.rot90(PIXELS, quarters)).save(path, exif=exif, **how)
    with opened(path) as image:
        assert size_of(path) == (image.height, image.width)
        if orientation in (1, 3, 6, 8):
            assert np.abs(np.asarray(image).astype(int) - PIXELS).mean() < 3


def dataset(root):
    paths = image_paths(root)
    return ImageFiles(root, paths, [0] * len(paths), [0] * len(paths), ["image"])


def test_images_of_sixteen_bits_keep_their_greys(tmp_path):
    ramp = np.linspace(0, 65535, 80 * 100).reshape(80, 100).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    Image.fromarray(ramp).save(tmp_path / "b.tif")
    for image, _, _ in dataset(tmp_path):
        assert torch.allclose(image, torch.from_numpy(ramp.astype(np.float32) / 65535).expand(3, 80, 100))


def test_an_image_may_be_read_at_the_size_of_the_training(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    images = ImageFiles(tmp_path, image_paths(tmp_path), [0], [0], ["image"], resized=(8, 10))
    assert images[0][0].shape == (3, 8, 10)
    assert images.size(0) == (80, 100)
    (tmp_path / "masks").mkdir()
    Image.fromarray((PIXELS > 0).astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    annotations = FileAnnotations(["a.png"], read_masks(spurious=tmp_path / "masks"), size_of=images.size)
    drawn = annotations(0, images[0])
    assert drawn.shape == (1, 8, 10)
    assert int(drawn.sum()) == int(drawn[0, 0, :2].sum()) == -2


def test_dicom_is_read_with_its_rescale_window_and_white(tmp_path):
    values = np.arange(80 * 100).reshape(80, 100)
    window = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 3000.5, "WindowWidth": 2001}
    dicom(tmp_path / "a.dcm", values, **window)
    dicom(tmp_path / "b.dcm", values, **window, PhotometricInterpretation="MONOCHROME1")
    dicom(tmp_path / "1.2.840.7", values)
    expected = ((2.0 * values - 1000 - 2000) / 2000).clip(0, 1)
    found = {path.name: image for path, (image, _, _) in zip(image_paths(tmp_path), dataset(tmp_path), strict=True)}
    assert np.allclose(found["a.dcm"][0], expected, atol=1e-4)
    assert np.allclose(found["b.dcm"][0], 1 - expected, atol=1e-4)
    assert np.allclose(found["1.2.840.7"][0], values / values.max(), atol=1e-4)
    assert size_of(tmp_path / "a.dcm") == (80, 100)


def test_a_dicom_file_that_is_none_is_an_error_that_names_it(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no image" * 40)
    with pytest.raises(ValueError, match=r"a.dcm cannot be read: it is (not DICOM|DICOM without an image)"):
        dataset(tmp_path)[0]


@pytest.mark.parametrize("read", [size_of, picture, greys])
def test_a_dicom_segmentation_is_no_image(tmp_path, read):
    dicom(tmp_path / "a.dcm", np.zeros((4, 6)), Modality="SEG")
    with pytest.raises(OSError, match="it is a DICOM-SEG, which holds marks of other images"):
        read(tmp_path / "a.dcm")


def test_a_dicom_segmentation_meets_its_images_by_their_uid(tmp_path):
    hd = pytest.importorskip("highdicom")
    from pydicom.sr.codedict import codes

    (tmp_path / "images").mkdir()
    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
    place |= {"SliceThickness": 1, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}
    image = dicom(tmp_path / "images" / "a.dcm", PIXELS.astype(int), uid="1.2.840.55", **place)
    ruler = hd.seg.SegmentDescription(
        1, "ruler", codes.SCT.Tissue, codes.SCT.Organ, hd.seg.SegmentAlgorithmTypeValues.MANUAL
    )  # fmt: skip
    hd.seg.Segmentation(
        [image], (PIXELS > 0)[None], hd.seg.SegmentationTypeValues.BINARY, [ruler], "1.2.3.9", 2, "1.2.3.10", 1,
        "salreg", "test", "1", "1",
    ).save_as(tmp_path / "seg.dcm")  # fmt: skip
    by_uid = read_dicom_seg(tmp_path / "seg.dcm", {"ruler": "spurious"})
    assert set(by_uid) == {"1.2.840.55"}
    regions = read_dicom_seg(tmp_path / "seg.dcm", {"ruler": "spurious"}, images=tmp_path / "images")
    assert np.array_equal(regions["a"].draw((80, 100))[0], -(PIXELS > 0).astype(int))
    (tmp_path / "images" / "damaged.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"damaged")
    assert set(read_annotations(tmp_path / "seg.dcm", {"ruler": "spurious"}, images=tmp_path / "images")) == {"a"}
    with pytest.raises(ValueError, match="has the label 'rular'.*did you mean 'ruler'"):
        read_dicom_seg(tmp_path / "seg.dcm", {"rular": "spurious"})


def test_nifti_is_read_in_one_orientation_whatever_its_own(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    volume = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(np.int16)
    affine = np.diag([1.0, 1, 1, 1])
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "a.nii.gz")
    turned = np.diag([-1.0, -1, 1, 1])
    nibabel.save(nibabel.Nifti1Image(volume[::-1, ::-1], turned), tmp_path / "b.nii")
    first, second = (read_volume(tmp_path / name) for name in ("a.nii.gz", "b.nii"))
    assert torch.equal(first, second)
    assert first.shape == (1, 6, 5, 4)
    assert first[0, 2, 3, 1] == volume[1, 3, 2]
    assert from_mask(spurious=first > 10).shape == (1, 6, 5, 4)
    with pytest.raises(OSError, match="a picture is one slice"):
        size_of(tmp_path / "b.nii")


def test_slices_of_nifti_are_images_and_masks(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    for folder, values in (("images", PIXELS.astype(float) * 7.5 - 3), ("masks", (PIXELS > 0).astype(np.int16))):
        (tmp_path / folder).mkdir()
        upright = values[::-1].T[..., None]  # axes from left to right, back to front
        nibabel.save(nibabel.Nifti1Image(upright, np.eye(4)), tmp_path / folder / "a.nii.gz")
    image, _, _ = dataset(tmp_path / "images")[0]
    assert np.allclose(image[0], PIXELS / 200, atol=1e-6)
    drawn = read_masks(spurious=tmp_path / "masks")["a"].draw((80, 100))
    assert np.array_equal(drawn[0], -(PIXELS > 0).astype(int))


def test_a_whole_slide_is_read_at_a_resolution_that_fits(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    slide = np.zeros((512, 768, 3), np.uint8)
    slide[:128, :192] = (250, 10, 10)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(slide, tile=(128, 128), subifds=1, photometric="rgb")
        writer.write(slide[::4, ::4], tile=(128, 128), subfiletype=1, photometric="rgb")
    monkeypatch.setattr(slides, "_LARGE", 1 << 16)
    assert size_of(tmp_path / "a.tif") == (512, 768)
    with opened(tmp_path / "a.tif") as image:
        assert image.size == (192, 128)
        assert np.array_equal(np.asarray(image), slide[::4, ::4])


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_slide_of_one_resolution_is_read_a_tile_at_a_time(tmp_path, monkeypatch, planar):
    tifffile = pytest.importorskip("tifffile")
    slide = np.random.default_rng(0).integers(0, 255, (500, 700, 3), np.uint8)
    stored = slide if planar == "contig" else slide.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, tile=(128, 128), photometric="rgb", planarconfig=planar, compression="zlib")
    tifffile.imwrite(tmp_path / "b.tif", slide[..., 0], rowsperstrip=7)
    monkeypatch.setattr(slides, "_LARGE", 1 << 15)
    with opened(tmp_path / "a.tif") as image, opened(tmp_path / "b.tif") as grey:
        step = 4  # 350,000 pixels to 32,768
        assert np.array_equal(np.asarray(image), slide[2::step, 2::step])
        assert np.array_equal(np.asarray(grey), slide[2::step, 2::step, 0])
    assert size_of(tmp_path / "a.tif") == (500, 700)


def test_marks_of_a_slide_lie_where_they_do_on_the_whole_slide(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((512, 768), np.uint8), tile=(128, 128))
    ring = [[256, 128], [512, 128], [512, 384], [256, 384], [256, 128]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "a.geojson").write_text(json.dumps([{**feature, "properties": {"classification": {"name": "pen"}}}]))
    monkeypatch.setattr(slides, "_LARGE", 1 << 15)
    images = ImageFiles(tmp_path, [Path("a.tif")], [0], [0], ["image"], resized=(64, 96))
    regions = read_annotations(tmp_path / "a.geojson", {"pen": "spurious"})
    drawn = FileAnnotations(images.paths, regions, size_of=images.size)(0, images[0])
    assert (drawn[0, 16:48, 32:64] == -1).all()
    assert int(drawn.sum()) == -32 * 32


def test_a_stack_is_no_picture_and_white_may_be_zero(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 80, 100), np.uint8), photometric="minisblack")
    with pytest.raises(OSError, match="several pictures of the same size"), opened(tmp_path / "a.tif"):
        pass
    for kind, most in ((np.uint8, 255), (np.uint16, 65535)):
        tifffile.imwrite(tmp_path / "b.tif", np.zeros((80, 100), kind), photometric="miniswhite")
        with opened(tmp_path / "b.tif") as image:
            assert np.asarray(image).min() == most


def test_dicoms_other_windows_its_table_and_its_padding_are_applied(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    values = np.arange(80 * 100).reshape(80, 100)
    window = {"WindowCenter": 4000, "WindowWidth": 2000}
    dicom(tmp_path / "a.dcm", values, **window, VOILUTFunction="SIGMOID")
    dicom(tmp_path / "b.dcm", values, **window, VOILUTFunction="LINEAR_EXACT")
    table = pydicom.Dataset()
    table.LUTDescriptor = [8000, 0, 16]
    table.add_new("LUTData", "OW", (8 * (7999 - values)).astype("<u2").tobytes())
    dicom(tmp_path / "c.dcm", values, VOILUTSequence=pydicom.Sequence([table]))
    padded = np.where(values < 100, 60000, values)
    for name, kind in (("d.dcm", "MONOCHROME2"), ("e.dcm", "MONOCHROME1")):
        dicom(tmp_path / name, padded, PixelPaddingValue=60000, PhotometricInterpretation=kind)
    found = [image[0].numpy() for image, _, _ in dataset(tmp_path)]
    assert np.allclose(found[0], 1 / (1 + np.exp(-4 * (values - 4000) / 2000)), atol=1e-4)
    assert np.allclose(found[1], ((values - 3000) / 2000).clip(0, 1), atol=1e-4)
    assert np.allclose(found[2], 8 * (7999 - values) / 65535, atol=1e-4)
    span = (values - 100) / (7999 - 100)
    assert np.allclose(found[3], np.where(values < 100, 0, span), atol=1e-4)
    assert np.allclose(found[4], np.where(values < 100, 0, 1 - span), atol=1e-4)


def test_the_palette_of_dicom_gives_its_colours(tmp_path):
    image = dicom(tmp_path / "a.dcm", np.arange(80 * 100).reshape(80, 100) % 2)
    image.PhotometricInterpretation = "PALETTE COLOR"
    for colour, values in (("Red", [0, 65535]), ("Green", [0, 0]), ("Blue", [65535, 0])):
        setattr(image, f"{colour}PaletteColorLookupTableDescriptor", [2, 0, 16])
        setattr(image, f"{colour}PaletteColorLookupTableData", np.array(values, "<u2").tobytes())
    image.save_as(tmp_path / "a.dcm")
    assert dataset(tmp_path)[0][0][:, 0, :2].tolist() == [[0, 1], [0, 0], [1, 0]]


@pytest.mark.parametrize("kind", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")], "empty"])
def test_nifti_without_greys_is_an_error_that_names_it(tmp_path, kind):
    nibabel = pytest.importorskip("nibabel")
    values = np.zeros((0, 5, 1), np.float32) if kind == "empty" else np.zeros((4, 5, 1), kind)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(ValueError, match="a.nii cannot be read: it has the shape"):
        dataset(tmp_path)[0]


def test_what_is_no_number_around_a_brain_is_black(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    values = np.arange(20, dtype=np.float32).reshape(4, 5, 1) * 100
    values[0] = np.nan
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    image = dataset(tmp_path)[0][0]
    assert (float(image.min()), float(image.max())) == (0, 1)
    assert (image[:, :, 0] == 0).all()
