"""What a regularizer does to one annotated input, and remembers of it."""

from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from salreg.distributed import sum_over_ranks
from salreg.interventions import Intervened, Intervention
from salreg.interventions.beside import asks_for_places, said_to_move
from salreg.interventions.inputs import annotated_input
from salreg.penalties import DeadPenaltyError, Penalty
from salreg.penalties.base import Measured

_UNDEFINED_BEFORE_ERROR = 32
_NEGLIGIBLE = 1e-6
_STEPS_BEFORE_WARNING = 50


@dataclass
class RegularisedInput:
    """One input's intervention and penalty, and what happened to them."""

    penalty: Penalty
    intervention: Intervention | None
    introduced: bool = False
    warned: bool = False
    reaches_parameters: bool = False
    announced: bool = False
    skipped_in_a_row: int = 0
    undefined: int = 0
    compared: int = 0
    largest: Tensor | None = None

    def notice(self, penalty: Measured) -> None:
        """Count the maps that gave no value.

        Raises:
            DeadPenaltyError: None of the first 32 did.
        """
        if penalty.scored:
            self.undefined = -1
        if self.undefined < 0:
            return
        own = torch.tensor(float(penalty.undefined), device=penalty.value.device)
        self.undefined += int(sum_over_ranks(own))
        if self.undefined >= _UNDEFINED_BEFORE_ERROR:
            raise DeadPenaltyError(
                f"The maps of the first {self.undefined} annotated samples are all undefined ({self.penalty}): there is no "
                "saliency anywhere, for example because the gradient at the layer is zero or Grad-CAM has no positive part. "
                "Use another layer, or an attribution at the input."
            )

    def compare(self, weighted: Tensor, loss: Tensor) -> None:
        """Take in what a step adds to its loss, and say after the first 50 of them if it has counted for nothing so far."""
        if self.compared < 0:
            return
        share = weighted.detach().float() / loss.detach().float().abs().clamp(min=torch.finfo(torch.float32).tiny)
        self.largest = share if self.largest is None else torch.maximum(self.largest, share)
        self.compared += 1
        if self.compared == _STEPS_BEFORE_WARNING:
            self.warn_if_negligible()

    def warn_if_negligible(self) -> None:
        """Say once that the penalty counts for nothing beside the loss."""
        if self.compared > 0 and self.largest is not None and float(self.largest) < _NEGLIGIBLE:
            rank_zero_warn(
                f"The weighted penalty ({self.penalty}) was at most {float(self.largest):.1g} of the loss in the first "
                f"{self.compared} penalised steps, so it has no effect, because its maps are too small. Use loss='energy', "
                "which compares shares of a map and not its size, or raise the weight; the intervention (intervene=True) needs "
                "neither."
            )
        self.compared = -1 if self.compared else 0

    def warn_if_alone(self) -> None:
        """Say once that there is nothing to exchange content with."""
        if self.intervention is not None and self.intervention.has_one_donor and not self.warned:
            self.warned = True
            rank_zero_warn(
                "Only one sample of the training data carries a spurious mark. There is no other content to show, so its "
                "region is filled from its surroundings (in a table: with the mean of the other rows). Mark a few more."
            )

    def state_dict(self) -> dict[str, Any]:
        return {
            "of": str(self.penalty),
            "penalty": self.penalty.state_dict(),
            "intervention": None if self.intervention is None else self.intervention.state_dict(),
            "reaches_parameters": self.reaches_parameters,
            "skipped_in_a_row": self.skipped_in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.intervention is not None and state["intervention"] is not None:
            self.intervention.load_state_dict(state["intervention"])
        if state.get("of") != str(self.penalty):
            rank_zero_warn(
                f"The checkpoint comes from a training with {state.get('of', 'a penalty of an earlier version')}, but this one "
                f"has {self.penalty}. The penalty's state (the spread of the input, its random numbers) starts anew; steps, "
                "counts and the intervention continue."
            )
            return
        self.penalty.load_state_dict(state["penalty"])
        self.reaches_parameters, self.skipped_in_a_row = state["reaches_parameters"], state["skipped_in_a_row"]

    def intervene(self, sample: Any, annotation: Tensor, looked_at: Tensor, given: Tensor | None) -> Intervened:
        """The batch with this input changed; see ``Intervention``."""
        assert self.intervention is not None
        if self.penalty.needed_marks == "spurious":
            self.penalty.notice_marks(annotation)
        done = self.intervention(sample, annotation, looked_at, given)
        if not self.introduced and bool(done.changed.any()):
            self.introduced = True
            rank_zero_info(f"salreg: {_introduction(self.intervention, annotation, looked_at)}")
            found = annotated_input(sample, annotation, given)
            if found.kind == "tokens":
                self._introduce_texts(sample, found.tensor, annotation, self.intervention)
        return done

    def _introduce_texts(self, sample: Any, tokens: Tensor, annotation: Tensor, intervention: Intervention) -> None:
        moved = said_to_move(sample, tokens, annotation, intervention.fixed, intervention.padding_token)
        if moved:
            rank_zero_info(f"salreg: {moved}; if one of them should not, use Intervention(fixed=['its key']).")
        if intervention.place is None and asks_for_places(sample, tokens, intervention.fixed):
            rank_zero_info(
                "salreg: the batch asks for the place of an answer, so marked words are moved to a random place in their text; "
                "Intervention(place='own') leaves them in place."
            )


def _introduction(intervention: Intervention, annotation: Tensor, looked_at: Tensor) -> str:
    marked = int((annotation.flatten(1).amin(1) < 0).sum())
    presence = intervention.presence
    done = "a marked region shows another sample's" if intervention.exchange else "marked words stand at a random place"
    return (
        f"of the first {len(annotation)} samples, {int(looked_at.sum())} were looked at and {marked} are marked. From now on "
        f"{done}"
    ) + (f", and whether it is there at all is drawn with probability {presence:.2f}." if presence < 1 else ".")
