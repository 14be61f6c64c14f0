"""evaluate and sample, of a run of kind `ring`: exact nats, the pseudo-likelihood beside them, exact draws."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_model import RingModel
from textlatent.contrasts.ring_sampling import sample as draw_labels
from textlatent.corpus.encoding import EncodedSplit
from textlatent.diagnostics.cell import Cell, blank, mean_cell
from textlatent.diagnostics.ledger import build_ledger
from textlatent.run.environment import versions
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.ring_folder import alphabet_of, build_split, build_text, corpus_of, recipe_of, ring_at
from textlatent.scores import Scores
from textlatent.training.checkpoint import write_text, writing
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.launch import launch
from textlatent.training.optimizer import seed_of

NO_Z = "a ring has no z: no encoder, no prior and so no rate (THEORY T14)."
GIVEN = "P(Y) is given the number of sites, so that no end is paid for; nll_per_site_nats says what a site costs."
LABELS = "a language's entropy is of its sentences, and these are labels around a circle whose size is given."
PSEUDO = "sum over sites of -ln P(Y_n | the rest); no probability of Y, not to be compared with a NLL"

Progress = Callable[[dict[str, Any]], None]


def evaluate(
    run: Run | str | Path,
    *,
    split: str | None = None,
    text: str | Path | None = None,
    samples: int | None = None,
    sentences: int | None = None,
    mixture: Sequence[str] = (),
    checkpoint: str = "final",
    precision: str | None = None,
    accelerator: Any | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The ledger of a run on a split or a text file; written to ledger.json and scores.safetensors beside it.

    `distortion_nats` is the exact -ln P(Y), given the number of sites; `nll_per_site_nats` the same a site;
    `pseudo_nll_nats` and `pseudo_nll_per_site_nats` the pseudo-likelihood. The rest is blank: there is no z.

    Args:
        run: a Run or its folder.
        split: train, valid or test; the recipe's evaluation.split if not given.
        text: a file of sentences instead of a split; its ledger is ledger-NAME.json.
        samples: must not be given: nothing is drawn.
        sentences: how many sentences, drawn by data.split_seed; the recipe's if not given.
        mixture: must be empty: there are no posteriors.
        checkpoint: "final", "best" or "step-N".
        precision: "fp32", or None for it: potentials are float64.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with {"event": "progress", "done", "total"}, at the end with {"event": "ledger", "ledger"}.

    Raises:
        ValueError: no such split or checkpoint, a fault in the text, or something asked of a z.
    """
    run, recipe = recipe_of(run)
    if samples is not None or mixture or precision not in (None, "fp32"):
        raise ValueError(f"samples, mixture and precision are of no use here: {NO_Z} Leave them out.")
    accelerator, alphabet = accelerator or launch(), alphabet_of(run)
    name = str(text) if text is not None else split or recipe.evaluation.split
    if text is None:
        encoded = build_split(name, corpus_of(run, recipe), alphabet, recipe)
    else:
        encoded = build_text(text, alphabet, recipe)
    wanted = recipe.evaluation.sentences if sentences is None and text is None else sentences
    positions = choose(len(encoded), wanted, recipe.data.split_seed)
    model = ring_at(run, checkpoint).to(accelerator.device)
    scores, pseudo = both_scores(model, encoded, positions, accelerator=accelerator, progress=progress)
    context = {
        "split": name,
        "corpus": _corpus(run, text),
        "model": {"run": str(run.folder), "checkpoint": checkpoint, "type": model.config.model_type},
        "seed": recipe.seed,
        "versions": versions(),
        "notes": encoded.notes,
    }
    ledger = build_ledger(scores, context=context) | ring_cells(scores, pseudo)
    if accelerator.is_main_process:
        _keep(run, scores, ledger, suffix="" if name == recipe.evaluation.split else f"-{Path(name).stem}")
        if progress is not None:
            for note in encoded.notes:
                progress({"event": "note", "text": note})
            progress({"event": "ledger", "ledger": ledger})
    return ledger


def both_scores(
    model: RingModel,
    encoded: EncodedSplit,
    positions: Tensor,
    *,
    accelerator: Any,
    progress: Progress | None = None,
) -> tuple[Scores, Scores]:
    """Ln P(Y), then ln PL(Y), of each sequence, nats, whatever the model was trained by."""
    trained_by, found = model.criterion, []
    for criterion in ("exact", "pseudo"):
        model.criterion = criterion
        told = progress if criterion == "exact" else None
        found.append(
            evaluate_split(
                model, encoded, positions=positions, accelerator=accelerator, keep_latents=False, progress=told
            )
        )
    model.criterion = trained_by
    return found[0], found[1]


