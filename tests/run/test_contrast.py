"""contrast on a small game: every system and estimator has its row, and what is known of each holds."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.training.test_adversarial import values
from textlatent import run as verbs
from textlatent.contrasts.estimators import ESTIMATORS, NEEDS_PAIRS
from textlatent.run import contrast as _  # noqa: F401 (the verb; the module is patched by its name)
from textlatent.run import contrast_systems


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import sys

    module = sys.modules["textlatent.run.contrast"]
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "POINTS", 200_000)
    patch.setattr(module, "SENTENCES", 4)
    given = values(tmp_path_factory.mktemp("contrast"), {"training": {"samples": 32, "sentences_per_step": 32}})
    found = verbs.contrast(given, rounds=10, samples=12, repeats=8)
    patch.undo()
    return found


def _rows(made: Any) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["system"], row["estimator"]): row for row in made.content["rows"]}


def test_every_system_has_its_rows(made: Any) -> None:
    rows = _rows(made)
    assert {name for system, name in rows if system == "bigram GAN"} == set(ESTIMATORS)
    assert {("Gaussian VAE", "pathwise"), ("Gaussian VAE", "score function"), ("VQ", "none")} <= set(rows)
    assert all(row["milliseconds"] > 0 for row in rows.values())


def test_what_is_known_of_each_holds(made: Any) -> None:
    rows = _rows(made)
    assert rows["bigram GAN", "inverse_cdf"]["norm"] == 0.0
    bias, size = (rows["bigram GAN", "inverse_cdf"][key] for key in ("bias", "exact_norm"))
    assert bias == pytest.approx(size, rel=1e-12)
    assert size > 0.0
    assert rows["bigram GAN", "exact"]["bias"] < 1e-12
    for name in ("boundary", "reinforce", "constant", "optimal", "leave_one_out", "rebar"):
        assert not rows["bigram GAN", name]["biased"], name
    assert not rows["Gaussian VAE", "pathwise"]["biased"]
    none, through = rows["VQ", "none"], rows["VQ", "straight-through"]
    assert none["norm"] == none["exact_norm"] == through["exact_norm"] == 0.0
    assert through["bias"] == pytest.approx(through["norm"], rel=1e-12)
    assert through["norm"] > 0.0
    assert rows["VQ", "none"]["remark"].startswith("autograd: None; exact is 0: 0 of 4 sentences felt")


def test_the_zeros_are_told_apart(made: Any) -> None:
    zero = made.content["zero"]
    assert zero["autograd"] == {
        "through_words": {"start_logits": None, "transition_logits": None},
        "through_rows": {"start_logits": 0.0, "transition_logits": 0.0},
    }
    assert zero["differences"][-1]["nonzero"] == 0.0 < zero["differences"][-1]["predicted"]
    for each in zero["jumps"].values():
        assert each["measured"] == pytest.approx(each["first_order"], rel=0.05)


def test_what_is_written(made: Any) -> None:
    assert json.loads((made.folder / "contrast.json").read_text()) == json.loads(json.dumps(made.content))
    assert (made.folder / "contrast.png").read_bytes().startswith(b"\x89PNG")
    page = (made.folder / "contrast.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    for name in ESTIMATORS:
        assert f">{name.replace('_', ' ')}<" in page
    assert "all of it is bias" in page


def test_a_transformer_that_judges_leaves_out_what_needs_pairs(tmp_path: Path) -> None:
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    from textlatent.recipe.bigram_gan import BigramGanRecipe
    from textlatent.recipe.load import load_any, of_kind
    from textlatent.run import build
    from textlatent.run.bigram_gan_folder import build_gan
    from textlatent.run.corpus import build_corpus

    given = values(tmp_path, {"model": {"discriminator": {"type": "transformer", "config": small}}})
    recipe: Any = of_kind(load_any(given), BigramGanRecipe)
    tokenizer = build.build_tokenizer(recipe, build_corpus(recipe.data))
    model = build_gan(recipe, tokenizer)
    rows = contrast_systems.gan_rows(model, cost="non_saturating", temperature=0.5, samples=4, repeats=3, seed=0)
    assert {row.estimator for row in rows} == set(ESTIMATORS) - set(NEEDS_PAIRS)
    assert all(math.isfinite(row.measured.norm) for row in rows)


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rounds must be >= 1, samples and repeats >= 3, got 0, 64 and 32"):
        verbs.contrast(values(tmp_path), rounds=0)
    with pytest.raises(ValueError, match="autoencoder"):
        verbs.contrast("quickstart")
