"""The modules through `evaluate.load`: the numbers of diagnostics and nats to the digit, with no network."""

import math
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from textlatent import metrics
from textlatent.diagnostics.likelihood import convergence, importance_ladder
from textlatent.diagnostics.usage import active_count, variance_per_dimension
from textlatent.metrics.columns import column
from textlatent.nats.bounds import information_bounds
from textlatent.nats.montecarlo import mean_with_error


def load(name: str) -> Any:
    import evaluate

    return evaluate.load(metrics.path(name), keep_in_memory=True)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a metric asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_rate_distortion_by_hand() -> None:
    """Rates 1, 2, 3 and distortions 6, 4, 2: their sums 7, 6, 5 vary less than the distortion."""
    found = load("rate_distortion").compute(rate=[1.0, 2.0, 3.0], distortion=[6.0, 4.0, 2.0])
    third = math.sqrt(1 / 3)
    expected = {"rate_nats": 2, "rate_nats_se": third, "distortion_nats": 4, "distortion_nats_se": 2 * third}
    expected |= {"neg_elbo_nats": 6, "neg_elbo_nats_se": third, "sentences": 3}
    assert found == pytest.approx(expected, rel=1e-14)
    assert load("rate_distortion").compute(rate=[1.0], distortion=[2.0])["rate_nats_se"] is None


@pytest.mark.parametrize(
    "form", [torch.Tensor.tolist, torch.Tensor.numpy, torch.clone], ids=["list", "array", "tensor"]
)
def test_no_digit_is_lost(form: Any) -> None:
    """A float32 cannot hold 100 + 1e-9: the largest and smallest of these would be the same."""
    rate = 100 + 1e-9 * draw(20)
    found = load("rate_distortion").compute(rate=form(rate), distortion=form(rate))
    expected = mean_with_error(rate)
    assert (found["rate_nats"], found["rate_nats_se"]) == (expected.value, expected.se)
    assert mean_with_error(rate.float().double()).se == 0 < found["rate_nats_se"]


@pytest.mark.parametrize("sizes", [(12,), (5, 7), (1, 1, 10)])
def test_batches_are_one_whole(sizes: tuple[int, ...]) -> None:
    rate, distortion, module = draw(12).square(), draw(12, seed=1).square(), load("rate_distortion")
    for left, right in zip(rate.split(sizes), distortion.split(sizes), strict=True):
        module.add_batch(rate=left, distortion=right)
    assert module.compute() == load("rate_distortion").compute(rate=rate, distortion=distortion)


def test_importance_nll() -> None:
    weights = draw(8, 6) - 20
    found = load("importance_nll").compute(log_weights=weights.T, ladder=[2, 4], tolerance=0.3)
    rows = importance_ladder(weights, ladder=[1, 2, 4])
    first, last, verdict = rows[0].estimate, rows[-1].estimate, convergence(rows, tolerance=0.3)
    assert (found["iw_nll_nats"], found["iw_nll_nats_se"]) == (last.value, last.se)
    assert (found["neg_elbo_nats"], found["neg_elbo_nats_se"]) == (first.value, first.se)
    assert found["neg_elbo_nats"] == pytest.approx(-weights.mean().item(), rel=1e-14)
    steps = [{"samples": r.samples, "nats": r.estimate.value, "se": r.estimate.se} for r in rows if r.samples > 1]
    assert found["ladder"] == steps
    assert (found["samples"], found["ess"], found["sentences"]) == (8, rows[-1].ess, 6)
    assert (found["converged"], found["message"]) == (verdict.converged, verdict.message)


def test_active_units() -> None:
    mean, scale = draw(30, 4) * torch.tensor([1.0, 0.05, 3.0, 0.3], dtype=torch.float64), [1.0, 1.0, 2.0, 10.0]
    found = load("active_units").compute(mean=mean, prior_scale=scale, threshold=0.02)
    variances = variance_per_dimension(mean, prior_scale=torch.tensor(scale, dtype=torch.float64))
    count = active_count(variances, threshold=0.02)
    assert (found["active_units"], found["active_units_se"], found["of"]) == (2.0, count.se, 4)
    assert found["variances"] == [v.value for v in variances]
    assert found["variances_se"] == [v.se for v in variances]
    assert (found["threshold"], found["sentences"]) == (0.02, 30)


def test_mutual_information() -> None:
    """Posteriors of sigma 0.01, which float32 gets wrong; every sentence is told apart, so the cap is reached."""
    mean, log_variance = draw(20, 3), torch.full((20, 3), 2 * math.log(0.01), dtype=torch.float64)
    z = mean + 0.01 * draw(20, 3, seed=1)
    found = load("mutual_information").compute(mean=mean, log_variance=log_variance, z=z)
    bounds = information_bounds(mean, log_variance, z)
    assert (found["lower_nats"], found["lower_nats_se"]) == (bounds.lower.value, bounds.lower.se)
    assert (found["upper_nats"], found["upper_nats_se"]) == (bounds.upper.value, bounds.upper.se)
    ends = [bounds.lower.value - 1.96 * bounds.lower.se, bounds.upper.value + 1.96 * bounds.upper.se]
    assert found["interval_nats"] == ends
    assert found["cap_nats"] == math.log(20) == pytest.approx(found["lower_nats"])
    assert found["sentences"] == 20


def test_every_module_says_what_it_wants_and_where_it_comes_from() -> None:
    assert {path.parent.name for path in Path(metrics.__file__).parent.glob("*/*.py")} == set(metrics.NAMES)
    for name in metrics.NAMES:
        module = load(name)
        assert all(f"{feature}:" in module.inputs_description for feature in module.features)
        assert "sentences:" in module.inputs_description
        assert "https://arxiv.org/abs/" in module.citation
        assert "nats" in module.inputs_description or name == "active_units"


def test_faults() -> None:
    with pytest.raises(ValueError, match="there is no metric 'bleu'; the metrics are rate_distortion, importance_nll"):
        metrics.path("bleu")
    with pytest.raises(ValueError, match="rate holds no sentences; add at least one"):
        load("rate_distortion").compute(rate=[], distortion=[])
    with pytest.raises(ValueError, match="rate must be finite; sentence 1 of it is not"):
        load("rate_distortion").compute(rate=[1.0, math.nan], distortion=[1.0, 1.0])
    with pytest.raises(ValueError, match="mean must hold vectors of one length, got lengths 1 to 2"):
        column([[1.0], [1.0, 2.0]], "mean")
    with pytest.raises(ValueError, match="mean holds vectors of no numbers; a model without z has none to measure"):
        column([[], []], "mean")
    with pytest.raises(ValueError, match=r"mean, log_variance and z must have the same dimensions, got \[2, 2, 1\]"):
        load("mutual_information").compute(mean=draw(4, 2), log_variance=draw(4, 2), z=draw(4, 1))


def test_the_room_is_imported_without_evaluate() -> None:
    code = "import sys; from textlatent import metrics; metrics.path('active_units'); print('evaluate' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
