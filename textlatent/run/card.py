"""The model card in final/: what the model is, its ledger, how to use it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textlatent.diagnostics.ledger_rows import ledger_rows
from textlatent.recipe.dump import dump_recipe
from textlatent.run.folder import Run
from textlatent.run.trained_loss import trained_loss
from textlatent.training.checkpoint import write_text

_CARD = """---
library_name: transformers
tags: [textlatent, {tag}, text-generation]
---

# {name}

{what}: {parameters:,} parameters, {latent_size} latent dimensions, trained with textlatent {version}.

    {loss}
    {rate},   distortion = -ln P_dec(y|z)   (nats)

## Ledger

{sentences:,} sentences of the {split} split, nats per sentence unless the row says otherwise, with standard errors.

{table}

## Use

```python
from textlatent.models import load_model

model = load_model("{folder}")
{use}
```

## Corpus

{corpus}: sha256 `{sha256}`; {sizes}.

## Recipe

```yaml
{recipe}```

Versions: {versions}
"""


@dataclass(frozen=True)
class _Words:
    """What a card says of a type of model; {example} stands for a sentence of the corpus."""

    tag: str
    what: str
    rate: str
    use: tuple[str, ...]


_WORDS = {
    "gaussian": _Words(
        "sentence-vae",
        "A sentence VAE",
        "rate = KL(P_enc(z|y) || P_pri(z))",
        (
            'posterior = model.encode(["{example}"])',
            "model.decode(posterior.mean)",
            "model.decode(model.sample_prior(5, seed=0), do_sample=True)",
            'model.score(["{example}"], samples=100).neg_elbo()',
        ),
    ),
    "vq": _Words(
        "sentence-vq",
        "A sentence VQ model",
        "rate = -ln P_pri(k)",
        (
            'codes = model.encode(["{example}"])',
            "model.decode(codes.mean)",
            "model.decode(model.sample_prior(5, seed=0), do_sample=True)",
            'model.score(["{example}"]).neg_elbo()',
        ),
    ),
    "deterministic": _Words(
        "sentence-autoencoder",
        "A plain autoencoder of sentences",
        "rate undefined (a point has no density)",
        (
            'points = model.encode(["{example}"])',
            "model.decode(points.mean)",
            'model.score(["{example}"]).distortion()',
        ),
    ),
}
"""By model.type."""


def write_card(run: Run, ledger: dict[str, Any]) -> Path:
    """Write final/README.md."""
    model = run.model_at("final")
    corpus = run.corpus
    sizes = ", ".join(f"{len(getattr(corpus, name)):,} {name}" for name in ("train", "valid", "test"))
    words = _WORDS[run.recipe.model.type]
    example = corpus.test[0]["text"].replace('"', "'")
    path = run.folder / "final" / "README.md"
    write_text(
        path,
        _CARD.format(
            name=run.recipe.name,
            parameters=model.num_parameters(),
            latent_size=model.config.latent_size,
            version=ledger["versions"]["textlatent"],
            sentences=ledger["sentences"],
            split=ledger["split"],
            table=ledger_table(ledger),
            folder=run.folder / "final",
            tag=words.tag,
            what=words.what,
            loss=trained_loss(run.recipe),
            rate=words.rate,
            use="\n".join(words.use).replace("{example}", example),
            corpus=corpus.source,
            sha256=corpus.sha256,
            sizes=sizes,
            recipe=dump_recipe(run.recipe),
            versions=", ".join(f"{name} {version}" for name, version in ledger["versions"].items()),
        ),
    )
    return path


def ledger_table(ledger: Mapping[str, Any]) -> str:
    """A ledger as a markdown table: what is blank in it is blank here."""

    def number(value: float | None, digits: int) -> str:
        return "" if value is None else f"{value:.{digits}g}"

    lines = ["| quantity | value | standard error | |", "|---|---|---|---|"]
    for row in ledger_rows(ledger):
        words = "; ".join(filter(None, (row.unit, row.remark)))
        lines.append(f"| {row.name} | {number(row.value, 4)} | {number(row.se, 2)} | {words} |")
    return "\n".join(lines)
