"""Small DICOM images."""

import numpy as np
import pytest


def dicom(path, values, uid="1.2.840.1", **fields):
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    image = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, uid
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = "1.2.3", "1.2.3.4", "1.2.3.5"
    image.PatientID = image.PatientName = image.StudyID = image.AccessionNumber = "x"
    image.PatientBirthDate = image.PatientSex = image.StudyDate = image.StudyTime = image.ReferringPhysicianName = ""
    image.Modality, image.InstanceNumber, image.SeriesNumber = "OT", 1, 1
    image.Rows, image.Columns = values.shape
    image.SamplesPerPixel, image.BitsAllocated, image.BitsStored, image.HighBit = 1, 16, 16, 15
    image.PixelRepresentation, image.PhotometricInterpretation = 0, "MONOCHROME2"
    for name, value in fields.items():
        setattr(image, name, value)
    image.PixelData = values.astype(np.uint16).tobytes()
    image.save_as(path, enforce_file_format=True)
    return image
