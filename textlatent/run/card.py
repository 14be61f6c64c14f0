"""The model card in final/: what the model is, its ledger, how to use it."""

from pathlib import Path
from typing import Any

from textlatent.diagnostics.ledger_rows import ledger_rows
from textlatent.recipe.dump import dump_recipe
from textlatent.run.folder import Run
from textlatent.training.checkpoint import write_text

_CARD = """---
library_name: transformers
tags: [textlatent, sentence-vae, text-generation]
---

# {name}

A sentence VAE: {parameters:,} parameters, {latent_size} latent dimensions, trained with textlatent {version}.

    loss = rate + distortion,   rate = KL(P_enc(z|y) || P_pri(z)),   distortion = -ln P_dec(y|z)   (nats)

## Ledger

{sentences:,} sentences of the {split} split, nats per sentence unless the row says otherwise, with standard errors.

| quantity | value | standard error | |
|---|---|---|---|
{rows}

## Use

```python
import torch
import textlatent.models
from textlatent.models import SentenceVAE

model = SentenceVAE.from_pretrained("{folder}")
posterior = model.encode(["{example}"])
model.decode(posterior.mean)
model.decode(torch.randn(5, {latent_size}), do_sample=True)
model.score(["{example}"], samples=100).neg_elbo()
```

## Corpus

{corpus}: sha256 `{sha256}`; {sizes}.

## Recipe

```yaml
{recipe}```

Versions: {versions}
"""


def write_card(run: Run, ledger: dict[str, Any]) -> Path:
    """Write final/README.md."""
    model = run.model_at("final")
    rows = [
        f"| {row.name} | {_number(row.value)} | {_number(row.se)} | {'; '.join(filter(None, (row.unit, row.remark)))} |"
        for row in ledger_rows(ledger)
    ]
    corpus = run.corpus
    sizes = ", ".join(f"{len(getattr(corpus, name)):,} {name}" for name in ("train", "valid", "test"))
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
            rows="\n".join(rows),
            folder=run.folder / "final",
            example=corpus.test[0]["text"].replace('"', "'"),
            corpus=corpus.source,
            sha256=corpus.sha256,
            sizes=sizes,
            recipe=dump_recipe(run.recipe),
            versions=", ".join(f"{name} {version}" for name, version in ledger["versions"].items()),
        ),
    )
    return path


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
