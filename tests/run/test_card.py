"""The model card in final/: its ledger's numbers, and code that runs."""

import re
from typing import Any

import torch
import yaml

from textlatent.diagnostics.ledger_rows import ledger_rows
from textlatent.models import SentenceVAE
from textlatent.recipe.load import load_recipe
from textlatent.run.folder import Run


def _card(run: Run) -> str:
    return (run.folder / "final" / "README.md").read_text()


def test_its_head_is_yaml_that_the_hub_reads(trained: Run) -> None:
    _, head, _ = _card(trained).split("---\n", 2)
    assert yaml.safe_load(head) == {
        "library_name": "transformers",
        "tags": ["textlatent", "sentence-vae", "text-generation"],
    }


def test_it_says_which_loss_was_trained(trained: Run) -> None:
    """The run's beta is 0.05."""
    assert "    loss = 0.05 rate + distortion\n    rate = KL(P_enc(z|y) || P_pri(z)),   distortion" in _card(trained)


def test_it_holds_the_ledger(trained: Run) -> None:
    card = _card(trained)
    for row in ledger_rows(trained.ledger):
        (line,) = [line for line in card.splitlines() if line.startswith(f"| {row.name} |")]
        value, se = (cell.strip() for cell in line.split("|")[2:4])
        assert value == ("" if row.value is None else f"{row.value:.4g}")
        assert se == ("" if row.se is None else f"{row.se:.2g}")


def test_its_example_runs(trained: Run) -> None:
    """What a reader copies: encode, decode, sample, score."""
    (code,) = re.findall(r"```python\n(.*?)```", _card(trained), re.DOTALL)
    names: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(code, names)
    assert isinstance(names["model"], SentenceVAE)
    assert names["posterior"].mean.shape == (1, 4)


def test_its_recipe_is_the_runs(trained: Run) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", _card(trained), re.DOTALL)
    assert load_recipe(yaml.safe_load(text)) == trained.recipe


def test_it_names_corpus_and_versions(trained: Run) -> None:
    card = _card(trained)
    assert f"sha256 `{trained.corpus.sha256}`" in card
    assert f"{len(trained.corpus.train):,} train" in card
    assert f"torch {torch.__version__}" in card
    assert f"{trained.model.num_parameters():,} parameters" in card
