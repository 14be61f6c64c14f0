"""Potentials of each edge and site through the one loop: what it ends in, and the same on two processes as on one."""

from pathlib import Path

import pytest
import torch

from tests.contrasts.ring_training import LABELS, SITES, trained, truth
from tests.processes import the_processes
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_exact import pair_marginals
from textlatent.contrasts.ring_sampling import sample

OPTIONS = {"tokens_per_step": 10**6, "warmup_steps": 0, "clip": None, "weight_decay": 0.0, "validate_every": 500}


def test_it_ends_where_the_pairs_expected_are_those_seen(tmp_path: Path) -> None:
    """The likelihood's stationary point, an exponential family's: every edge's pair marginals are the data's."""
    options = OPTIONS | {"steps": 500, "learning_rate": 0.1}
    found = trained(str(tmp_path / "run"), "exact", options, count=400)
    edges, fields = (torch.tensor(found[name], dtype=torch.float64) for name in ("edges", "fields"))
    y, expected = sample(truth(), 400, seed=0), pair_marginals(Ring(edges, fields, SITES))
    for n in range(SITES):
        seen = torch.bincount(y[:, n] * LABELS + y[:, (n + 1) % SITES], minlength=LABELS**2).double() / len(y)
        torch.testing.assert_close(expected[n].flatten(), seen, rtol=0.0, atol=1e-4)
    assert found["losses"][-1] < found["losses"][0]
    assert set(found["rates"]) == {None}


@pytest.mark.parametrize("criterion", ["exact", "pseudo"])
def test_two_processes_train_what_one_does(criterion: str, tmp_path: Path) -> None:
    """60 rings in steps of 7, so that shares are uneven, and two accumulation parts on the two processes."""
    options = OPTIONS | {"steps": 12, "tokens_per_step": 7 * SITES, "learning_rate": 0.05, "log_every": 1}
    server, results = the_processes(), []
    for world, parts in ((1, 1), (2, 2)):
        job = tmp_path / f"{world}"
        values = (str(job / "run"), criterion, options | {"accumulation": parts})
        results.append(server.run("tests.contrasts.ring_training:trained", *values, world=world, folder=job / "job")[0])
    one, two = results
    for name in ("edges", "fields"):
        torch.testing.assert_close(torch.tensor(two[name]), torch.tensor(one[name]), rtol=0.0, atol=1e-9)
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-9)
    assert torch.tensor(one["edges"]).abs().max() > 0.1
