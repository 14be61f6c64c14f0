"""evaluate, of a run of kind `bigram_gan`: exact nats, against the likeliest bigram and, where known, the language."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from textlatent.contrasts.bigram_gan import BigramGAN
from textlatent.contrasts.quality import against_language, cross_entropy, unended
from textlatent.corpus.batches import EncodedSplit
from textlatent.corpus.toy import language_of
from textlatent.corpus.toy_language import ToyLanguage
from textlatent.corpus.toy_support import every_sentence
from textlatent.decoder.table import Bigram
from textlatent.diagnostics.bigram import NO_Z
from textlatent.diagnostics.cell import Cell, blank, cell, mean_cell
from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.likelihood import bits_per_unit, perplexity
from textlatent.nats.montecarlo import mean_with_error
from textlatent.recipe.bigram_gan import BigramGanRecipe
from textlatent.run.bigram_gan_folder import Text, gan_at, recipe_of, text_of
from textlatent.run.environment import versions
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.recipes import locate
from textlatent.scores import Scores
from textlatent.training.checkpoint import write_text, writing
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.launch import launch

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

    `distortion_nats` is the held-out NLL, exact; `floor_nats` the likeliest bigram's of the training split on the same
    sentences; `reverse_nll_nats` what the model's own sentences cost under that bigram, summed over all of them. Where
    the corpus's language is known: both KLs and the JSD, summed over every sentence. The rest is blank: there is no z.

    Args:
        run: a Run or its folder.
        split: train, valid or test; the recipe's evaluation.split if not given.
        text: a file of sentences instead of a split; its ledger is ledger-NAME.json.
        samples: must not be given: nothing is drawn.
        sentences: how many sentences, drawn by data.split_seed; the recipe's if not given.
        mixture: must be empty: there are no posteriors.
        checkpoint: "final", "best" or "step-N".
        precision: "fp32", or None for it: tables are float64.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with {"event": "progress", "done", "total"}, at the end with {"event": "ledger", "ledger"}.

    Raises:
        ValueError: no such split or checkpoint, a fault in the text, or something asked of a z.
    """
    run, recipe = recipe_of(run)
    if samples is not None or mixture or precision not in (None, "fp32"):
        raise ValueError(f"samples, mixture and precision are of no use here: {NO_Z} Leave them out.")
    accelerator = accelerator or launch()
    source, name = text_of(run), str(text) if text is not None else split or recipe.evaluation.split
    encoded = source.split(name) if text is None else source.file(text)
    model = gan_at(run, checkpoint).to(accelerator.device)
    wanted = recipe.evaluation.sentences if sentences is None and text is None else sentences
    positions = choose(len(encoded), wanted, recipe.data.split_seed)
    settings: dict[str, Any] = {
        "positions": positions,
        "accelerator": accelerator,
        "pad_id": run.tokenizer.pad_token_id,
    }
    settings |= {"tokens_per_batch": recipe.evaluation.tokens_per_batch, "keep_latents": False}
    scores = evaluate_split(model, encoded, progress=progress, **settings)
    floor, pseudo_count = source.floor
    at_floor = evaluate_split(Reference(floor, like=model), encoded, **settings)
    context = {
        "split": name,
        "corpus": _corpus(run, text),
        "model": {"run": str(run.folder), "checkpoint": checkpoint, "type": model.config.model_type},
        "seed": recipe.seed,
        "versions": versions(),
        "notes": encoded.notes,
    }
    language = _language(recipe)
    exact = _exact(language, encoded, positions) if text is None else None
    entropy = None if language is None or text is not None else language.entropy()
    ledger = build_ledger(scores, exact_nll=exact, exact_entropy=entropy, context=context)
    ledger |= _of_no_latent(scores, exact)
    ledger |= _beside_floor(model, scores, at_floor, floor, pseudo_count)
    if language is not None and recipe.evaluation.language:
        ledger |= beside_language(model.generator.cpu(), floor, language, source)
    if accelerator.is_main_process:
        _keep(
            run,
            scores,
            ledger,
            suffix="" if text is None and name == recipe.evaluation.split else f"-{Path(name).stem}",
        )
        if progress is not None:
            progress({"event": "ledger", "ledger": ledger})
    return ledger


class Reference(BigramGAN):
    """Another bigram in the place of a run's generator, to be scored as it is."""

    def __init__(self, table: Bigram, *, like: BigramGAN) -> None:
        config: Any = like.config
        super().__init__(config)
        self.generator = table.to(like.device)


def _corpus(run: Run, text: str | Path | None) -> dict[str, str]:
    if text is None:
        return {key: run.corpus_card[key] for key in ("path", "sha256")}
    return {"path": str(text), "sha256": hashlib.sha256(Path(text).read_bytes()).hexdigest()}


def _language(recipe: BigramGanRecipe) -> ToyLanguage | None:
    source = recipe.data.path or recipe.data.train
    return language_of(locate(str(source))) if source else None


