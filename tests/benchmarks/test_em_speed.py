"""What does EM on a hidden Markov model cost? Seconds of 5 iterations beside hmmlearn's, from the same start.

Ten states, 10,000 sentences of Penn Treebank lengths, a vocabulary of 10,000. Both are given the same tables, take the
same steps (E, M, five times, no test of convergence), in turn in one process; ours includes gathering the sentences.
That the tables come out equal is reported beside the seconds. hmmlearn goes through its scaled recursion, its fastest,
and once through its default, in logarithms.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.benchmarks.fresh import measure
from tests.benchmarks.table import ratios, show, spread
from tests.benchmarks.workbench import PTB, generate
from textlatent.training.memory import keep_freed_memory

STATES, SENTENCES, ITERATIONS, RUNS = 10, 10_000, 5, 5
PEER = "hmmlearn"
Fit = Callable[[], dict[str, Tensor]]  # the three tables after so many iterations


def words_of(path: str | None) -> tuple[Tensor, Tensor, int]:
    """Words one after the other, lengths with the end of sentence, and V: generated, or of the lines of a file."""
    if path is None:
        split = generate(PTB, sentences=SENTENCES)
        return split.tokens.long(), split.lengths, PTB.vocabulary
    lines = [[*line.split(), "</s>"] for line in Path(path).read_text().splitlines()[:SENTENCES]]
    known = {word: i for i, word in enumerate(dict.fromkeys(word for line in lines for word in line))}
    tokens = torch.tensor([known[word] for line in lines for word in line])
    return tokens, torch.tensor([len(line) for line in lines]), len(known)


def start_of(tokens: Tensor, vocabulary: int) -> dict[str, Tensor]:
    """The tables to start from: rows near the corpus's words, start and steps near uniform."""
    generator = torch.Generator().manual_seed(0)
    words = (tokens.bincount(minlength=vocabulary).double() + 1.0).log()

    def around(base: Tensor, *shape: int) -> Tensor:
        return (base + 0.5 * torch.randn(*shape, generator=generator, dtype=torch.float64)).softmax(-1)

    flat = torch.zeros(STATES, dtype=torch.float64)
    return {
        "start": around(flat, STATES),
        "steps": around(flat, STATES, STATES),
        "words": around(words, STATES, vocabulary),
    }


def own_fit(tokens: Tensor, lengths: Tensor, vocabulary: int) -> Fit:
    """This package's."""
    from textlatent.models import LatentClassConfig, LatentClassModel
    from textlatent.models.expectation import expectation_of

    start = start_of(tokens, vocabulary)
    decoder = {"vocabulary": vocabulary, "max_tokens": int(lengths.max())}
    model = LatentClassModel(LatentClassConfig(family="hmm", classes=STATES, decoder=decoder))

    def fit() -> dict[str, Tensor]:
        model.prior.set(start["start"].log(), start["steps"].log())
        model.decoder.table.set(start["words"].log())
        parts = expectation_of(model)
        gathered = parts.gather(tokens, lengths)
        for _ in range(ITERATIONS):
            parts.maximise(parts.expect(gathered))
        tables = (model.prior.log_start(), model.prior.log_transition(), model.decoder.table.log_probabilities())
        return {name: table.detach().exp() for name, table in zip(start, tables, strict=True)}

    return fit


def peer_fit(tokens: Tensor, lengths: Tensor, vocabulary: int, *, implementation: str) -> Fit:
    """hmmlearn's, "scaling" or "log"."""
    from hmmlearn.hmm import CategoricalHMM

    start, column, each = start_of(tokens, vocabulary), tokens.numpy()[:, None], lengths.numpy()

    def fit() -> dict[str, Tensor]:
        settings = {"n_iter": ITERATIONS, "tol": -np.inf, "init_params": "", "implementation": implementation}
        model = CategoricalHMM(STATES, n_features=vocabulary, **settings)
        model.startprob_, model.transmat_, model.emissionprob_ = (start[name].numpy() for name in start)
        model.fit(column, each)
        tables = (model.startprob_, model.transmat_, model.emissionprob_)
        return {name: torch.from_numpy(table) for name, table in zip(start, tables, strict=True)}

    return fit


def take_times(runs: int, path: str | None = None) -> dict[str, Any]:
    """Seconds of each fit by the clock and of the processor, the peers in turn; how far apart their tables are."""
    keep_freed_memory()  # as every run on a CPU does; the peer has the benefit too
    words = words_of(path)
    fits = {"own": own_fit(*words), "hmmlearn": peer_fit(*words, implementation="scaling")}
    first = {name: fit() for name, fit in fits.items()}
    apart = max((first["own"][name] - first["hmmlearn"][name]).abs().max().item() for name in first["own"])
    clocks = {"clock": time.perf_counter, "processor": time.process_time}
    taken: dict[str, Any] = {clock: {name: [] for name in fits} for clock in clocks}
    for _ in range(runs):
        for name, fit in fits.items():
            started = {clock: read() for clock, read in clocks.items()}
            fit()
            for clock, read in clocks.items():
                taken[clock][name].append(read() - started[clock])
    started = time.process_time()
    peer_fit(*words, implementation="log")()
    return {
        **taken,
        "log": time.process_time() - started,
        "apart": apart,
        "words": len(words[0]),
        "vocabulary": words[2],
    }


@pytest.mark.skipif(find_spec(PEER) is None, reason="hmmlearn is not installed: nothing to compare with")
def test_iterations_of_a_hidden_markov_model(benchmark: Any) -> None:
    result = measure(benchmark, "tests.benchmarks.test_em_speed:take_times", RUNS)
    clock, processor = result["clock"], result["processor"]
    rows = [
        ("time, hmmlearn / own", spread(ratios(clock["hmmlearn"], clock["own"]), digits=1)),
        ("processor time, the same ratio", spread(ratios(processor["hmmlearn"], processor["own"]), digits=1)),
        *((f"{name}, {ITERATIONS} iterations", spread(each, unit=" s")) for name, each in clock.items()),
        *((f"{name}, of the processor", spread(each, unit=" s")) for name, each in processor.items()),
        ("hmmlearn's default, of the processor, once", f"{result['log']:.1f} s"),
        ("largest difference of two probabilities", f"{result['apart']:.1e}"),
    ]
    title = f"EM, {STATES} states, {SENTENCES:,} sentences, {result['words']:,} words of {result['vocabulary']:,}"
    show(title, result["machine"], rows)
