"""Three senses in which the inverse-CDF generator has no gradient, told apart.

1. Autograd: None through the integers that index a discriminator, 0.0 through one-hot rows made of steps.
2. Finite differences at fixed noise: (cost(theta + h) - cost(theta)) / h is 0 for almost every noise; where it is not,
   it grows as 1/h, and the share of such noise shrinks as h.
3. The noise that jumps: its measure is sum_{k<V} |dF_k| > 0 for every change of the tables, and that is where the
   gradient of the expected cost is (gradient/boundary.py).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.bigram_gan import BigramGAN
from textlatent.contrasts.losses import cost_of, cost_of_rows
from textlatent.decoder.table import Bigram, word_from_noise
from textlatent.gradient.boundary import boundary_shift, jump_measure, kept

CHUNK = 1 << 20


@dataclass(frozen=True)
class Autograd:
    """What autograd says of d cost / d logits.

    Attributes:
        through_words: of words as integers: None for each table, for no graph leads to it; else the largest entry.
        through_rows: of the same words as one-hot rows made by steps: the largest entry, exactly 0.
    """

    through_words: dict[str, float | None]
    through_rows: dict[str, float | None]


@dataclass(frozen=True)
class Differences:
    """Finite differences of each sentence's cost at fixed noise, along one direction of the logits.

    Attributes:
        step: h.
        nonzero: share of the sentences whose difference is not exactly 0.
        words_changed: share of the sentences of which a word changed.
        predicted: the measure of noise that changes a word, exactly.
        mean: the mean of the differences, nats per unit of the direction: the right answer in the limit of all noise.
        largest: the largest difference: it grows as 1 / h.
    """

    step: float
    nonzero: float
    words_changed: float
    predicted: float
    mean: float
    largest: float


@dataclass(frozen=True)
class Jumps:
    """The measure of the noise that gives another word after a change of a table's row.

    Attributes:
        first_order: sum_{k<V} |dF_k|.
        exact: 1 - sum of what each word's intervals have in common before and after.
        measured: share of stratified noise whose word changed.
        points: how many points of noise.
    """

    first_order: float
    exact: float
    measured: float
    points: int


def autograd_answer(model: BigramGAN, noise: Float[Tensor, "N T"], *, cost: str) -> Autograd:
    """Autograd's gradient of the cost in the generator's tables, of words as integers and as rows made of steps."""
    parameters = dict(model.generator.named_parameters())
    words = cost_of(model.discriminator, model.write(noise), cost=cost).sum()
    rows = cost_of_rows(model.discriminator, rows_by_steps(model, noise), cost=cost).sum()
    answers = []
    for each in (words, rows):
        found = torch.autograd.grad(each, list(parameters.values()), allow_unused=True)
        largest = [None if g is None else float(g.abs().max()) for g in found]
        answers.append(dict[str, float | None](zip(parameters, largest, strict=True)))
    return Autograd(*answers)


def rows_by_steps(model: BigramGAN, noise: Float[Tensor, "N T"]) -> Float[Tensor, "N T V"]:
    """The words as one-hot rows with a graph to the tables: step(F_k - eps) - step(F_{k-1} - eps), each step flat.

    `sign` is what autograd differentiates here: its derivative is 0 everywhere, at the jump too.
    """
    eos = model.config.eos_token_id
    start, transition = model.generator.log_start().exp(), model.generator.log_transition().exp()
    certain = torch.zeros_like(start)
    certain[eos] = 1.0
    rows, now = [], start.expand(len(noise), -1)
    for eps in noise.unbind(1):
        passed = 0.5 * (1.0 + torch.sign(now.cumsum(-1) - eps[:, None] - 1e-300))  # 1 where F_k > eps
        passed = torch.cat([passed[:, :-1], torch.ones_like(passed[:, :1])], 1)
        rows.append(torch.diff(passed, prepend=torch.zeros_like(passed[:, :1])))
        now = rows[-1] @ transition
        ended = rows[-1][:, eos : eos + 1]
        now = (1.0 - ended) * now + ended * certain
    return torch.stack(rows, 1)


@torch.no_grad()
def finite_differences(
    model: BigramGAN, noise: Float[Tensor, "N T"], *, cost: str, step: float, seed: int = 0
) -> Differences:
    """(cost(theta + h v) - cost(theta)) / h of each sentence, noise held, v a random direction of length 1 per row."""
    before = model.write(noise)
    moved, kept_tables = shifted(model.generator, step=step, seed=seed), model.generator
    model.generator = moved
    after = model.write(noise)
    model.generator = kept_tables
    costs = [cost_of(model.discriminator, words, cost=cost).sum(1) for words in (before, after)]
    difference = (costs[1] - costs[0]) / step
    return Differences(
        step=step,
        nonzero=float((difference != 0.0).double().mean()),
        words_changed=float((before != after).any(1).double().mean()),
        predicted=sentence_jumps(model.generator, moved, words=model.config.words, eos=model.config.eos_token_id),
        mean=float(difference.mean()),
        largest=float(difference.abs().max()),
    )


@torch.no_grad()
def shifted(table: Bigram, *, step: float, seed: int) -> Bigram:
    """The tables whose logits lie `step` away, each row in a random direction of length 1."""
    generator = torch.Generator().manual_seed(seed)
    logits = []
    for parameter in (table.start_logits, table.transition_logits):
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.device)
        logits.append(parameter + step * direction / direction.norm(dim=-1, keepdim=True))
    return Bigram.from_log_probabilities(*logits)


@torch.no_grad()
def sentence_jumps(before: Bigram, after: Bigram, *, words: int, eos: int) -> float:
    """The measure of the noise of which any of a sentence's words changes: 1 - P(no word has), a chain of its own."""
    alive = kept(before.log_start().exp(), after.log_start().exp())
    common = kept(before.log_transition().exp(), after.log_transition().exp())
    common[eos] = 0.0
    common[eos, eos] = 1.0  # nothing after the end
    for _ in range(words - 1):
        alive = alive @ common
    return float(1.0 - alive.sum())


@torch.no_grad()
def count_jumps(
    before: Float[Tensor, " V"], after: Float[Tensor, " V"], *, points: int = 10_000_000, seed: int = 0
) -> Jumps:
    """What a change of one row makes jump, predicted, and counted on stratified noise: one point in each of the strata.

    Args:
        before: a row of P or Q.
        after: the row after the change.
        points: strata of [0, 1).
        seed: of the place in each stratum.
    """
    generator, changed = torch.Generator().manual_seed(seed), 0
    for begin in range(0, points, CHUNK):
        size = min(CHUNK, points - begin)
        inside = torch.rand(size, generator=generator, dtype=torch.float64)
        noise = (torch.arange(begin, begin + size, dtype=torch.float64) + inside) / points
        words: list[Int[Tensor, " n"]] = [word_from_noise(row.cpu(), noise) for row in (before, after)]
        changed += int((words[0] != words[1]).sum())
    exact, first = float(jump_measure(before, after)), float(boundary_shift(before, after))
    return Jumps(first, exact, changed / points, points)
