"""What does one training step of a quantiser cost? Seconds and extra peak memory, beside vector-quantize-pytorch.

A step is the search, the straight-through value and commitment loss, their backward pass and the rolling average of the
codes. Both start from the same codes, see the same vectors and have the same decay; that the vectors' gradients and
the codes that were hit come out equal is checked before anything is timed. The peer's smoothing of counts, which moves
every code by one part in 10^5, is off (eps=0), and so is its rotation trick.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.benchmarks.fresh import in_process, measure
from tests.benchmarks.table import ratios, show, spread
from textlatent.encoder.codebook import Codebook
from textlatent.gradient.codes import CodeRule

VECTORS, CODES, SIZE, DECAY = 16_384, 1_024, 64, 0.99
RUNS, WARM_UP = 15, 3
PEER = "vector_quantize_pytorch"
Step = Callable[[], tuple[Tensor, Tensor]]  # the gradient at the vectors [M, d], the codes after the step [K, d]


def vectors() -> tuple[Tensor, Tensor, Tensor]:
    """L, g and the codes to start from: as many clusters as codes, so that most are hit."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CODES, SIZE, generator=generator)
    member = torch.randint(CODES, (VECTORS,), generator=generator)
    latents = centres[member] + 0.3 * torch.randn(VECTORS, SIZE, generator=generator)
    start = centres + 0.1 * torch.randn(CODES, SIZE, generator=generator)
    return latents.requires_grad_(), torch.randn(VECTORS, SIZE, generator=generator), start


def own_step() -> Step:
    """This package's; revival is on."""
    latents, g, start = vectors()
    rule = CodeRule("published", commitment=1.0, rolling=True)
    codebook = Codebook(CODES, SIZE, rule=rule, decay=DECAY)
    codebook.vectors.copy_(start)
    codebook.sums.copy_(start)
    draw = torch.rand(VECTORS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def step() -> tuple[Tensor, Tensor]:
        latents.grad = None
        quantised = codebook(latents)
        codebook.observe(latents, quantised.codes, draw=draw)
        loss = (quantised.vectors * g).sum() + quantised.penalty.sum() * 2.0 / (VECTORS * SIZE)
        loss.backward()
        codebook.settle()
        assert latents.grad is not None
        return latents.grad, codebook.vectors

    return step


def peer_step() -> Step:
    """vector-quantize-pytorch's."""
    from vector_quantize_pytorch import VectorQuantize

    latents, g, start = vectors()
    quantiser = VectorQuantize(SIZE, CODES, decay=DECAY, eps=0.0, rotation_trick=False, commitment_weight=1.0)
    quantiser._codebook.embed.copy_(start[None])
    quantiser._codebook.embed_avg.copy_(start[None])

    def step() -> tuple[Tensor, Tensor]:
        latents.grad = None
        quantised, _, loss = quantiser(latents[None])
        ((quantised[0] * g).sum() + loss).backward()
        assert latents.grad is not None
        return latents.grad, quantiser.codebook

    return step


PEERS: dict[str, Callable[[], Step]] = {"own": own_step, "peer": peer_step}


def take_times(runs: int) -> dict[str, Any]:
    """Milliseconds of each step by the clock and of the processor, the peers in turn; how far apart the results are."""
    steps = {name: build() for name, build in PEERS.items()}
    first = {name: [each.clone() for each in step()] for name, step in steps.items()}
    hit = (first["own"][1] != vectors()[2]).any(1)
    apart = [(first["own"][0] - first["peer"][0]).abs().max(), (first["own"][1] - first["peer"][1])[hit].abs().max()]
    clocks = {"clock": time.perf_counter, "processor": time.process_time}
    taken: dict[str, Any] = {clock: {name: [] for name in PEERS} for clock in clocks}
    for run in range(WARM_UP + runs):
        for name, step in steps.items():
            started = {clock: read() for clock, read in clocks.items()}
            step()
            for clock, read in clocks.items():
                if run >= WARM_UP:
                    taken[clock][name].append(1e3 * (read() - started[clock]))
    return {**taken, "apart": [float(each) for each in apart], "hit": int(hit.sum())}


def peak_memory(name: str) -> dict[str, Any]:
    """MiB that three steps take above what the process held before them."""
    step = PEERS[name]()
    torch.randn(256, 256) @ torch.randn(256, 256)  # the library's own buffers
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _resident("VmRSS")
    for _ in range(3):
        step()
    return {"peak": (_resident("VmHWM") - before) / 1024}


def _resident(key: str) -> float:
    """KiB by the kernel's account."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(key)).split()[1])


@pytest.mark.skipif(find_spec(PEER) is None, reason="vector-quantize-pytorch is not installed: nothing to compare with")
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")
def test_step_of_a_quantiser(benchmark: Any) -> None:
    result = measure(benchmark, "tests.benchmarks.test_codebook:take_times", RUNS)
    here = "tests.benchmarks.test_codebook:peak_memory"
    peaks = {name: [in_process(here, name)["peak"] for _ in range(5)] for name in PEERS}
    clock, processor = result["clock"], result["processor"]
    rows = [
        ("time, vector-quantize-pytorch / own", spread(ratios(clock["peer"], clock["own"]), digits=1)),
        ("processor time, the same ratio", spread(ratios(processor["peer"], processor["own"]), digits=1)),
        ("extra peak memory, the same ratio", spread(ratios(peaks["peer"], peaks["own"]), digits=1)),
        ("own, a step", spread(clock["own"], unit=" ms", digits=1)),
        ("vector-quantize-pytorch, a step", spread(clock["peer"], unit=" ms", digits=1)),
        ("own, extra peak memory", spread(peaks["own"], unit=" MiB", digits=0)),
        ("vector-quantize-pytorch, extra peak memory", spread(peaks["peer"], unit=" MiB", digits=0)),
        ("codes hit, of 1,024", str(result["hit"])),
        ("largest difference of a gradient, of a code hit", " ".join(f"{each:.1e}" for each in result["apart"])),
    ]
    show(f"quantiser, {VECTORS} vectors, {CODES} codes of {SIZE}, on cpu", result["machine"], rows)
