"""T13: why a generator of words has no gradient, and where the gradient of its expected cost is."""

import torch
from torch import Tensor

from textlatent.contrasts.bigram_gan import BigramGAN, BigramGANConfig
from textlatent.contrasts.zero_gradient import autograd_answer, count_jumps, finite_differences
from textlatent.decoder.table import word_from_noise
from textlatent.gradient.boundary import boundary
from textlatent.gradient.exact import expectation
from textlatent.theory.example import farthest, table
from textlatent.theory.row import Check, Figure, Row

_POINTS = 2_000_000
_STEP = 1e-3


def no_gradient_to_a_generator() -> Row:
    """T13."""
    model = _model()
    noise = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    answer = autograd_answer(model, noise, cost="log_ratio")
    graphs = sum(value is not None for value in answer.through_words.values())
    rows = max(value or 0.0 for value in answer.through_rows.values())
    moved = finite_differences(model, noise, cost="log_ratio", step=_STEP)
    logits, cost = torch.randn(2, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    logits.requires_grad_()
    exact, ends = (
        torch.autograd.grad(form, logits)[0] for form in (expectation(logits, cost), boundary(logits.softmax(-1), cost))
    )
    pair = farthest(ends, exact)
    before = logits.detach().softmax(-1)
    after = (logits.detach() + 0.01 * cost).softmax(-1)
    jumps = count_jumps(before, after, points=_POINTS)
    frequency = farthest(_frequencies(before), before)
    return Row(
        "T13",
        "A generator of words has no gradient",
        "A word is the interval of $[0, 1)$ into which a random number falls. Hold the numbers: a small change of the "
        "tables moves the ends of the intervals a little, and almost no number changes its word. The output is a step "
        "function, so the discriminator's loss has gradient 0 almost everywhere; a transformer in place of the tables "
        "changes nothing. All of the gradient sits at the ends.",
        r"w = i \; \Leftrightarrow \; \epsilon \in [ F_{i-1}, F_i ), \quad \frac{\partial w}{\partial P} = 0,"
        r" \quad \nabla E f = \sum_k (f_k - f_{k+1}) \nabla F_k",
        (
            Check(
                "tables that a graph leads to from the words",
                graphs,
                "none: integers have no graph",
                0.0,
                tolerance=0.0,
                unit="tables",
            ),
            Check(
                "largest gradient through the words as sums of steps", rows, "0, exactly", 0.0, tolerance=0.0, unit=""
            ),
            Check(
                "share of 20,000 sentences of which a word changes, tables moved by 0.001",
                moved.words_changed,
                "the noise that jumps, exactly; 5 standard errors",
                moved.predicted,
                tolerance=5.0 * (moved.predicted / 20_000) ** 0.5,
                unit="share",
            ),
            Check(
                "share of which the cost changes",
                moved.nonzero,
                "no more than those",
                moved.words_changed,
                relation="<=",
                tolerance=0.0,
                unit="share",
            ),
            Check(
                "noise that jumps, counted on 2 million strata",
                jumps.measured,
                r"$\sum_k |dF_k|$, to 2 %",
                jumps.first_order,
                tolerance=0.02 * jumps.first_order,
                unit="share",
            ),
            Check(
                "how often each word comes (the worst of 6)",
                frequency[0],
                "P",
                frequency[1],
                tolerance=2e-6,
                unit="share",
            ),
            Check(
                "gradient at the ends of the intervals (the worst of 6)",
                pair[0],
                r"$\nabla E f$, every word summed",
                pair[1],
                unit="",
            ),
        ),
        Figure("steps", {"probability": before.tolist()[:4]}),
    )


def _frequencies(probability: Tensor) -> Tensor:
    """Share of a fine grid of noise that becomes each word."""
    noise = (torch.arange(_POINTS, dtype=torch.float64) + 0.5) / _POINTS
    words = word_from_noise(probability, noise)
    return torch.bincount(words, minlength=len(probability)).double() / _POINTS


def _model() -> BigramGAN:
    """Tables over 6 words, sentences of 3, and a discriminator that has opinions."""
    model = BigramGAN(BigramGANConfig(vocab_size=6, words=3, eos_token_id=2))
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.generator.set(table(6, seed=1).log(), table(6, 6, seed=2).log())
        for parameter in model.discriminator.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    return model
