"""Changes a batch so that what is marked as spurious is independent of the label."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from salreg import checks
from salreg.annotations import align, check, marks, places
from salreg.host import sent
from salreg.interventions.beside import keys_of_decoder, padding_token_of
from salreg.interventions.changed_batch import Intervened, WithPresence
from salreg.interventions.donors import DonorBank
from salreg.interventions.fills import FILLS, Fill
from salreg.interventions.grid_views import grid_of
from salreg.interventions.grids import Fate, change_grids
from salreg.interventions.inputs import AnnotatedInput, annotated_input, replaced
from salreg.interventions.lengths import Lengths
from salreg.interventions.tables import change_rows
from salreg.interventions.text_batches import PLACES, Place, TextBatch, by_choice, change_text_batch
from salreg.interventions.unrelated import Unrelated
from salreg.rng import Rng


class Intervention:
    """Makes the content and the presence of what is marked as spurious independent of the label.

    Content: each sample's marked region shows the content of another marked sample's region. Presence: if some of the samples
    that somebody looked at have the spurious feature and others do not, its presence is drawn anew for each sample. A sample
    that loses it is filled from the surroundings; a sample that gains it gets another sample's, at the place where a third one
    has it, but never over a relevant mark. Samples that nobody looked at stay unchanged.

    The loss on such samples is the loss that would train the model if the shortcut told nothing about the label. By
    completeness, the attribution of the region along any path between the two samples is the difference of their scores.
    Training on the changed sample is therefore the exact form of penalising the region's saliency, and it works even if the
    shortcut is saturated, so that its gradient vanishes.

    A mask in the batch says where texts are padded, or else ``NO_PLACE`` in the annotations, as set by ``Collate``.

    Labels of tokens and the places of answers (``start_positions``, ``end_positions``) move with the tokens; labels that name
    the next token still do; position numbers follow the mask, and lengths ``(B,)`` the number of tokens. A text whose answer
    starts or ends on a mark, or of which nothing would be left, stays unchanged. In multiple choice ``(B, choices, T)``, each
    choice is a text.

    If the batch holds the places of answers, the place of a mark can tell as much as its content, for example next to an
    answer. What is exchanged is then moved to a random place in its text.

    It changes images, series and volumes (floating point), token numbers with their masks, embedded tokens, and columns of
    tables, which are always present. Donors come from the batch and, if it has few, also from a bank of recent ones. The
    intervention has its own random number generators.

    Args:
        presence: The probability that the spurious feature is present. By default it is the share of samples with it among
            those that somebody looked at so far: if all have it, the probability is 1 and only the content changes.
        fill: How a region is filled when its feature is removed: by ``diffusion``, ``mean``, ``mirror`` or ``blur`` of its
            surroundings (``salreg.interventions.filled``).
        place: Where exchanged words stand in a text: in their ``own`` place or in a ``random`` one. By default random if the
            batch asks for the places of answers, and otherwise own.
        exchange: Whether a marked region shows another sample's content. Without it, marked words of a text only move to a
            random place: for a shortcut that is where something stands and not what it says, such as the lead of news.
        stops: Token numbers that end a sentence, such as that of a full stop. What goes to a random place of a text that has
            some stands between two sentences or at either end, and never cuts a sentence in two, which would show where it is.
        bank: The number of recent donors to keep.
        padding_token: The token that pads a text that became shorter; inferred automatically from padded batches. The callbacks
            read it from the model's embeddings, too (``padding_idx``).
        fixed: Keys of a batch of texts whose tensors stay unchanged although they are laid out like the tokens: what a decoder
            reads and writes. The callbacks know those of Hugging Face's encoder-decoders.
        seed: The seed of the random numbers.

    Raises:
        ValueError: ``presence`` is not a probability, ``fill`` or ``place`` is unknown, ``bank`` has no room for a donor, or
            nothing is exchanged although the place stays.

    Example:
        >>> torch.manual_seed(0) and None
        >>> images, mark = torch.rand(8, 3, 6, 6), torch.zeros(8, 1, 6, 6)
        >>> mark[:, :, :2, :2] = -1
        >>> changed = Intervention()(images, mark)
        >>> torch.equal(changed.sample[:, :, 2:], images[:, :, 2:]), torch.equal(changed.sample, images)
        (True, False)

    Source: Teso & Kersting 2019 (CAIPI) add such counterexamples to the data; Chang et al. 2021 (Towards robust classification
    through counterfactual data augmentation) fill and exchange regions. Here the changed samples replace the original ones, and
    presence is drawn too.
    """

    def __init__(
        self,
        presence: float | None = None,
        fill: Fill = "diffusion",
        *,
        place: Place | None = None,
        exchange: bool = True,
        stops: Sequence[int] = (),
        bank: int = 64,
        padding_token: int | None = None,
        fixed: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        checks.number("[0, 1]", or_none=True, presence=presence)
        checks.choice(FILLS, fill=fill)
        if place is not None:
            checks.choice(PLACES, place=place)
        checks.flag(exchange=exchange)
        if not exchange and place != "random":
            raise ValueError("exchange=False needs place='random': without either, what is marked would stay as it is.")
        checks.whole(1, bank=bank)
        checks.whole(0, or_none=True, padding_token=padding_token)
        self.given_presence = presence
        self.fill = fill
        self.place = place
        self.exchange = exchange
        self.padding_token = padding_token
        checks.several("keys", fixed=fixed)
        self.fixed = tuple(fixed)
        checks.several("token numbers", stops=stops)
        for stop in stops:
            checks.whole(0, stops=stop)
        self.stops = tuple(stops)
        self._bank = DonorBank(bank)
        self._rng = Rng(seed)
        self._lengths = Lengths()
        self._unrelated = Unrelated()
        self._marked = 0
        self._looked_at = 0
        self._most_marked = 0  # in one batch
        self._told = False

    def adapt_to(self, model: nn.Module) -> None:
        """Learn from the model that reads the batches which token pads them, and which keys belong to its decoder."""
        self.fixed = tuple(dict.fromkeys((*self.fixed, *keys_of_decoder(model))))
        if self.padding_token is None:
            self.padding_token = padding_token_of(model)

    @property
    def presence(self) -> float:
        """The probability that the spurious feature is present: the given one, or the share of samples so far that have it."""
        if self.given_presence is not None:
            return self.given_presence
        return self._marked / self._looked_at if self._looked_at else 1.0

    @property
    def marked(self) -> int:
        """How many samples with the spurious feature were seen."""
        return self._marked

    @property
    def has_one_donor(self) -> bool:
        """Whether only one sample with the spurious feature was ever seen, so that its content could not be exchanged."""
        return self._most_marked == 1 and self._bank.samples == 1

    def __call__(
        self, sample: Any, annotation: Tensor, looked_at: Tensor | None = None, given: Tensor | None = None
    ) -> Intervened:
        """Change a batch.

        Args:
            sample: A tensor, or a batch that holds it.
            annotation: ``(B, 1, ...)`` for images, series and volumes, ``(B, T)`` for texts, ``(B, F)`` for rows.
            looked_at: Booleans ``(B,)``; by default the samples with a mark.
            given: The annotated tensor, if its shape alone does not identify it.

        Returns:
            The changed batch, or the batch itself if there is nothing to change.

        Raises:
            ValueError: The annotation fits no tensor, or it fits one that cannot be changed; the message names the remedy.
        """
        marked, looked_at = _known(*by_choice(sample, annotation, looked_at, given))
        self._marked += (having := int(marked.sum()))
        self._most_marked = max(self._most_marked, having)
        self._looked_at += (seen := int(looked_at.sum()))
        if not seen or not (len(self._bank) or having):
            return Intervened(sample, annotation, torch.zeros(len(annotation), dtype=torch.bool, device=annotation.device))
        found = annotated_input(sample, annotation, given)
        if found.others and not self._told:
            self._told = True
            warnings.warn(
                f"The annotations fit {found.others + 1} tensors of the batch; the first one, {found}, is changed. If another "
                'one is annotated, name it: AnnotatedDataset(base, {"image": annotations}) for a batch with the key "image".',
                stacklevel=2,
            )
        return self.change(sample, annotation, found, self._fate(marked, looked_at))

    def with_presence(
        self, present: bool, sample: Any, annotation: Tensor, looked_at: Tensor | None = None, given: Tensor | None = None
    ) -> WithPresence:
        """Change a batch so that all samples that somebody looked at have the spurious feature, or none of them does.

        The model's predictions show what it relies on. With the feature everywhere, they show reliance on the content in
        samples that had it, and on the presence in samples that did not; with the feature nowhere, on the presence in samples
        that had it.

        Args:
            present: Whether the samples have it.
            sample: As in ``__call__``; so are the other arguments.

        Raises:
            ValueError: As in ``__call__``.

        Example:
            >>> images, mark = torch.rand(2, 3, 6, 6), torch.zeros(2, 1, 6, 6)
            >>> mark[0, :, :2, :2] = -1
            >>> everybody = torch.ones(2, dtype=torch.bool)
            >>> with_it = Intervention().with_presence(True, images, mark, everybody)
            >>> torch.equal(with_it.sample[1, :, :2, :2], images[0, :, :2, :2]), with_it.done.tolist()
            (True, [False, True])
        """
        marked, looked_at = _known(annotation, looked_at)
        if not bool(looked_at.any()):
            nobody = torch.zeros(len(annotation), dtype=torch.bool, device=annotation.device)
            return WithPresence(sample, nobody, nobody, annotation)
        rows, looked_rows = by_choice(sample, annotation, looked_at, given)
        if len(rows) != len(annotation):  # of a sample with a marked choice, the others stay as they are
            has_it = marked.repeat_interleave(len(rows) // len(marked))
            marked, looked_at = _known(rows, None)
            looked_at = looked_rows.cpu() & (marked | ~has_it) if looked_rows is not None else marked
        fate = Fate(marked, looked_at, torch.full_like(marked, present))
        made, done = self._carried_out(sample, annotation, annotated_input(sample, annotation, given), fate)
        has_it = made.annotation.flatten(1).amin(1) < 0
        return WithPresence(made.sample, made.changed, done & (has_it == present), made.annotation)

    def change(self, sample: Any, annotation: Tensor, found: AnnotatedInput, fate: Fate) -> Intervened:
        """Change a batch as decided by ``fate``, if given; see ``salreg.interventions.Fate``."""
        made = self._carried_out(sample, annotation, found, fate)[0]
        return made if made.sample is not sample else made._replace(changed=torch.zeros_like(made.changed))

    def _carried_out(self, sample: Any, annotation: Tensor, found: AnnotatedInput, fate: Fate) -> tuple[Intervened, Tensor]:
        """The changed batch, and for which samples the decision could be carried out."""
        given, of_sample = found.tensor, fate.on(annotation.device)
        if found.kind == "tokens":
            batch = TextBatch(sample, annotation, given, self.fixed, self.stops, self._lengths, self._unrelated)
            texts = change_text_batch(batch, of_sample, self.padding_token, self._bank, self._rng, self.place, self.exchange)
            self.padding_token = texts.padding_token
            return Intervened(replaced(sample, texts.pairs), texts.annotation, texts.done), texts.done
        if self.place == "random":
            raise ValueError(f"place='random' is for texts given as token numbers, and the annotated input is the {found}.")
        if found.kind == "row":
            changed = change_rows(given, marks(align(annotation, given)).spurious, fate, self._bank, self._rng)
            made = Intervened(replaced(sample, [(given, changed.inputs)]), annotation, of_sample.marked)
            return made, sent(changed.done, annotation.device)
        grid = grid_of(given, annotation, found.kind == "embedded")
        changed = change_grids(grid.inputs, grid.spurious, grid.protected, fate, self.fill, self._bank, self._rng, grid.by_step)
        after = annotation
        if changed.spurious is not grid.spurious:
            moved = grid.as_annotation(grid.relevant - changed.spurious)
            if not annotation.is_floating_point():  # a soft mark of a donor in the bank is a mark
                moved = moved.sign() * moved.abs().ceil()
            after = torch.where(places(annotation), moved.to(annotation), annotation)
        if changed.inputs is grid.inputs:  # no donor fits
            return Intervened(sample, annotation, of_sample.looked_at), sent(changed.done, annotation.device)
        made = Intervened(replaced(sample, [(given, grid.as_given(changed.inputs))]), after, of_sample.looked_at)
        return made, sent(changed.done, annotation.device)

    def _fate(self, marked: Tensor, looked_at: Tensor) -> Fate:
        return Fate(marked, looked_at, self._rng.uniform((len(marked),), like=torch.empty(0)) < self.presence)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": self._rng.state_dict(),
            "bank": self._bank.state_dict(),
            "marked": self._marked,
            "looked_at": self._looked_at,
            "most_marked": self._most_marked,
            "padding_token": self.padding_token,
            "lengths": self._lengths.state_dict(),
            "unrelated": self._unrelated.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rng.load_state_dict(state["rng"])
        self._bank.load_state_dict(state["bank"])
        self._marked, self._looked_at, self._most_marked = state["marked"], state["looked_at"], state["most_marked"]
        self.padding_token = state["padding_token"]
        if "lengths" in state:  # not in those of earlier versions
            self._lengths.load_state_dict(state["lengths"])
            self._unrelated.load_state_dict(state["unrelated"])

    def __str__(self) -> str:
        return f"Intervention (presence {'as seen' if self.given_presence is None else self.given_presence}, fill {self.fill})"


def _known(annotation: Tensor, looked_at: Tensor | None) -> tuple[Tensor, Tensor]:
    """Which samples are marked, and which ones somebody looked at, told to the host in one go."""
    if annotation.dtype == torch.bool:
        check(annotation, "The annotation")
    if looked_at is not None and (looked_at.dtype != torch.bool or looked_at.shape != annotation.shape[:1]):
        raise ValueError(
            f"looked_at must be booleans of shape {tuple(annotation.shape[:1])}, one for each sample, not {looked_at.dtype} of "
            f"shape {tuple(looked_at.shape)}."
        )
    marked = annotation.flatten(1).amin(1) < 0
    looked_at = marked if looked_at is None else looked_at.to(marked.device) | marked
    marked, looked_at = torch.stack([marked, looked_at]).cpu()
    return marked, looked_at
