"""What each class is of: its share, its most telling words, its labels; classes.json and lines to read."""

import json
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.corpus.encoding import EncodedSplit
from textlatent.corpus.vocabulary import MARKER
from textlatent.decoder.counts import WordCounts
from textlatent.models import LatentClassModel
from textlatent.run.folder import Run
from textlatent.scores import Scores
from textlatent.training.checkpoint import write_text

WORDS = 8


def keep_classes(run: Run, model: LatentClassModel, split: EncodedSplit, scores: Scores, table: Any) -> list[str]:
    """Write classes.json; a line for each class, the largest first.

    Args:
        run: whose folder it is.
        model: whose classes they are.
        split: the sentences that were scored, all in it or some.
        scores: theirs.
        table: of classes by labels, from `class_label_cell`; None without labels.
    """
    counts = _counts(model, split, scores)
    told = telling_words(counts)
    share = counts.sum(1) if model.config.family == "hmm" else scores.need("posterior_mean").sum(0)
    share = share / share.sum()
    rows, lines = [], []
    for k in share.argsort(descending=True).tolist():
        words = [run.tokenizer.convert_ids_to_tokens(i).lstrip(MARKER) for i in told[k]]
        row: dict[str, Any] = {"class": k, "share": share[k].item(), "words": words}
        line = f"class {k}: {share[k]:.1%}, tells by {' '.join(words)}"
        if table is not None and table["value"] is not None:
            expected = torch.tensor(table["expected_sentences"][k])
            row["labels"] = dict(zip(table["labels"], (expected / expected.sum()).tolist(), strict=True))
            best = sorted(row["labels"].items(), key=lambda each: -each[1])[:2]
            line += "; " + ", ".join(f"{name} {part:.0%}" for name, part in best)
        rows.append(row)
        lines.append(line)
    write_text(run.folder / "classes.json", json.dumps({"classes": rows}, indent=1, ensure_ascii=False))
    return lines


def telling_words(counts: Float[Tensor, "K V"]) -> list[list[int]]:
    """For each class the words of the largest p_k ln(p_k / p) > 0, the shares of KL(its words || all words), nats."""
    every = counts.sum(0) / counts.sum()
    own = counts / counts.sum(1, keepdim=True).clamp(min=1e-300)
    part = torch.where(own > 0.0, own * (own / every).log(), 0.0)
    found = part.topk(min(WORDS, part.shape[1]), dim=1)
    both = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    return [[word for word, nats in zip(words, each, strict=True) if nats > 0.0] for words, each in both]


def _counts(model: LatentClassModel, split: EncodedSplit, scores: Scores) -> Float[Tensor, "K V"]:
    """Expected words of each class: in these sentences, or of a chain's states as the model has them."""
    if model.config.family == "hmm":
        table: Any = model.decoder.table
        with torch.no_grad():
            share = scores.need("posterior_mean").mean(0).to(torch.float64)
            return table.log_probabilities().exp().cpu() * share[:, None]
    rows = torch.isin(split.index, scores.need("index")).nonzero().squeeze(1)
    tokens = torch.cat([split.tokens[split.offsets[i] : split.offsets[i + 1]] for i in rows.tolist()]).long()
    words = WordCounts(tokens, split.lengths[rows], vocabulary=model.decoder.table.vocabulary)
    return words.expected(scores.need("posterior_mean").to(torch.float64))["words"]
