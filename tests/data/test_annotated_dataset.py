from dataclasses import replace

import pytest
import torch
from pytorch_lightning.utilities.data import extract_batch_size
from support import annotated, images
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, default_collate

from salreg.data import AnnotatedBatch, AnnotatedDataset, Collate


def base(n=4):
    x, y, _ = images(n)
    return TensorDataset(x, y)


MARK = -torch.ones(1, 8, 8, dtype=torch.int8)


@pytest.mark.parametrize(
    "annotations",
    [{2: MARK}, [None, None, MARK, None], lambda index, sample: MARK if index == 2 else None],
    ids=["mapping", "sequence", "function"],
)
def test_missing_annotations_are_zeros(annotations):
    batch = next(iter(DataLoader(AnnotatedDataset(base(), annotations), batch_size=4)))
    assert isinstance(batch, AnnotatedBatch)
    assert batch.annotation.shape == (4, 1, 8, 8)
    assert batch.annotation.flatten(1).any(1).tolist() == [False, False, True, False]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_what_the_base_would_have_given(workers):
    plain = next(iter(DataLoader(base(), batch_size=4)))
    batch = next(iter(DataLoader(AnnotatedDataset(base(), {}), batch_size=4, num_workers=workers)))
    assert torch.equal(batch.sample[0], plain[0])
    assert torch.equal(batch.sample[1], plain[1])


def test_workers_may_be_spawned():
    loader = DataLoader(annotated(4), batch_size=4, num_workers=1, multiprocessing_context="spawn")
    assert next(iter(loader)).annotation.shape == (4, 1, 8, 8)


def test_a_collate_function_of_the_users_own():
    def double(samples):
        images, labels = default_collate(samples)
        return 2 * images, labels

    loader = DataLoader(annotated(4), batch_size=4, collate_fn=Collate(double))
    assert torch.equal(next(iter(loader)).sample[0], 2 * images(4)[0])


class Listed(Dataset):
    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


@pytest.mark.parametrize(
    ("sample", "shape"),
    [
        ((torch.zeros(3, 5, 6), 1), (1, 5, 6)),
        ((torch.zeros(7), 1), (7,)),
        ({"label": torch.tensor(1), "ids": torch.zeros(9, dtype=torch.long)}, (9,)),
        ((torch.zeros(2, 4).numpy(), 0), (2, 4)),
    ],
    ids=["image", "table", "text in a dict", "array"],
)
def test_zeros_are_laid_out_like_the_sample(sample, shape):
    assert AnnotatedDataset(Listed([sample]), {})[0].annotation.shape == shape


def test_a_dataset_of_one_sample_and_negative_indices():
    dataset = AnnotatedDataset(base(4), {3: MARK})
    assert torch.equal(dataset[-1].annotation, MARK)
    with pytest.raises(IndexError):
        dataset[4]


def test_lengths_that_differ_are_an_error():
    with pytest.raises(ValueError, match="4 samples, but there are 3 annotations"):
        AnnotatedDataset(base(), [MARK] * 3)
    with pytest.raises(ValueError, match="4 samples, but sample 4 is annotated"):
        AnnotatedDataset(base(), {4: MARK})


def test_iterable_datasets_are_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(())

    with pytest.raises(TypeError, match="map-style"):
        AnnotatedDataset(Stream(), {})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.full((1, 8, 8), float("nan")), "sample 1 contains NaN"),
        (torch.full((1, 8, 8), -2), "sample 1 has values from -2 to -2"),
        (MARK.bool(), "sample 1 is boolean"),
    ],
)
def test_bad_values_name_the_sample(bad, message):
    with pytest.raises(ValueError, match=message):
        AnnotatedDataset(base(), {1: bad})[1]


def test_annotations_of_different_shapes_in_one_batch_are_an_error():
    dataset = AnnotatedDataset(base(2), {0: MARK, 1: MARK[:, :4]})
    with pytest.raises(ValueError, match="differ in shape"):
        next(iter(DataLoader(dataset, batch_size=2)))


def test_unpacking_a_batch_says_what_is_missing():
    batch = next(iter(DataLoader(annotated(4), batch_size=4)))
    with pytest.raises(TypeError, match="comes from an AnnotatedDataset"):
        _x, _y = batch
    for asked in (lambda: dict(**batch), lambda: batch.get("labels")):  # as Hugging Face's Trainer does
        with pytest.raises(TypeError, match="with Hugging Face's Trainer, use SaliencyTrainerMixin"):
            asked()


def test_an_empty_annotation_says_that_somebody_looked_and_a_missing_one_that_nobody_did() -> None:
    marks = {0: torch.zeros(1, 4, 4), 2: -torch.ones(1, 4, 4)}
    base = TensorDataset(torch.randn(4, 3, 4, 4), torch.arange(4))

    batch = next(iter(DataLoader(AnnotatedDataset(base, marks), batch_size=4)))
    careless = next(iter(DataLoader(AnnotatedDataset(base, marks, empty="unknown"), batch_size=4)))

    assert batch.looked_at.tolist() == [True, False, True, False]
    assert careless.looked_at.tolist() == [False, False, True, False]
    with pytest.raises(ValueError, match="empty must be 'looked at' or 'unknown', not 'clean'"):
        AnnotatedDataset(base, marks, empty="clean")  # type: ignore[arg-type]


def test_each_of_several_inputs_is_looked_at_for_itself() -> None:
    base = [{"image": torch.randn(3, 4, 4), "row": torch.randn(5), "y": 0} for _ in range(2)]
    annotations = {"image": {0: torch.zeros(1, 4, 4)}, "row": {1: torch.tensor([-1, 0, 0, 0, 0])}}

    batch = next(iter(DataLoader(AnnotatedDataset(base, annotations), batch_size=2)))  # type: ignore[arg-type]

    assert batch.looked_at["image"].tolist() == [True, False]
    assert batch.looked_at["row"].tolist() == [False, True]


def test_lightning_finds_the_size_of_a_batch(recwarn):
    batch = AnnotatedBatch([torch.zeros(3, 2), torch.zeros(3)], torch.zeros(3, 2), part=0, untouched=[torch.zeros(3, 2)])
    assert extract_batch_size(batch) == 3
    assert not [warning for warning in recwarn if "ambiguous" in str(warning.message)]


def test_a_changed_batch_keeps_how_it_is_prepared():
    batch = replace(AnnotatedBatch(torch.zeros(3, 2), torch.zeros(3, 2), prepare=torch.relu), sample=torch.ones(3, 2))
    assert batch.prepare is torch.relu


@pytest.mark.parametrize("annotations", [{0: MARK, "1": MARK}, {"image": {0: MARK}, 1: MARK}])
def test_keys_are_indices_or_names_but_not_both(annotations):
    with pytest.raises(TypeError, match="by a sample.s index|is no name"):
        AnnotatedDataset(base(), annotations)


def test_an_index_that_json_made_a_string_is_named():
    with pytest.raises(ValueError, match="1 annotations of the input '2'. A sample's index must be a whole number: 2 rather"):
        AnnotatedDataset(base(), {"2": MARK})


@pytest.mark.parametrize("wrapped", [lambda one: one, lambda one: Subset(one, [1, 0])])
def test_what_is_annotated_already_is_not_annotated_again(wrapped):
    with pytest.raises(TypeError, match="Sample 0 of the base carries an annotation already"):
        AnnotatedDataset(wrapped(AnnotatedDataset(base(), {})), {0: MARK})[0]
