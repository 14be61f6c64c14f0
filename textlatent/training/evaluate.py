"""A model and a split -> Scores, one row per sentence in the split's order, over all processes."""

from collections.abc import Callable
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from jaxtyping import Int
from torch import Tensor, nn

from textlatent.corpus.batches import EncodedSplit, collate, evaluation_batches
from textlatent.scores import Scores

DRAWS = 32  # of each sentence in one forward pass: the encoder runs once for so many


@torch.no_grad()
def evaluate(
    model: nn.Module,
    split: EncodedSplit,
    *,
    positions: Int[Tensor, " n"] | None = None,
    accelerator: Accelerator | None = None,
    samples: int = 1,
    seed: int = 0,
    tokens_per_batch: int = 8192,
    precision: str = "fp32",
    keep_latents: bool = True,
    pad_id: int = 0,
    progress: Callable[[dict[str, Any]], None] | None = None,
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
        pad_id: of the tokenizer.
        progress: called with {"event": "progress", "done", "total"} in sentences x draws.

    Raises:
        ValueError: no sentences, or fewer than one draw.
    """
    if samples < 1:
        raise ValueError(f"samples must be >= 1, got {samples}.")
    rank, world = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    wanted = torch.arange(len(split)) if positions is None else positions
    of_a_draw = max(1, tokens_per_batch // min(samples, DRAWS))
    batches = evaluation_batches(split.lengths[wanted], tokens_per_batch=of_a_draw)
    parts, done = [], 0
    for rows in batches[rank::world]:
        host = cast(dict[str, Tensor], collate(split, wanted[rows], pad_id=pad_id))
        batch = {name: tensor.to(device) for name, tensor in host.items()}
        chunk = max(1, tokens_per_batch // batch["tokens"].numel())
        draws = []
        for first in range(0, samples, chunk):
            size = min(chunk, samples - first)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                draws.append(
                    model(**batch, seed=seed, samples=size, first_sample=first, keep_latents=keep_latents).to("cpu")
                )
            done += size * len(rows) * world
            if progress is not None and rank == 0:
                total = samples * len(wanted)
                progress({"event": "progress", "what": "scoring", "done": min(done, total), "total": total})
        parts.append(_join_draws(draws))
    model.train(training)
    if world > 1:
        parts = [Scores.from_dict(part) for part in gather_object([part.to_dict() for part in parts])]
    scores = Scores.concatenate(parts)
    return scores.select(torch.argsort(scores.need("index")))


def _join_draws(draws: list[Scores]) -> Scores:
    """Chunks of draws of the same sentences as one record."""
    first = draws[0].to_dict()
    for name in ("log_p_enc", "log_p_pri", "log_p_dec"):
        if name in first:
            first[name] = torch.cat([getattr(draw, name) for draw in draws])
    return Scores.from_dict(first)
