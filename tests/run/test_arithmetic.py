"""arithmetic: on a model whose z is read off its words, so that where a sentence moves to is known; then on a run."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from textlatent.models import SentenceVAE
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.run.arithmetic import arithmetic, shifted
from textlatent.run.folder import Run

A, B = "the clever painter painted his portrait .", "did the wise singers write their song ?"


class _Words(SentenceVAE):
    """z = (how many of "cold" less "hot", how many of "big"); decoding reads the signs back."""

    config: Any = SimpleNamespace(latent_size=2)

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def prior_distribution(self) -> DiagonalGaussian:
        return DiagonalGaussian(torch.zeros(2), torch.full((2,), 4.0).log())

    def encode(self, sentences: list[str]) -> DiagonalGaussian:
        counts = [[text.split().count(word) for word in ("cold", "hot", "big")] for text in sentences]
        mean = torch.tensor([[float(cold - hot), float(big)] for cold, hot, big in counts])
        return DiagonalGaussian(mean, torch.zeros_like(mean))

    def decode(self, z: torch.Tensor, **_: Any) -> list[str]:
        return [f"{'cold' if x > 0 else 'hot'} {'big' if y > 0.5 else 'small'}" for x, y in z.tolist()]


class _Run(Run):
    """A run of that model on four sentences of two labels."""

    def __init__(self) -> None:
        texts = ["cold sea", "cold big ice", "hot fire", "hot big sun"]
        self.texts = SimpleNamespace(
            label=torch.tensor([1, 1, 0, 0]), texts=lambda rows: [texts[i] for i in rows.tolist()]
        )
        self.corpus_card = {"labels": ["summer", "winter"]}  # type: ignore[misc]
        self.recipe = SimpleNamespace(seed=0)  # type: ignore[misc, assignment]
        self.folder = "nowhere"  # type: ignore[assignment]

    def model_at(self, checkpoint: str = "best") -> Any:
        return _Words()

    def split(self, name: str) -> Any:
        assert name == "train"
        return self.texts


def test_a_sentence_moves_from_one_class_to_the_other() -> None:
    """Winter less summer is (2, 0): one half brings hot (-1) to the border, the whole beyond it; size stays."""
    found = arithmetic(_Run(), ["hot big dog", "hot cat"], plus="winter", minus="summer", scales=[0, 0.4, 1])
    assert found.sentences == [["hot big", "hot big", "cold big"], ["hot small", "hot small", "cold small"]]
    assert found.direction == "mean of 2 sentences of winter - mean of 2 sentences of summer"
    assert found.length == pytest.approx(1.0)  # 2, where the prior's standard deviation is 2
    back = arithmetic(_Run(), ["cold big dog"], plus="summer", minus="winter", scales=[1])
    assert back.sentences == [["hot big"]]


def test_between_two_sentences() -> None:
    found = arithmetic(_Run(), ["hot cat"], plus="a big one", minus="a one", scales=[0, 1])
    assert found.sentences == [["hot small", "hot big"]]
    assert found.direction == "'a big one' - 'a one'"


def test_members_bounds_how_many_are_read() -> None:
    found = arithmetic(_Run(), ["hot cat"], plus="winter", minus="summer", members=1)
    assert found.direction == "mean of 1 sentences of winter - mean of 1 sentences of summer"
    assert found.scales == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_shifted_by_hand() -> None:
    moved = shifted(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([2.0, -1.0]), [0, 0.5])
    assert moved.tolist() == [[[1, 0], [2, -0.5]], [[0, 1], [1, 0.5]]]


def test_faults() -> None:
    with pytest.raises(
        ValueError, match=r"'winter' is a label and 'sumer' is none; give two labels \(summer, winter\)"
    ):
        arithmetic(_Run(), ["hot"], plus="winter", minus="sumer")
    with pytest.raises(ValueError, match="'summer' is a label and 'w' is none"):
        arithmetic(_Run(), ["hot"], plus="w", minus="summer")
    with pytest.raises(ValueError, match="give at least one scale; 1 adds the whole difference"):
        arithmetic(_Run(), ["hot"], plus="a", minus="b", scales=[])


def test_on_a_run(trained: Run) -> None:
    """At scale 0 the reconstruction; at 1, with the sentence itself taken away, the other one's."""
    found = arithmetic(trained, [A], plus=B, minus=A, scales=[0, 1])
    model = trained.model_at("final")
    assert found.sentences[0] == model.decode(model.encode([A, B]).mean)
    plus, minus = trained.corpus.label_names[:2]
    classes = arithmetic(str(trained.folder), [A, B], plus=plus, minus=minus, max_new_tokens=3)
    assert f"sentences of {plus} - mean of" in classes.direction
    assert [len(row) for row in classes.sentences] == [5, 5]
