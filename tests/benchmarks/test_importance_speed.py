"""How many sentences a second get their IW-NLL? Against the obvious way: one sentence, one sample at a time.

The obvious way scores the same sentences with OBVIOUS_SAMPLES draws each; its time is proportional to the draws, so its
speed at K is reckoned from that.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.benchmarks.fresh import measure
from tests.benchmarks.table import ratios, show, spread
from tests.benchmarks.workbench import TEXTS, build_model, generate, recipe, timed
from textlatent.corpus.batches import EncodedSplit, collate
from textlatent.training.evaluate import evaluate

OBVIOUS_SAMPLES = 4
RUNS = 5
# recipe, device, K, sentences in a run
CASES = [
    ("ptb/cpu", "cpu", 100, 16),
    ("ptb/cpu", "cpu", 500, 4),
    ("ptb/gpu", "cuda", 100, 256),
    ("ptb/gpu", "cuda", 500, 64),
]


@torch.no_grad()
def one_at_a_time(model: Any, split: EncodedSplit, *, samples: int) -> Tensor:
    """ln importance weights [N, samples], a forward pass for each."""
    rows = []
    for position in range(len(split)):
        batch = {name: tensor.to(model.device) for name, tensor in collate(split, torch.tensor([position])).items()}
        draws = [model(**batch, first_sample=draw).log_weights().item() for draw in range(samples)]
        rows.append(draws)
    return torch.tensor(rows, dtype=torch.float64)


def score(name: str, samples: int, sentences: int, runs: int) -> dict[str, Any]:
    """Seconds of each run of both ways, and how far their numbers are apart."""
    values = recipe(name)
    model = build_model(values, TEXTS[name]).to("cuda" if torch.cuda.is_available() else "cpu").eval()
    split = generate(TEXTS[name], sentences=sentences)
    section = values.evaluation

    def ours(count: int) -> Tensor:
        scores = evaluate(
            model, split, samples=count, tokens_per_batch=section.tokens_per_batch, precision=section.precision
        )
        return scores.log_weights().T

    seconds: dict[str, list[float]] = {"evaluate": [], "one at a time": []}
    apart = (ours(OBVIOUS_SAMPLES) - one_at_a_time(model, split, samples=OBVIOUS_SAMPLES)).abs().max().item()
    for _ in range(runs):
        seconds["evaluate"].append(timed(lambda: ours(samples)))
        obvious = timed(lambda: one_at_a_time(model, split, samples=OBVIOUS_SAMPLES))
        seconds["one at a time"].append(obvious * samples / OBVIOUS_SAMPLES)
    return {"seconds": seconds, "apart": apart, "tokens": int(split.lengths.sum())}


@pytest.mark.parametrize(
    ("name", "device", "samples", "sentences"), CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CASES]
)
def test_sentences_per_second_against_one_at_a_time(
    benchmark: Any, name: str, device: str, samples: int, sentences: int
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    call = "tests.benchmarks.test_importance_speed:score"
    result = measure(benchmark, call, name, samples, sentences, RUNS, cuda=device == "cuda")
    ours, obvious = result["seconds"]["evaluate"], result["seconds"]["one at a time"]
    rows = [
        ("evaluate / one at a time, sentences/s", spread(ratios(obvious, ours), digits=1)),
        ("evaluate, sentences/s", spread([sentences / s for s in ours])),
        ("evaluate, thousand tokens x samples/s", spread([result["tokens"] * samples / s / 1000 for s in ours])),
        ("one at a time, sentences/s", spread([sentences / s for s in obvious])),
        ("largest difference of a ln weight, nats", f"{result['apart']:.1e}"),
    ]
    show(f"IW-NLL at K = {samples}, {name} on {device}, {sentences} sentences a run", result["machine"], rows)
