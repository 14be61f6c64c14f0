"""The recipe of a ring: labels of a text around a circle, each given its neighbours' (THEORY T14)."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from textlatent.recipe.data import Data
from textlatent.recipe.section import AnyRecipe, Conflict, Section
from textlatent.recipe.vectors import VectorTraining

NEWTON_LABELS = 48
"""Labels that a fit by Newton's method takes at most."""


class RingText(Data):
    """Which text to read; max_tokens is the longest ring, in labels."""

    max_tokens: int = Field(256, ge=2)
    """The longest ring, in labels, the end's among them."""


class RingModel(Section):
    """What stands around the circle, and which potentials it has."""

    unit: Literal["characters", "words"] = "characters"
    """What a label stands for; words, or tags, are set off by spaces."""
    labels: int = Field(32, ge=2)
    """Q at most: the most frequent symbols, one label for all others and, with `end`, one for the end."""
    end: bool = True
    """A label between a sentence's last and first symbol, so that the ring knows where it begins."""
    closed: bool = True
    """False is the open chain: the ring whose closing edge is 0."""
    potentials: Literal["shared", "per_site"] = "shared"
    """One potential for all edges, fitted to counts; or each edge and site its own, trained by the loop."""
    sites: int | None = Field(None, ge=2)
    """Take the first so many labels of each sentence; null takes whole sentences, each a ring of its own size."""

    def conflicts(self) -> Iterator[Conflict]:
        """Potentials of their own need a number of sites, and counts a limit."""
        if self.potentials == "per_site" and self.sites is None:
            yield "sites", "must be a number where each site has its own potentials (model.potentials: per_site)."
        if self.potentials == "shared" and self.labels > NEWTON_LABELS:
            yield (
                "labels",
                f"must be <= {NEWTON_LABELS} for shared potentials, fitted by Newton's method, got {self.labels}; "
                "rarer symbols then share a label.",
            )
        if self.labels < 2 + self.end:
            yield "labels", "must be >= 3 with model.end: a symbol, the others and the end."


class RingFit(Section):
    """What is fitted."""

    method: Literal["maximum_likelihood", "pseudo_likelihood"] = "maximum_likelihood"
    """Which of the two is kept as the model; of shared potentials both are fitted and compared."""
    ridge: float | None = Field(None, gt=0)
    """Nats charged for shared potentials, ridge / 2 * |theta|^2: pairs that never occur stay finite; null is 1."""


class RingTraining(VectorTraining):
    """How potentials learn that are not shared."""

    rows_per_step: int = Field(256, ge=1)
    """Rings of one optimiser step, over all processes and accumulation parts."""
    learning_rate: float = Field(0.05, gt=0)
    """AdamW's peak step size."""
    weight_decay: float = Field(0.01, ge=0)
    """Decay of the potentials, without which pairs that never occur fall for ever."""


class RingEvaluation(Section):
    """How it is judged."""

    split: Literal["train", "valid", "test"] = "test"
    """Which sentences."""
    sentences: int | None = Field(None, ge=1)
    """How many sentences, drawn by data.split_seed; null takes the whole split."""


class RingRecipe(AnyRecipe):
    """A ring fitted to text."""

    kind: Literal["ring"] = "ring"
    """What is made: a ring of labels, exactly normalised."""
    data: RingText = RingText()
    """Which text to read."""
    model: RingModel = RingModel()
    """What stands around the circle, and which potentials it has."""
    fit: RingFit = RingFit()
    """What is fitted."""
    training: RingTraining | None = None
    """How potentials learn that are not shared; shared ones are fitted to counts and have no such section."""
    evaluation: RingEvaluation = RingEvaluation()
    """How it is judged."""

    def conflicts(self) -> Iterator[Conflict]:
        """Shared potentials are fitted to counts, others by the loop."""
        yield from super().conflicts()
        alone = self.model.potentials == "per_site"
        if self.training is not None and not alone:
            yield "training", "is for model.potentials: per_site; shared ones are fitted to counts. Take it out."
        if alone and self.fit.ridge is not None:
            yield "fit.ridge", "is for shared potentials; set training.weight_decay for model.potentials: per_site."
