"""standardise: a learned prior becomes N(0, I), and no nat and no logit changes (THEORY T5)."""

from pathlib import Path

import pytest
import torch

from tests.toy_run import toy_recipe
from textlatent.models import SentenceVAE
from textlatent.run.folder import Run
from textlatent.run.standardise import standardise
from textlatent.run.train import train


def test_the_same_nats_and_sentences(trained: Run, text_file: Path, tmp_path: Path) -> None:
    """log_p_enc and log_p_pri each move by sum_d ln sigma_p; everything else stays."""
    path = standardise(trained, tmp_path / "new" / "standard")
    model, other = trained.model_at("final"), SentenceVAE.from_pretrained(path)
    sentences = text_file.read_text().splitlines()
    before, after = model.score(sentences, samples=3), other.score(sentences, samples=3)
    assert other.config.prior == "standard"
    assert torch.equal(other.prior().mean, torch.zeros(4))
    torch.testing.assert_close(after.kl, before.kl, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after.log_p_dec, before.log_p_dec, atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(after.log_weights(), before.log_weights(), atol=1e-3, rtol=1e-5)
    moved = model.prior().std.log().sum().double()
    assert moved.abs() > 1e-3, "the prior has learned something"
    torch.testing.assert_close(after.log_p_enc - before.log_p_enc, moved.expand(3, 7), atol=1e-3, rtol=1e-3)
    assert other.decode(other.encode(sentences).mean) == model.decode(model.encode(sentences).mean)


def test_faults(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exists already; name a folder that does not"):
        standardise(trained, tmp_path)
    plain = train(toy_recipe(tmp_path, {"training": {"steps": 1}, "evaluation": {"samples": 1, "sentences": 4}}))
    with pytest.raises(ValueError, match=r"the prior is N\(0, I\) already; only prior: learned can be standardised"):
        standardise(plain, tmp_path / "standard")
    assert not (tmp_path / "standard").exists()
