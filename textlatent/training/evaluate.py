"""A model and a split -> Scores, one row per sentence in the split's order, over all processes."""

from collections.abc import Callable
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from jaxtyping import Float, Int
from torch import Tensor, nn

from textlatent.corpus.batches import Split, collate, evaluation_batches
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.scores import Scores

DRAWS = 32  # of each sentence in one forward pass: the encoder runs once for so many

Batch = dict[str, Tensor]
Progress = Callable[[dict[str, Any]], None]


@torch.no_grad()
def evaluate(
    model: nn.Module,
    split: Split,
    *,
    positions: Int[Tensor, " n"] | None = None,
    accelerator: Accelerator | None = None,
    samples: int = 1,
    seed: int = 0,
    tokens_per_batch: int = 8192,
    precision: str = "fp32",
    keep_latents: bool = True,
    keep_tokens: bool = False,
    pad_id: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """Scores of every sentence of a split, nats, on the CPU, in the order of the split.

    The draws of a sentence depend on (seed, its index, the draw's number) alone; batches, their order, chunks of draws
    and processes change nothing but rounding.

    Args:
        model: maps a batch to Scores.
        split: the sentences.
        positions: which of them; all if not given.
        accelerator: shares batches among its processes; every process gets the whole record.
        samples: S, draws of z per sentence.
        seed: of the draws.
        tokens_per_batch: padded tokens x draws in one forward pass.
        precision: "fp32" (as the weights are) or "bf16".
        keep_latents: also z, the posterior's and the prior's parameters.
        keep_tokens: also log_p_dec_token of the first draw.
        pad_id: of the tokenizer.
        progress: called with {"event": "progress", "done", "total"} in sentences x draws.

    Raises:
        ValueError: no sentences, or fewer than one draw.
    """
    if samples < 1:
        raise ValueError(f"samples must be >= 1, got {samples}.")
    wanted = torch.arange(len(split)) if positions is None else positions
    tell = counter(progress, samples * len(wanted), accelerator)

    def score(batch: Batch, rows: Tensor) -> Scores:
        chunk = max(1, tokens_per_batch // (len(rows) * int(split.lengths[wanted[rows]].max())))
        draws = []
        for first in range(0, samples, chunk):
            some: dict[str, Any] = {"samples": min(chunk, samples - first), "first_sample": first}
            with arithmetic(batch, precision):
                asked = {"keep_tokens": True} if keep_tokens and not first else {}
                scores = model(**batch, seed=seed, **some, keep_latents=keep_latents, **asked)
            draws.append(scores.to("cpu"))
            tell(some["samples"] * len(rows))
        return _join_draws(draws)

    of_a_draw = max(1, tokens_per_batch // min(samples, DRAWS))
    return over_batches(model, split, wanted, score, accelerator=accelerator, tokens=of_a_draw, pad_id=pad_id)


@torch.no_grad()
def evaluate_at(
    model: Any,
    split: Split,
    z: Float[Tensor, "n D"],
    *,
    positions: Int[Tensor, " n"] | None = None,
    accelerator: Accelerator | None = None,
    tokens_per_batch: int = 8192,
    precision: str = "fp32",
    pad_id: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """What the decoder says of every sentence under a z that may come from anywhere: ln P_dec(y|z), nats, on the CPU.

    The record holds log_p_dec [1, n], log_p_dec_token and the counts, in the order of the split, as `evaluate` has it.

    Args:
        model: has `log_prob_token(tokens, lengths, z)`.
        split: the sentences.
        z: the latent of each; row k is that of `positions[k]`.
        positions: which sentences; all if not given.
        accelerator: shares batches among its processes; every process gets the whole record.
        tokens_per_batch: padded tokens in one forward pass.
        precision: "fp32" (as the weights are) or "bf16".
        pad_id: of the tokenizer.
        progress: called with {"event": "progress", "done", "total"} in sentences.

    Raises:
        ValueError: no sentences, or not one z for each.
    """
    wanted = torch.arange(len(split)) if positions is None else positions
    if len(z) != len(wanted):
        raise ValueError(f"z must have one row for each of the {len(wanted)} sentences, got {len(z)}.")
    tell = counter(progress, len(wanted), accelerator)
    kind = next(model.parameters()).dtype

    def score(batch: Batch, rows: Tensor) -> Scores:
        with arithmetic(batch, precision):
            latents = z[rows].to(batch["tokens"].device, kind)
            per_token = model.log_prob_token(batch["tokens"], batch["lengths"], latents)
        tell(len(rows))
        counts = {name: batch[name] for name in ("words", "characters", "index", "label")}
        total = per_token.sum(-1, dtype=torch.float64)[None]
        return Scores(log_p_dec=total, log_p_dec_token=per_token, tokens=batch["lengths"], **counts).to("cpu")

    return over_batches(model, split, wanted, score, accelerator=accelerator, tokens=tokens_per_batch, pad_id=pad_id)


@torch.no_grad()
def posteriors(
    model: Any,
    split: Split,
    *,
    positions: Int[Tensor, " n"] | None = None,
    accelerator: Accelerator | None = None,
    tokens_per_batch: int = 8192,
    precision: str = "fp32",
    pad_id: int = 0,
    progress: Progress | None = None,
) -> DiagonalGaussian:
    """P_enc(z|y) of every sentence of a split, mean and log-variance [n, D] on the CPU, in the order of the split.

    Args:
        model: has `posterior(tokens, lengths)`.
        split: the sentences.
        positions: which of them; all if not given.
        accelerator: shares batches among its processes; every process gets all.
        tokens_per_batch: padded tokens in one forward pass.
        precision: "fp32" (as the weights are) or "bf16".
        pad_id: of the tokenizer.
        progress: called with {"event": "progress", "done", "total"} in sentences.

    Raises:
        ValueError: no sentences.
    """
    wanted = torch.arange(len(split)) if positions is None else positions
    tell = counter(progress, len(wanted), accelerator, what="encoding")

    def score(batch: Batch, rows: Tensor) -> Scores:
        with arithmetic(batch, precision):
            found = model.posterior(batch["tokens"], batch["lengths"])
        tell(len(rows))
        return Scores(posterior_mean=found.mean, posterior_log_variance=found.log_variance, index=batch["index"]).to(
            "cpu"
        )

    scores = over_batches(model, split, wanted, score, accelerator=accelerator, tokens=tokens_per_batch, pad_id=pad_id)
    return DiagonalGaussian(scores.need("posterior_mean"), scores.need("posterior_log_variance"))


def over_batches(
    model: nn.Module,
    split: Split,
    wanted: Tensor,
    score: Callable[[Batch, Tensor], Scores],
    *,
    accelerator: Accelerator | None,
    tokens: int,
    pad_id: int,
) -> Scores:
    """`score(batch, rows of wanted)` of all batches, each by one process: one record, in the split's order."""
    rank, world = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    parts = []
    for rows in evaluation_batches(split.lengths[wanted], tokens_per_batch=tokens)[rank::world]:
        host = cast(Batch, collate(split, wanted[rows], pad_id=pad_id))
        parts.append(score({name: tensor.to(device) for name, tensor in host.items()}, rows))
    model.train(training)
    if world > 1:
        parts = [Scores.from_dict(part) for part in gather_object([part.to_dict() for part in parts])]
    scores = Scores.concatenate(parts)
    return scores.select(torch.argsort(scores.need("index")))


def arithmetic(batch: Batch, precision: str) -> torch.autocast:
    """Of a forward pass: "fp32" leaves the weights' own."""
    return torch.autocast(batch["index"].device.type, torch.bfloat16, enabled=precision == "bf16")


def counter(
    progress: Progress | None, total: int, accelerator: Accelerator | None, *, what: str = "scoring"
) -> Callable[[int], None]:
    """What is called with each part done; the first process tells, for all of them."""
    rank, world = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        done += more * world
        if progress is not None and rank == 0:
            progress({"event": "progress", "what": what, "done": min(done, total), "total": total})

    return tell


def _join_draws(draws: list[Scores]) -> Scores:
    """Chunks of draws of the same sentences as one record."""
    first = draws[0].to_dict()
    for name in ("log_p_enc", "log_p_pri", "log_p_dec"):
        if name in first:
            first[name] = torch.cat([getattr(draw, name) for draw in draws])
    return Scores.from_dict(first)
