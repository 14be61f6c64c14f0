"""The sections of a model whose z are codes: the codebook, and the prior over codes."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from textlatent.recipe.section import Conflict, Section

OF_LEARNED_CODES = (
    *("codes", "size", "books", "gradient_rule", "commitment", "rotation", "decay", "codebook_lr_factor", "revive"),
)
"""The keys of a codebook that say how many codes there are and how they learn: a grid of levels has none of them."""


class Codebook(Section):
    """A sentence as codes, and how they learn."""

    positions: int = Field(8, ge=1)
    """P, codes of a sentence."""
    codes: int = Field(512, ge=2)
    """K, to choose from at each position: a uniform prior costs P ln K nats."""
    size: int = Field(64, ge=1)
    """Numbers of a code's vector; the decoder is given those of all positions."""
    levels: list[Annotated[int, Field(ge=2)]] | None = Field(None, min_length=1)
    """Levels each number of a code is rounded to, as in [8, 5, 5]: a fixed grid of 200 codes; null learns codes."""
    books: Literal["shared", "position", "residual"] = "shared"
    """One codebook for all positions, one for each (a product codebook), or each of what those before left of one z."""
    gradient_rule: Literal["published", "both", "end_to_end"] = "published"
    """How the loss reaches encoder and codes: van den Oord's, with one loss undetached, or straight through to both."""
    commitment: float | None = Field(None, ge=0)
    """Weight of the pull of the ENCODER towards its code; null is 0.5, van den Oord's 0.25 without the one half."""
    rotation: bool = False
    """The decoder's gradient reaches the encoder turned as the code is turned from its vector, not as it is."""
    decay: float | None = Field(0.99, ge=0, lt=1)
    """Codes are rolling averages that keep this share in a step; null learns them by gradient."""
    codebook_lr_factor: float | None = Field(None, gt=0)
    """Learning rate of learned codes, in units of training.learning_rate; null is 1, and many codes want more."""
    revive: float | None = Field(0.05, gt=0, lt=1)
    """A code used less than this share of its fair use starts anew; null leaves it dead."""

    @property
    def latent_size(self) -> int:
        """D, numbers of z."""
        return self.size * (1 if self.books == "residual" else self.positions)

    @model_validator(mode="after")
    def _follow(self) -> Self:
        """K and d of a grid, for those who ask; what is written back are its levels."""
        if self.levels is not None:
            vars(self).update(codes=math.prod(self.levels), size=len(self.levels))
        return self

    def conflicts(self) -> Iterator[Conflict]:
        """What moves the codes; nothing does where they are a grid."""
        if self.levels is not None:
            yield from self._grid_conflicts()
            return
        if self.decay is not None and self.gradient_rule != "published":
            yield (
                "decay",
                f"moves the codes without a gradient, and gradient_rule: {self.gradient_rule} sends them one; set "
                "decay to null, or gradient_rule to published.",
            )
        if self.rotation and self.gradient_rule != "published":
            yield (
                "rotation",
                f"keeps the decoder's gradient from the codes, and {self.gradient_rule} sends it: take one out.",
            )
        if self.rotation and self.books == "residual":
            yield "rotation", "turns the gradient of one code, and those of books: residual share it; take one out."
        if self.gradient_rule == "end_to_end" and self.commitment is not None:
            yield "commitment", "is no part of gradient_rule: end_to_end, which has no pull; take one of the two out."
        if self.decay is not None and self.codebook_lr_factor is not None:
            yield (
                "codebook_lr_factor",
                "is the learning rate of codes learned by gradient; set decay to null for those, or take this key out.",
            )

    def _grid_conflicts(self) -> Iterator[Conflict]:
        """Keys that are written and say nothing of a grid."""
        follows = {"codes": f"their product, {self.codes:,}", "size": f"their number, {self.size}"}
        for name in OF_LEARNED_CODES:
            if name in self.model_fields_set and name in follows:
                yield name, f"follows from the levels of the grid, {follows[name]}; take one of the two out."
            elif name in self.model_fields_set:
                yield name, "is for codes that learn, and those of levels are a fixed grid; take one of the two out."

    @model_serializer(mode="wrap")
    def _own_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is written back: of a grid its levels alone."""
        values: dict[str, Any] = write(self)
        return values if self.levels is None else {k: v for k, v in values.items() if k not in OF_LEARNED_CODES}


class CodePrior(Section):
    """P_pri(k), what the codes of a sentence cost and what new ones are drawn from."""

    type: Literal["uniform", "independent", "autoregressive"] = "uniform"
    """P ln K nats for every sentence, learned shares of each position, or a transformer over the codes before."""
    size: int = Field(128, ge=1)
    """Hidden numbers of an autoregressive prior."""
    layers: int = Field(2, ge=1)
    """Layers of an autoregressive prior."""
    heads: int = Field(4, ge=1)
    """Attention heads of an autoregressive prior."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout in an autoregressive prior."""

    def conflicts(self) -> Iterator[Conflict]:
        """What only a transformer has."""
        if self.type != "autoregressive":
            for name in ("size", "layers", "heads", "dropout"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    yield name, f"is an autoregressive prior's, got model.code_prior.type: {self.type}; take it out."
        if self.size % self.heads:
            yield "size", f"must be a multiple of the heads, got {self.size} and {self.heads}."
