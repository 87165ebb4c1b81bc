import pytest
import torch
from idx import write_idx

from salreg.recipes.data import grey_images


@pytest.mark.parametrize("gzipped", [True, False])
def test_idx_files_are_read_gzipped_or_not(tmp_path, gzipped):
    images = grey_images.load("mnist", write_idx(tmp_path / "mnist", gzipped), download=False)
    assert images.train_images.shape == (20, 28, 28)
    assert images.train_images.dtype == torch.uint8
    assert images.test_labels.dtype == torch.int64


def test_missing_files_are_named_with_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte.gz is not in .* data.download is false.*data.root"):
        grey_images.load("mnist", tmp_path, download=False)


def test_no_network_is_a_clear_error(tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")

    def unreachable(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", unreachable)
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded \(ConnectionError: no route to host\)"):
        grey_images.load("fashion_mnist", tmp_path, download=True)


def test_a_fetched_file_is_checked_against_its_hash(tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")
    calls = []
    monkeypatch.setattr(pooch, "retrieve", lambda *args, **_: calls.append(args) or str(tmp_path / "x"))
    with pytest.raises(FileNotFoundError):
        grey_images.load("mnist", tmp_path, download=True)
    url, known_hash, *_ = calls[0]
    assert url.endswith("train-images-idx3-ubyte.gz")
    assert known_hash == "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"


@pytest.mark.parametrize(
    ("content", "message"), [(b"not an idx", "not an IDX file"), (b"\0\0\x08\x01\0\0\0\x09\x01", "is cut off")]
)
def test_broken_files_are_named(tmp_path, content, message):
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        grey_images.read_idx(path)


def test_digits_come_with_scikit_learn():
    images = grey_images.load("digits", None, download=False)
    assert images.train_images.shape == (1438, 28, 28)
    assert images.test_images.shape == (359, 28, 28)
    assert images.train_images.max() == 255


def test_an_unknown_data_set_is_named():
    with pytest.raises(ValueError, match="not 'minst'"):
        grey_images.load("minst", "", download=False)
