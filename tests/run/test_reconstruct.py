"""reconstruct: there and back through the posterior means."""

import pytest

from textlatent.diagnostics.reconstruction import bleu, token_accuracy
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.reconstruct import reconstruct


def test_sentences_of_a_split(trained: Run) -> None:
    found = reconstruct(trained, count=6)
    split = trained.split("test")
    assert found.originals == split.texts(choose(len(split), 6, trained.recipe.seed))
    assert len(found.reconstructions) == 6
    assert found.token_accuracy == token_accuracy(found.originals, found.reconstructions)
    assert found.bleu == bleu(found.originals, found.reconstructions)
    assert found.token_accuracy.count == 6
    assert reconstruct(str(trained.folder), count=6) == found


def test_ones_own_sentences(trained: Run) -> None:
    text = ["the poor sailor sells his sail now .", "did the wise singers write their song ?"]
    found = reconstruct(trained, text)
    model = trained.model_at("final")
    assert found.originals == text
    assert found.reconstructions == model.decode(model.encode(text).mean)


def test_another_split_and_settings(trained: Run) -> None:
    found = reconstruct(trained, split="valid", count=4, max_new_tokens=3)
    assert set(found.originals) <= set(trained.split("valid").texts(range(len(trained.split("valid")))))
    assert all(len(text.split()) <= 3 for text in found.reconstructions)


def test_more_than_there_are_is_all(trained: Run) -> None:
    assert len(reconstruct(trained, count=10**6, max_new_tokens=1).originals) == len(trained.split("test"))


def test_faults(trained: Run) -> None:
    with pytest.raises(ValueError, match="pass at least one sentence, got none"):
        reconstruct(trained, [])
    with pytest.raises(ValueError, match="at least one sentence must be asked for, got 0"):
        reconstruct(trained, count=0)
    with pytest.raises(ValueError, match="sentence 0 has 31 tokens with EOS, the model was built for 16"):
        reconstruct(trained, ["the " * 30])
