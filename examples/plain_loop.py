"""A training loop without Lightning: one line before the step makes the tag uninformative about the class.

Run: python examples/plain_loop.py"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset
from salreg.interventions import Intervention
from salreg.metrics import Reliance


def images(size: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise with a faint square in class 1 and a tag on nearly all images of that class; labels; and the tag's marks."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(size) % 2
    tagged = torch.rand(size, generator=generator) < torch.tensor([0.05, 0.95])[labels]
    pixels, marks = torch.rand(size, 1, 12, 12, generator=generator), torch.zeros(size, 1, 12, 12)
    pixels[:, :, 6:, 6:] += 0.15 * labels.view(-1, 1, 1, 1)
    pixels[tagged, :, :3, :3], marks[tagged, :, :3, :3] = 2.0, -1.0
    return pixels, labels, marks


def fit(intervene: bool, epochs: int) -> nn.Module:
    torch.manual_seed(0)
    pixels, labels, marks = images(400, seed=0)
    loader = DataLoader(AnnotatedDataset(TensorDataset(pixels, labels), marks), batch_size=50, shuffle=True)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(800, 2))
    optimizer, change = torch.optim.Adam(model.parameters(), 0.003), Intervention()
    for _ in range(epochs):
        for batch in loader:
            x, y = batch.sample
            if intervene:
                x = change(x, batch.annotation, batch.looked_at).sample
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def reliance(model: nn.Module) -> float:
    """The share of tagged images whose prediction changes when the tag is taken away."""
    pixels, _, marks = images(200, seed=1)
    without = Intervention().with_presence(False, pixels, marks, torch.ones(200, dtype=torch.bool))
    metric = Reliance()
    with torch.no_grad():
        metric.update(model(pixels), model(without.sample), without.done & marks.flatten(1).any(1))
    return metric.compute().item()


def main(epochs: int = 15) -> dict[str, float]:
    return {name: reliance(fit(intervene, epochs)) for name, intervene in {"plain": False, "regularised": True}.items()}


if __name__ == "__main__":
    print("Share of predictions that the tag decides:", main())