def ring_cells(scores: Scores, pseudo: Scores) -> dict[str, Cell]:
    """What a ring's ledger holds in the place of everything that needs a z."""
    nll, sites = scores.distortion(), scores.need("tokens")
    per_site = sites / sites.double().mean()  # a ratio of means: each sequence weighs as many sites as it has
    cells = {
        "nll_per_site_nats": _ratio(nll, per_site, sites, "-ln P(Y) over the number of sites"),
        "pseudo_nll_nats": mean_cell(pseudo.distortion(), "") | {"remark": PSEUDO},
        "pseudo_nll_per_site_nats": _ratio(pseudo.distortion(), per_site, sites, PSEUDO),
    }
    of_z = ("rate_nats", "neg_elbo_nats", "iw_nll_nats", "information_nats", "mismatch_nats", "gap_nats")
    per_unit = ("perplexity_per_token", "perplexity_per_word", "bits_per_character")
    cells |= {name: blank(NO_Z) for name in (*of_z, "active_units")} | {name: blank(GIVEN) for name in per_unit}
    cells |= {name: blank(LABELS) for name in ("exact_entropy_nats", "excess_nats")}
    return cells | {"distortion_nats": mean_cell(nll, "") | {"remark": "-ln P(Y), exact, given the number of sites"}}


def _ratio(nats: Tensor, relative: Tensor, sites: Tensor, meaning: str) -> Cell:
    """Sum of nats over sum of sites, its error by the delta method."""
    mean = float(nats.sum() / sites.sum())
    residual = (nats - mean * sites) / sites.double().mean()
    found = mean_cell(residual + mean * relative, "")
    error = None if len(nats) < 2 else float(residual.std() / len(nats) ** 0.5)
    return found | {"value": mean, "se": error, "remark": meaning}


def sample(
    run: Run | str | Path,
    count: int = 10,
    *,
    seed: int = 0,
    checkpoint: str = "final",
    temperature: float = 1.0,
    **generation: Any,
) -> list[str]:
    """Sequences drawn exactly from the ring, of sizes drawn from those of the training text.

    A ring that all sites share has no first site: a draw is turned so that an end label, where it has one, is last.

    Args:
        run: a Run or its folder.
        count: how many.
        seed: of the draws; the i-th is the same however many are asked for.
        checkpoint: "final", "best" or "step-N".
        temperature: the potentials are divided by it.
        generation: must be empty, or num_beams=1.

    Raises:
        ValueError: fewer than one sequence, a temperature not above 0, another setting, or no such checkpoint.
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}.")
    if not temperature > 0.0:
        raise ValueError(f"temperature must be > 0, got {temperature}.")
    if given := [name for name, value in generation.items() if (name, value) != ("num_beams", 1)]:
        raise ValueError(f"a ring is drawn from exactly, without {', '.join(given)}; leave it out.")
    model, run = ring_at(run, checkpoint), run if isinstance(run, Run) else Run(run)
    alphabet, sizes = alphabet_of(run), json.loads((run.folder / "sizes.json").read_text())
    numbers, known = torch.tensor(list(sizes.values()), dtype=torch.float64), [int(size) for size in sizes]
    texts = []
    for row in range(count):
        random = torch.Generator().manual_seed(seed_of(seed, row))
        with torch.no_grad():
            ring = model.ring(known[int(torch.multinomial(numbers, 1, generator=random))])
        cooled = Ring(ring.edges / temperature, ring.fields / temperature, ring.sites, ring.closed)
        labels = draw_labels(cooled, 1, seed=seed_of(seed, row, 1))[0]
        texts.append(alphabet.decode(_turned(labels, ring, end=alphabet.end).tolist()))
    return texts


def _turned(labels: Tensor, ring: Ring, *, end: bool) -> Tensor:
    """The sequence with an end label last, where it has one and may be turned."""
    if not (end and ring.shared and ring.closed and bool((labels == 0).any())):
        return labels
    last = int((labels == 0).nonzero()[-1])
    return labels.roll(len(labels) - 1 - last)


def _keep(run: Run, scores: Scores, ledger: dict[str, Any], *, suffix: str) -> None:
    """ledger.json and scores.safetensors, under the names a split or text file gives them."""
    with writing(run.folder / f"ledger{suffix}.json"):
        temporary = run.folder / ".scores.writing"
        scores.save(temporary, about={"split": ledger["split"], "log_p_dec": "ln P(Y), exact, given the sites"})
        temporary.replace(run.folder / f"scores{suffix}.safetensors")
        write_text(run.folder / f"ledger{suffix}.json", json.dumps(ledger, indent=1, ensure_ascii=False))


def _corpus(run: Run, text: str | Path | None) -> dict[str, str]:
    """What was scored: the run's corpus, or a file; path and sha256."""
    if text is None:
        return {key: run.corpus_card[key] for key in ("path", "sha256")}
    return {"path": str(text), "sha256": hashlib.sha256(Path(text).read_bytes()).hexdigest()}
