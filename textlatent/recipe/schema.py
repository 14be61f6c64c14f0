"""The recipe of an autoencoder: a typed section per thing configured, a line under each field."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from textlatent.recipe.data import Data, Tokenizer
from textlatent.recipe.model import Model
from textlatent.recipe.objective import Objective
from textlatent.recipe.section import AnyRecipe, Conflict
from textlatent.recipe.training import Evaluation, Stage, Training

RATE_KEYS = (
    *("beta", "schedule", "target_rate", "minimum_rate", "capacity", "free_nats", "importance_samples"),
    *("schedule_steps", "beta_start"),
)
"""Of the objective: what weighs, floors or steers the rate, or draws z more than once."""


class Recipe(AnyRecipe):
    """A run of an autoencoder: text, tokens, the three distributions, the objective, the training, how it is judged."""

    kind: Literal["autoencoder"] = "autoencoder"
    """What is made: an encoder, a prior and a decoder that learn together."""
    data: Data = Data()
    """Which text to read."""
    tokenizer: Tokenizer = Tokenizer()
    """How text becomes tokens."""
    model: Model = Model()
    """The three distributions."""
    objective: Objective = Objective()
    """loss = beta * rate + lam * distortion."""
    training: Training = Training()
    """How it learns."""
    evaluation: Evaluation = Evaluation()
    """How it is judged."""
    stages: list[Stage] = Field([Stage()], min_length=1)
    """The parts of the training, in their order."""

    def conflicts(self) -> Iterator[Conflict]:
        """Every conflict of every section, with its full path, and those between sections."""
        yield from super().conflicts()
        yield from self._prior_conflicts()
        yield from self._code_conflicts()
        yield from self._point_conflicts()
        names = [stage.name for stage in self.stages]
        for i, stage in enumerate(self.stages):
            if stage.name in names[:i]:
                yield f"stages.{i}.name", f"must be its own, got {stage.name!r} again."
            yield from ((f"stages.{i}.{path}", sentence) for path, sentence in stage.conflicts())
            if stage.aggressive and not self.model.latent_size:
                yield f"stages.{i}.aggressive", "needs a latent; raise model.latent_size, or take it out."
            if stage.objective.model_fields_set:
                merged = self.stage_objective(stage).conflicts()
                yield from ((f"stages.{i}.objective.{path}", sentence) for path, sentence in merged)

    def _code_conflicts(self) -> Iterator[Conflict]:
        """What asks for a rate that moves: that of codes is decided by how many there are."""
        if self.model.type != "vq":
            return
        many = "codes" if self.model.codebook.levels is None else "levels"
        for path, objective in self._objectives():
            usual = Objective()
            for name in RATE_KEYS:
                value = getattr(objective, name)
                if value != getattr(usual, name) and (name, value) != ("beta", 1.0):
                    yield (
                        f"{path}.{name}",
                        "moves a rate, and that of codes is P ln K, decided by model.codebook.positions and "
                        f"model.codebook.{many}: set those, and take this key out.",
                    )
        for i, stage in enumerate(self.stages):
            if stage.aggressive:
                yield f"stages.{i}.aggressive", "looks at a posterior's information, and a code has none; take it out."
            if stage.learn == ["prior"] and self.model.code_prior.type == "uniform":
                yield f"stages.{i}.learn", "names a prior that has nothing to learn; set model.code_prior.type."

    def _point_conflicts(self) -> Iterator[Conflict]:
        """What asks for a rate or a prior: points have neither (THEORY T6d)."""
        if self.model.type != "deterministic":
            return
        for path, objective in self._objectives():
            for name in objective.asks_of_rate():
                yield f"{path}.{name}", "asks something of the rate, and a point has none; leave lam alone here."
        for i, stage in enumerate(self.stages):
            if stage.aggressive:
                yield f"stages.{i}.aggressive", "looks at a posterior's information, and a point has none; take it out."
            if stage.learn == ["prior"]:
                yield f"stages.{i}.learn", "names a prior, and model.type: deterministic has none; name another part."

    def _objectives(self) -> Iterator[tuple[str, Objective]]:
        """The recipe's objective and what each stage says of its own, with their paths."""
        yield "objective", self.objective
        for i, stage in enumerate(self.stages):
            yield f"stages.{i}.objective", stage.objective

    def _prior_conflicts(self) -> Iterator[Conflict]:
        """What a prior of several Gaussians asks of other sections."""
        model = self.model
        if model.latent_size and model.prior in ("mixture", "vamp"):
            paths = {"objective.free_nats": self.objective}
            paths |= {f"stages.{i}.objective.free_nats": stage.objective for i, stage in enumerate(self.stages)}
            for path in (path for path, objective in paths.items() if objective.free_nats):
                yield (
                    path,
                    f"needs a rate in closed form, which model.prior: {model.prior} has not; set objective.target_rate "
                    "or objective.minimum_rate instead.",
                )
        if model.prior == "vamp" and model.pseudo_tokens > self.data.max_tokens:
            yield (
                "model.pseudo_tokens",
                f"must be <= data.max_tokens, the encoder's longest input, got {model.pseudo_tokens} and "
                f"{self.data.max_tokens}.",
            )

    def stage_objective(self, stage: Stage) -> Objective:
        """The objective of one stage: the recipe's, with what the stage says differently."""
        return self.objective.model_copy(
            update={k: getattr(stage.objective, k) for k in stage.objective.model_fields_set}
        )

    def stage_steps(self, stage: Stage) -> int:
        """The optimiser steps of one stage."""
        return self.training.steps if stage.steps is None else stage.steps
