"""The names of images, as files and folders write them."""

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote

#: Endings that an image's or a mask's name may have; what follows another dot belongs to the name.
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".svs", ".ndpi",
    ".dcm", ".dicom", ".nii", ".nii.gz", ".heic", ".avif", ".jp2", ".mha", ".npy",
)  # fmt: skip
_MASK = re.compile(
    r"[ _.-](mask|masks|segmentation|seg|superpixels|label|labels|labelled|labeled|gt|groundtruth|annotation)$", re.IGNORECASE
)
_UNSAFE = re.compile(r"[^-\w.]")
_FOLDERS = re.compile(r"^(images?|imgs?|jpegimages|obj_train_data)/", re.IGNORECASE)
_UPLOAD = re.compile(r"(^|/)[0-9a-f]{6,8}-(?=[^/]+$)")


def normal(written: str) -> str:
    """A name with slashes, without a drive, an address's scheme or what leads to a root; empty where nothing is left.

    Example:
        >>> normal("C:\\\\photos\\\\moles\\\\003.jpg"), normal("s3://bucket/003.jpg"), normal("./a:b.png")
        ('photos/moles/003.jpg', 'bucket/003.jpg', 'a:b.png')
    """
    path = str(written).strip().replace("\\", "/").replace("\0", "")
    path = re.sub(r"^(https?://[^?#]*).*", r"\1", path, flags=re.IGNORECASE)
    path = re.sub(r"^([a-zA-Z][\w+.-]*://|[a-zA-Z]:/)", "", path)
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def is_rooted(written: str) -> bool:
    """Whether a name begins at a root, a drive or a host: its folders are those of another machine.

    Example:
        >>> is_rooted("/photos/003.jpg"), is_rooted("C:/003.jpg"), is_rooted("moles/003.jpg")
        (True, True, False)
    """
    return bool(re.match(r"[/\\\\]|[a-zA-Z][\w+.-]*://|[a-zA-Z]:[/\\\\]", written.strip()))


def stem(name: str) -> str:
    """A name without the suffix of an image.

    Example:
        >>> stem("moles/003.JPG"), stem("1.2.840.1"), stem("scan.nii.gz")
        ('moles/003', '1.2.840.1', 'scan')
    """
    lower = name.lower()
    suffix = max((one for one in IMAGE_SUFFIXES if lower.endswith(one)), key=len, default="")
    return name[: len(name) - len(suffix)] if PurePosixPath(name).name != name[-len(suffix) :] else name


def composed(name: str) -> str:
    """A name's characters in one way of writing them, and without an address's percent signs."""
    return unicodedata.normalize("NFC", unquote(name, errors="replace"))


def core(name: str) -> str:
    """A name without what tools add.

    That is a first folder like ``images``, a mask's ending, a second suffix, the characters of an upload, and spaces made
    underscores.
    """
    short = _UPLOAD.sub(r"\1", stem(_FOLDERS.sub("", name)))
    short = stem(_MASK.sub("", short))
    folder, slash, last = short.rpartition("/")
    return folder + slash + _UNSAFE.sub("", last.strip().replace(" ", "_"))
