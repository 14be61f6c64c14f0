"""contrast: a recipe of kind `bigram_gan` -> one table of gradients, and the page that draws it."""

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from textlatent.contrasts.bigram_gan import BigramGAN
from textlatent.contrasts.one_word import one_word
from textlatent.contrasts.zero_gradient import autograd_answer, count_jumps, finite_differences, shifted
from textlatent.corpus.batches import collate
from textlatent.models.backbone import quiet
from textlatent.nats.noise import uniform
from textlatent.recipe.bigram_gan import BigramGanRecipe
from textlatent.recipe.dump import dump_recipe
from textlatent.recipe.load import Source, load_any, of_kind
from textlatent.report.contrast import contrast_figure, contrast_page
from textlatent.run import build
from textlatent.run.bigram_gan_folder import TEMPERATURE, Text, build_game, build_gan, build_options
from textlatent.run.contrast_systems import gan_rows, small_vae, vae_rows, vq_rows
from textlatent.run.corpus import build_corpus
from textlatent.run.environment import versions
from textlatent.run.recipes import find_recipe
from textlatent.training.adversarial import AdversarialTrainer
from textlatent.training.checkpoint import write_text
from textlatent.training.game import AdversarialOptions
from textlatent.training.launch import launch, threads

STEPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
SENTENCES = 8
POINTS = 10_000_000
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Contrast:
    """What was measured.

    Attributes:
        folder: where contrast.json, contrast.html and contrast.png lie.
        content: contrast.json.
    """

    folder: Path
    content: dict[str, Any]


def contrast(
    recipe: Source,
    *,
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    rounds: int = 100,
    samples: int = 64,
    repeats: int = 32,
    progress: Progress | None = None,
) -> Contrast:
    """Gradients side by side: a Gaussian VAE's, a VQ's without and with straight-through, a bigram GAN's by every road.

    Args:
        recipe: of kind bigram_gan; its text is the others' too.
        overrides: "training.samples=64", ...
        out: the folder that holds runs; the recipe's `out` if not given. The page is in OUT/NAME-contrast.
        rounds: of the game before it is looked at, so that both players have something to say.
        samples: sentences of one estimate of the generator's gradient.
        repeats: estimates of each estimator.
        progress: called with notes and {"event": "progress", "done", "total"}.

    Raises:
        ValueError: a fault in the recipe or the corpus, or fewer than 3 repeats, 3 samples or 1 round.
    """
    if rounds < 1 or samples < 3 or repeats < 3:
        raise ValueError(f"rounds must be >= 1, samples and repeats >= 3, got {rounds}, {samples} and {repeats}.")
    quiet()
    path = find_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
    loaded = of_kind(load_any(path, overrides), BigramGanRecipe)
    tell = progress or (lambda event: None)
    with threads(loaded.training.threads):
        content = _measured(loaded, rounds=rounds, samples=samples, repeats=repeats, tell=tell)
    folder = Path(out or loaded.out) / f"{loaded.name}-contrast"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "contrast.json", json.dumps(content, indent=1, allow_nan=False))
    write_text(folder / "contrast.html", contrast_page(content))
    contrast_figure(content).savefig(folder / "contrast.png", dpi=130)
    return Contrast(folder, content)


def _measured(recipe: BigramGanRecipe, *, rounds: int, samples: int, repeats: int, tell: Progress) -> dict[str, Any]:
    """Everything that the page shows."""
    corpus = build_corpus(recipe.data)
    reader: Any = recipe
    text = Text(recipe, corpus, build.build_tokenizer(reader, corpus))
    section, words = recipe.model.generator, recipe.data.max_tokens
    model = _begun(recipe, text, rounds, tell)
    tell({"event": "note", "text": "a Gaussian VAE and a VQ, exact by quadrature"})
    vae = small_vae(text.tokenizer, words=words, seed=recipe.seed)
    batch = collate(text.split("train"), torch.arange(SENTENCES), pad_id=text.tokenizer.pad_token_id)
    rows = [*vae_rows(vae, batch, repeats=repeats, seed=recipe.seed), *vq_rows(vae, batch)]

    def measuring(name: str) -> None:
        tell({"event": "note", "text": f"bigram GAN: {name}"})

    rows += gan_rows(
        model,
        cost=section.cost,
        temperature=section.temperature or TEMPERATURE,
        samples=samples,
        repeats=repeats,
        seed=recipe.seed,
        tell=measuring,
    )
    tell({"event": "note", "text": f"the noise that jumps, {POINTS:,} points"})
    return {
        "name": recipe.name,
        "rows": [row.to_dict() for row in rows],
        "zero": _zero(model, section.cost, recipe.seed),
        "one_word": [asdict(each) for each in one_word()],
        "settings": {"rounds": rounds, "samples": samples, "repeats": repeats, "sentences": SENTENCES, "words": words}
        | {"vocabulary": len(text.tokenizer), "cost": section.cost, "temperature": section.temperature or TEMPERATURE},
        "corpus": build.corpus_card(corpus),
        "recipe": dump_recipe(recipe),
        "seed": recipe.seed,
        "versions": versions(),
    }


def _begun(recipe: BigramGanRecipe, text: Text, rounds: int, tell: Progress) -> BigramGAN:
    """The game after some rounds, played by a score function, that both players have a gradient to give."""
    tell({"event": "note", "text": f"{rounds} rounds of the game, by leave_one_out"})
    played = recipe.model_copy(
        update={
            "model": recipe.model.model_copy(
                update={
                    "generator": recipe.model.generator.model_copy(
                        update={"estimator": "leave_one_out", "temperature": None}
                    )
                }
            )
        }
    )
    model = build_gan(played, text.tokenizer)
    numbers = vars(build_options(played)) | {"steps": rounds, "scheduler": "constant", "sample_every": 0}
    numbers |= {"log_every": rounds, "validate_every": rounds, "save_every": rounds}
    with tempfile.TemporaryDirectory() as folder:
        AdversarialTrainer(
            build_game(played, model),
            train=text.split("train"),
            valid=text.split("valid"),
            options=AdversarialOptions(**numbers),
            folder=Path(folder),
            seed=recipe.seed,
            accelerator=launch(),
            pad_id=text.tokenizer.pad_token_id,
        ).fit()
    return model.cpu().eval()


def _zero(model: BigramGAN, cost: str, seed: int) -> dict[str, Any]:
    """The three senses in which inverse CDF has no gradient."""
    noise = uniform(torch.arange(20_000), seed=seed, shape=(model.config.words,), stream=7)[0]
    moved, table = shifted(model.generator, step=1e-2, seed=seed), model.generator
    busiest = int(table.log_start().argmax())
    rows = {
        "P": (table.log_start(), moved.log_start()),
        "Q": (table.log_transition()[busiest], moved.log_transition()[busiest]),
    }
    return {
        "autograd": asdict(autograd_answer(model, noise[:100], cost=cost)),
        "sentences": len(noise),
        "differences": [asdict(finite_differences(model, noise, cost=cost, step=h, seed=seed)) for h in STEPS],
        "jumps": {
            name: asdict(count_jumps(before.exp().detach(), after.exp().detach(), points=POINTS, seed=seed))
            for name, (before, after) in rows.items()
        },
    }
