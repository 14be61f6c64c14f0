"""What do the information bounds cost? Seconds and extra memory at N = 10,000, D = 64.

The peer is the obvious way, a row of the N x N matrix at a time, which gives the two bounds without their standard
errors; it goes through OBVIOUS_ROWS rows, and its seconds for N are reckoned from those.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.benchmarks.fresh import in_process, measure
from tests.benchmarks.table import ratios, show, spread
from tests.benchmarks.workbench import timed
from textlatent.nats.bounds import information_bounds
from textlatent.nats.gaussian import DiagonalGaussian

SENTENCES, DIMENSIONS = 10_000, 64
OBVIOUS_ROWS = 200
RUNS = 5


def _posteriors(count: int, dimensions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Means, log-variances and a z of each, float32, of a posterior that carries about a quarter nat a dimension."""
    random = torch.Generator().manual_seed(0)
    mean, log_variance, noise = (torch.randn(count, dimensions, generator=random) for _ in range(3))
    mean, log_variance = 0.6 * mean, -0.5 + 0.1 * log_variance
    return mean, log_variance, mean + (0.5 * log_variance).exp() * noise


def _row_by_row(mean: Tensor, log_variance: Tensor, z: Tensor, *, rows: int) -> float:
    """The mean of ln q(z_i|y_i) - ln 1/N sum_j q(z_i|y_j) over the first rows, nats."""
    posterior = DiagonalGaussian(mean.double(), log_variance.double())
    terms = []
    for i in range(rows):
        density = posterior.log_prob(z[i].double())
        terms.append(density[i] - density.logsumexp(0) + torch.tensor(float(len(mean))).log())
    return torch.stack(terms).mean().item()


def bound(count: int, dimensions: int, runs: int) -> dict[str, Any]:
    """Seconds of each run of both."""
    posteriors = _posteriors(count, dimensions)
    seconds: dict[str, list[float]] = {"bounds": [], "row by row": []}
    for _ in range(runs):
        seconds["bounds"].append(timed(lambda: information_bounds(*posteriors)))
        obvious = timed(lambda: _row_by_row(*posteriors, rows=OBVIOUS_ROWS))
        seconds["row by row"].append(obvious * count / OBVIOUS_ROWS)
    return {"seconds": seconds}


def memory(count: int, dimensions: int) -> dict[str, Any]:
    """MiB of resident memory at the peak of a call above what there was before it (Linux), and the bounds."""
    posteriors = _posteriors(count, dimensions)
    information_bounds(*(x[:100] for x in posteriors))  # libraries' own buffers
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    bounds = information_bounds(*posteriors)
    return {"extra": _status("VmHWM") - before, "lower": bounds.lower.value, "upper": bounds.upper.value}


def _status(name: str) -> float:
    """A line of /proc/self/status in MiB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def test_seconds_and_memory_of_the_bounds(benchmark: Any) -> None:
    here = "tests.benchmarks.test_information_speed"
    result = measure(benchmark, f"{here}:bound", SENTENCES, DIMENSIONS, RUNS)
    remembered = [in_process(f"{here}:memory", SENTENCES, DIMENSIONS) for _ in range(RUNS)]
    ours, obvious = result["seconds"]["bounds"], result["seconds"]["row by row"]
    rows = [
        ("row by row / information_bounds, seconds", spread(ratios(obvious, ours), digits=1)),
        ("information_bounds, seconds", spread(ours)),
        ("row by row, without errors, seconds", spread(obvious)),
        ("information_bounds, extra memory", spread([each["extra"] for each in remembered], unit=" MiB", digits=0)),
        ("an N x N matrix of float64 would be", f"{8 * SENTENCES**2 / 2**20:.0f} MiB"),
        ("lower and upper bound", f"{remembered[0]['lower']:.3f} and {remembered[0]['upper']:.3f} nats"),
    ]
    show(f"information bounds at N = {SENTENCES:,}, D = {DIMENSIONS}", result["machine"], rows)
