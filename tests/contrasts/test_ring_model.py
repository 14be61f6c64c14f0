"""The ring that learns: its Scores are those of the exact functions; its gradient; what it saves; what it refuses."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.contrasts.enumeration import random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_exact import log_prob
from textlatent.contrasts.ring_model import RingConfig, RingModel
from textlatent.contrasts.ring_pseudolikelihood import negative_log_pseudolikelihood, site_conditionals

KINDS = [(kind, closed) for kind in ("shared", "each") for closed in (True, False)]


def _batch(ring: Ring, lengths: list[int]) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    tokens = torch.full((len(lengths), max(lengths)), 99)
    for row, size in enumerate(lengths):
        tokens[row, :size] = torch.randint(ring.labels, (size,), generator=random)
    return {"tokens": tokens, "lengths": torch.tensor(lengths), "index": torch.arange(len(lengths))}


@pytest.mark.parametrize("criterion", ["exact", "pseudo"])
@pytest.mark.parametrize(("kind", "closed"), KINDS)
def test_its_scores_are_those_of_the_ring(kind: str, closed: bool, criterion: str) -> None:
    """Sequences of different sizes in one padded batch, each as if it were alone; padding is no label at all."""
    ring = random_ring(5, 3, kind=kind, closed=closed)
    lengths = [5, 2, 3, 5] if kind == "shared" else [5, 5, 5]
    model, batch = RingModel.of(ring, criterion=criterion), _batch(ring, lengths)
    scores = model(**batch, samples=2, keep_tokens=True)
    for row, size in enumerate(lengths):
        alone = Ring(ring.edges, ring.fields, size, closed) if kind == "shared" else ring
        y = batch["tokens"][row, :size]
        expected = log_prob(alone, y) if criterion == "exact" else -negative_log_pseudolikelihood(alone, y)
        torch.testing.assert_close(scores.log_p_dec[:, row], expected.expand(2), rtol=1e-12, atol=1e-12)
        if criterion == "pseudo":
            sites = site_conditionals(alone, y).gather(-1, y[:, None])[:, 0]
            torch.testing.assert_close(scores.log_p_dec_token[row, :size], sites, rtol=1e-12, atol=1e-12)
            assert not scores.log_p_dec_token[row, size:].any()
    filled = {"log_p_dec", "tokens", "index"} | ({"log_p_dec_token"} if criterion == "pseudo" else set())
    assert scores.to_dict().keys() == filled
    assert not scores.has_rate


@pytest.mark.parametrize("criterion", ["exact", "pseudo"])
@pytest.mark.parametrize(("kind", "closed"), KINDS)
def test_its_gradient_is_the_slope(kind: str, closed: bool, criterion: str) -> None:
    ring = random_ring(4, 2, kind=kind, closed=closed)
    model, batch = RingModel.of(ring, criterion=criterion), _batch(ring, [4, 4, 4])
    model(**batch).log_p_dec.sum().backward()
    for parameter in model.decoder.parameters():
        flat = parameter.detach().view(-1)
        for i in range(flat.numel()):
            found = []
            for step in (1e-5, -2e-5):
                flat[i] += step
                with torch.no_grad():
                    found.append(model(**batch).log_p_dec.sum())
            flat[i] += 1e-5
            assert parameter.grad.view(-1)[i].item() == pytest.approx(((found[0] - found[1]) / 2e-5).item(), abs=1e-8)


def test_it_starts_where_every_y_is_as_likely() -> None:
    model = RingModel(RingConfig(labels=3, sites=4))
    batch = _batch(model.ring(4), [4, 4])
    torch.testing.assert_close(model(**batch).log_p_dec[0], -4.0 * torch.tensor([3.0, 3.0]).double().log())


@pytest.mark.parametrize("kind", ["shared", "each"])
def test_it_is_saved_whole(kind: str, tmp_path: Path) -> None:
    ring = random_ring(4, 3, kind=kind, closed=False)
    RingModel.of(ring, criterion="pseudo", symbols=["a", "b", "c"]).save_pretrained(tmp_path)
    again = RingModel.from_pretrained(tmp_path)
    assert (again.criterion, again.config.symbols) == ("pseudo", ["a", "b", "c"])
    found = again.ring(4)
    assert torch.equal(found.edges, ring.edges)
    assert torch.equal(found.fields, ring.fields)
    assert found.closed is False


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="potentials for 4 sites, got sequences of 3"):
        RingModel.of(random_ring(4, 2, kind="each")).ring(3)
    with pytest.raises(Exception, match="criterion must be one of exact, pseudo, got 'elbo'"):
        RingConfig(labels=2, criterion="elbo")