def _exact(language: ToyLanguage | None, split: EncodedSplit, positions: torch.Tensor) -> torch.Tensor | None:
    """-ln P(y) of each sentence, nats, where the language is known."""
    if language is None:
        return None
    nats = [-language.log_probability(text) for text in split.texts(positions)]
    return torch.tensor(nats, dtype=torch.float64)


def _of_no_latent(scores: Scores, exact: torch.Tensor | None) -> dict[str, Cell]:
    """What is blank and why, and what an exact NLL says for itself."""
    nll = scores.distortion()
    exactly = "ln P(y) is exact here: the distortion is the NLL."
    cells = {key: blank(NO_Z) for key in ("rate_nats", "neg_elbo_nats", "information_nats", "mismatch_nats")}
    cells |= {key: blank(exactly) for key in ("iw_nll_nats", "gap_nats")} | {"active_units": blank(NO_Z)}
    units = (("perplexity_per_token", "tokens", 0, perplexity), ("perplexity_per_word", "words", 1, perplexity))
    for key, name, end, per_unit in (*units, ("bits_per_character", "characters", 1, bits_per_unit)):
        count = scores.need(name) + end
        cells[key] = cell(per_unit(nll, count), of="marginal_nll_nats", samples=0, neg_elbo=None)
    if exact is not None:
        cells["excess_nats"] = mean_cell(nll - exact, "")
    return cells


def _beside_floor(model: BigramGAN, scores: Scores, at_floor: Scores, floor: Bigram, pseudo: float) -> dict[str, Cell]:
    """Held-out and reverse NLL, with the likeliest bigram's."""
    width, eos, table = model.config.words, model.config.eos_token_id, model.generator.to("cpu")
    over = mean_with_error(scores.distortion() - at_floor.distortion())
    nats = mean_with_error(at_floor.distortion())
    share = over.value / nats.value
    floor = floor.to("cpu")
    return {
        "floor_nats": cell(nats, pseudo_count=pseudo, remark=f"maximum likelihood, pseudo-count {pseudo:g}"),
        "over_floor_nats": cell(over, share=share, remark=f"{share:.2%} of it"),
        "reverse_nll_nats": {
            "value": cross_entropy(table, floor, words=width, eos=eos),
            "se": 0.0,
            "remark": "of all the model's sentences under the likeliest bigram, exact",
        },
        "reverse_floor_nats": {
            "value": cross_entropy(floor, floor, words=width, eos=eos),
            "se": 0.0,
            "remark": "of the likeliest bigram's own sentences: its entropy",
        },
        "unended_share": {
            "value": unended(table, words=width, eos=eos),
            "se": 0.0,
            "remark": f"after {width} words, exact",
        },
    }


def beside_language(table: Bigram, floor: Bigram, language: ToyLanguage, source: Text) -> dict[str, Cell]:
    """Both KLs and the JSD to the language, every sentence of it summed; the likeliest bigram's in the remarks."""
    tokenizer = source.tokenizer
    ids = tokenizer.encode_sentences(list(language.vocabulary))
    if any(len(each) != 1 or each[0] == tokenizer.unk_token_id for each in ids):
        why = "a word of the language is not one token here; take tokenizer.type: word with vocabulary: null."
        return {key: blank(why) for key in ("forward_kl_nats", "reverse_kl_nats", "jsd_nats", "inside_share")}
    number = {word: each[0] for word, each in zip(language.vocabulary, ids, strict=True)}
    parts = list(every_sentence(language, number, eos=tokenizer.eos_token_id))
    own, best = (against_language(each, iter(parts), entropy=language.entropy()) for each in (table, floor))
    infinite = blank(
        f"infinite: {1.0 - own.inside:.2%} of what it writes is not of the language; of the rest "
        f"{own.reverse_kl_inside:.4f} nats; likeliest bigram {1.0 - best.inside:.2%} and {best.reverse_kl_inside:.4f}."
    )
    found = {
        "forward_kl_nats": (own.forward_kl, f"likeliest bigram {best.forward_kl:.4f}"),
        "jsd_nats": (own.jsd, f"of at most ln 2 = 0.6931; likeliest bigram {best.jsd:.4f}"),
        "inside_share": (own.inside, f"likeliest bigram {best.inside:.4f}"),
    }
    cells: dict[str, Cell] = {k: {"value": v, "se": 0.0, "remark": remark} for k, (v, remark) in found.items()}
    finite = {"value": own.reverse_kl, "se": 0.0, "remark": ""}
    return cells | {"reverse_kl_nats": infinite if own.inside < 1.0 - 1e-12 else finite}


def _keep(run: Run, scores: Scores, ledger: dict[str, Any], *, suffix: str) -> None:
    with writing(run.folder / f"ledger{suffix}.json"):
        temporary = run.folder / ".scores.writing"
        scores.save(temporary, about={key: ledger[key] for key in ("split", "corpus", "model", "seed", "versions")})
        temporary.replace(run.folder / f"scores{suffix}.safetensors")
        write_text(run.folder / f"ledger{suffix}.json", json.dumps(ledger, indent=1))
