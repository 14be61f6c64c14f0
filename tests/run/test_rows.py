"""The table of remedies: its rows differ from the plain one in the remedy alone; the warm start keeps the encoder."""

from pathlib import Path

import pytest
import torch

from tests.toy_run import toy_recipe, toy_trainer
from textlatent.recipe.dump import differing_keys
from textlatent.recipe.load import load_recipe
from textlatent.run.recipes import shipped_folder

FOLDER = shipped_folder("recipes") / "ptb" / "small"
REMEDIES = {
    "lm": {"model.latent_size"},
    "plain": set(),
    "linear": {"objective.schedule", "objective.schedule_steps"},
    "cyclical": {"objective.schedule", "objective.schedule_steps"},
    "cyclical_zero": {f"objective.{key}" for key in ("schedule", "schedule_steps", "cycles", "ramp", "zero")},
    "free_bits": {"objective.free_nats"},
    "target_rate": {"objective.target_rate", "objective.beta_start", "objective.target_gain"},
    "minimum_rate": {"objective.minimum_rate", "objective.beta_start", "objective.target_gain"},
    "rate_distance": {"objective.capacity"},
    "aggressive": {
        f"stages.0.{key}" for key in ("aggressive", "encoder_updates", "encoder_window", "information_every")
    },
    "word_dropout": {"model.decoder.word_dropout"},
    "denoising": {"model.encoder.denoising"},
    "batch_norm": {"model.encoder.batch_norm"},
    "fixed_variance": {"model.encoder.fixed_variance"},
    "iwae": {"objective.importance_samples"},
    "mixture": {"model.prior", "model.components"},
    "vamp": {"model.prior", "model.components"},
}


def test_every_row_is_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*REMEDIES, "warm_start"}


@pytest.mark.parametrize("row", REMEDIES)
def test_a_row_differs_from_the_plain_one_in_its_remedy_alone(row: str) -> None:
    plain, other = load_recipe(FOLDER / "plain.yaml"), load_recipe(FOLDER / f"{row}.yaml")
    assert set(differing_keys(plain, other)) == REMEDIES[row] | ({"name"} if row != "plain" else set())
    for name in ("training", "evaluation", "data", "tokenizer"):  # among them what a resumed run might change
        assert getattr(other, name) == getattr(plain, name)


def test_the_warm_start_differs_in_its_stages_alone() -> None:
    """An autoencoder, then a new decoder; both together have the steps of the other rows."""
    plain, warm = load_recipe(FOLDER / "plain.yaml"), load_recipe(FOLDER / "warm_start.yaml")
    assert {key.partition(".")[0] for key in differing_keys(plain, warm)} == {"name", "stages"}
    assert sum(warm.stage_steps(stage) for stage in warm.stages) == plain.training.steps
    assert warm.evaluation == plain.evaluation
    first, second = warm.stages
    assert (warm.stage_objective(first).beta, first.reset) == (0.0, [])
    assert (second.reset, second.learn) == (["decoder"], ["encoder", "prior", "decoder"])
    assert warm.stage_objective(second).free_nats == 0.25


def test_the_warm_start_keeps_the_encoder_and_renews_the_decoder(tmp_path: Path) -> None:
    """Its stages on the toy sentences: the second begins with the encoder the first has learnt."""
    warm = load_recipe(FOLDER / "warm_start.yaml")
    stages = [stage.model_dump(exclude_unset=True) | {"steps": 3} for stage in warm.stages]
    stages[1]["objective"]["schedule_steps"] = 2
    changes = {"stages": stages, "training": {"save_every": 3, "learning_rate": 1e-3, "warmup_steps": 100}}
    trainer = toy_trainer(toy_recipe(tmp_path, changes))
    seen: dict[str, torch.Tensor] = {}
    prepare = trainer._prepare

    def look(*args: object) -> None:
        before = _flat(trainer.model.encoder), _flat(trainer.model.decoder)
        prepare(*args)  # type: ignore[arg-type]
        after = _flat(trainer.model.encoder), _flat(trainer.model.decoder)
        name = args[0].name  # type: ignore[attr-defined]
        seen[f"{name}: encoder"], seen[f"{name}: decoder"] = (
            (b - a).abs().max() for b, a in zip(before, after, strict=True)
        )

    trainer._prepare = look  # type: ignore[method-assign]
    start = _flat(trainer.model.encoder)
    trainer.fit()
    assert seen["vae: encoder"] == 0.0, "what the autoencoder has learnt"
    assert seen["vae: decoder"] > 0.01, "is read by a new decoder"
    assert not torch.equal(start, _flat(trainer.model.encoder))


def _flat(part: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in part.parameters()])
