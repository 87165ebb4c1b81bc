"""What is no image: time series, audio, volumes, texts and tables."""

from typing import Any

import torch
from modules.pattern import CLASSES, SAMPLES, Data, Pattern, base
from torch import nn
from torch.nn.functional import cross_entropy

LENGTH, FEATURES, WORDS = 6, 4, 12


def _labels() -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, CLASSES, (SAMPLES,), generator=generator), generator


def _marked(x: Any, y: Any, where: Any, channels: int) -> Data:
    """The label is added where the marks lie; one sample of three is not marked."""
    annotations = torch.zeros(SAMPLES, *([channels] if channels else []), *x.shape[1 + bool(channels) :], dtype=torch.int8)
    x[(slice(None), *where)] += 4.0 * y.view(-1, *[1] * (x[(slice(None), *where)].ndim - 1))
    annotations[(slice(None), *where)] = -1
    annotations[::3] = 0
    return Data(list(zip(x, y, strict=True)), annotations)


def time_series(package: Any) -> Any:
    """An LSTM on ``(B, T, F)``, standardised in the step."""

    class Module(base(package)):
        def __init__(self):
            super().__init__(nn.LSTM(FEATURES, 8, batch_first=True))
            self.head = nn.Linear(8, CLASSES)
            self.register_buffer("mean", torch.ones(FEATURES))

        def seen(self, x):
            return self.head(self.net(x - self.mean)[0][:, -1])

        def loss(self, batch):
            x, y = batch
            return cross_entropy(self.seen(x), y)

    return Module()


def _series() -> Data:
    y, generator = _labels()
    return _marked(torch.rand(SAMPLES, LENGTH, FEATURES, generator=generator), y, (slice(None), slice(0, 1)), LENGTH)


def audio(package: Any) -> Any:
    class Module(base(package)):
        pass

    return Module(
        nn.Sequential(nn.Conv1d(1, 4, 5, stride=2), nn.Tanh(), nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(16, 3))
    )


def spectrogram_in_the_step(package: Any) -> Any:
    class Module(base(package)):
        def seen(self, x):
            spectrum = torch.stft(x.squeeze(1), 8, window=torch.hann_window(8), return_complex=True)
            return self.net((spectrum.real**2 + spectrum.imag**2 + 1e-3).log())

        def loss(self, batch):
            x, y = batch
            return cross_entropy(self.seen(x), y)

    return Module(nn.Sequential(nn.Flatten(), nn.Linear(5 * 17, 8), nn.Tanh(), nn.Linear(8, CLASSES)))


def _sounds() -> Data:
    y, generator = _labels()
    return _marked(torch.rand(SAMPLES, 1, 32, generator=generator), y, (slice(None), slice(0, 8)), 1)


def volume(package: Any) -> Any:
    """MONAI's volumes in a dictionary."""

    class Module(base(package)):
        def loss(self, batch):
            return cross_entropy(self(batch["image"]), batch["label"])

    return Module(nn.Sequential(nn.Conv3d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(2 * 2 * 16, CLASSES)))


def _volumes() -> Data:
    y, generator = _labels()
    data = _marked(torch.rand(SAMPLES, 1, 4, 6, 6, generator=generator), y, (0, slice(0, 2), slice(0, 3), slice(0, 3)), 1)
    return data._replace(samples=[{"image": x, "label": label} for x, label in data.samples])


def table(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            return cross_entropy(self(batch["row"].float()), batch["target"])

    return Module(nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, CLASSES)))


def _rows() -> Data:
    y, generator = _labels()
    data = _marked(torch.rand(SAMPLES, FEATURES, generator=generator), y, (slice(0, 1),), 0)
    return data._replace(samples=[{"row": x, "target": label} for x, label in data.samples])


class Reader(nn.Module):
    """Embeds token numbers, and attends to what is no padding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, 8)
        self.encode = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def of(self, embedded, mask):
        hidden = self.encode(embedded, src_key_padding_mask=mask == 0) * mask.unsqueeze(-1)
        return self.head(hidden.sum(1) / mask.sum(1, keepdim=True))

    def forward(self, input_ids, attention_mask):
        return self.of(self.embed(input_ids), attention_mask)


def text_with_a_mask(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            return cross_entropy(self.net(batch["input_ids"], batch["attention_mask"]), batch["labels"])

    return Module(Reader())


def text_by_keywords(package: Any) -> Any:
    """The labels are taken out, and the rest is handed over as keywords."""

    class Module(base(package)):
        def loss(self, batch):
            inputs = {key: value for key, value in batch.items() if key != "labels"}
            return cross_entropy(self.net(**inputs), batch["labels"])

    return Module(Reader())


def _texts() -> Data:
    y, generator = _labels()
    ids = torch.randint(4, WORDS, (SAMPLES, LENGTH), generator=generator)
    ids[:, 1] = y + 1  # a word of its own for each class
    mask = torch.ones_like(ids)
    mask[1::2, 4:] = 0
    annotations = torch.zeros(SAMPLES, LENGTH, dtype=torch.int8)
    annotations[:, 1] = -1
    annotations[::3] = 0
    annotations[mask == 0] = 127
    samples = zip(ids * mask, mask, y, strict=True)
    return Data([dict(zip(("input_ids", "attention_mask", "labels"), one, strict=True)) for one in samples], annotations)


def _embedded(module: Any, batch: Any) -> Any:
    return module.net.embed(batch["input_ids"]).movedim(-1, 1)


def _read(module: Any, embedded: Any, batch: Any) -> Any:
    return module.net.of(embedded.movedim(1, -1), batch["attention_mask"])


def _net(module: Any, x: Any, _: Any) -> Any:
    return module.net(x)


PATTERNS = [
    Pattern(
        time_series,
        _series(),
        lambda m, x, _: m.seen(x),
        reliance=False,
    ),
    Pattern(audio, _sounds(), _net, reliance=False),
    Pattern(spectrogram_in_the_step, _sounds(), lambda m, x, _: m.seen(x), reliance=False),
    Pattern(
        volume,
        _volumes(),
        _net,
        input=lambda _, batch: batch["image"],
    ),
    Pattern(table, _rows(), _net, input=lambda _, batch: batch["row"], reliance=False),
    Pattern(text_with_a_mask, _texts(), _read, input=_embedded, reliance=False),
    Pattern(text_by_keywords, _texts(), _read, input=_embedded, reliance=False),
]
