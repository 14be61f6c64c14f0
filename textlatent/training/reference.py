"""Sentences of the training split by which codes are started, and normalised means calibrated step after step."""

from typing import Any

import torch

from textlatent.corpus.batches import Split, collate, evaluation_batches

SENTENCES = 128
"""How many: a variance from so many is off by an eighth, always in the same way, and a step takes a tenth longer."""


class Reference:
    """The same sentences throughout a run, in padded batches.

    Args:
        split: the training sentences.
        seed: decides which.
        tokens_per_batch: padded tokens of a batch.
        pad_id: of the tokenizer.
        device: where the model is.
        count: how many sentences; all there are if fewer.
    """

    def __init__(
        self,
        split: Split,
        *,
        seed: int,
        tokens_per_batch: int,
        pad_id: int,
        device: torch.device,
        count: int = SENTENCES,
    ) -> None:
        chosen = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:count]
        rows = evaluation_batches(split.lengths[chosen], tokens_per_batch=tokens_per_batch)
        batches = [collate(split, chosen[each], pad_id=pad_id) for each in rows]
        self.batches = [(batch["tokens"].to(device), batch["lengths"].to(device)) for batch in batches]

    def calibrate(self, model: Any, *, precision: str) -> None:
        """Give the model the sentences, at the weights as they are; one whose encoder does not learn stays as it is."""
        if not any(parameter.requires_grad for parameter in model.encoder.parameters()):
            return
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
            model.calibrate(self.batches)
