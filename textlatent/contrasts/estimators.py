"""The generator's loss under each estimator: numbers whose gradients in P and Q are estimates of d E cost.

inverse_cdf             the words as a function of noise, differentiated: nothing comes through (THEORY T13)
exact                   every sentence, by dynamic programming (gradient/exact.py)
boundary                words drawn, what moving the ends of their intervals does, summed over the words
reinforce               the score function, cost still to come from each word on
constant                .. less the mean cost of earlier draws
optimal                 .. less the baseline of least variance, estimated from the other draws
leave_one_out           .. less the mean cost of the other draws
rebar                   .. less the cost of a relaxed word, given back by reparameterisation
straight_through        words drawn, one-hot rows with the softmax's Jacobian
reinmax                 .. with Heun's
gumbel_softmax          words that are points of the simplex
straight_through_gumbel .. rounded to one-hot rows
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.bigram_gan import BigramGAN
from textlatent.contrasts.discriminator import PairTable
from textlatent.contrasts.losses import cost_of, cost_of_rows, verdict_cost
from textlatent.gradient.boundary import boundary
from textlatent.gradient.exact import expected_cost, to_go
from textlatent.gradient.rebar import rebar
from textlatent.gradient.relaxed import gumbel, gumbel_softmax, reinmax, straight_through, straight_through_gumbel
from textlatent.gradient.score_function import (
    cost_to_go,
    leave_one_out,
    leave_one_out_optimal,
    score_function,
    score_square,
)

SCORE_FUNCTION = ("reinforce", "constant", "optimal", "leave_one_out")
RELAXED = ("straight_through", "reinmax", "gumbel_softmax", "straight_through_gumbel")
ESTIMATORS = ("inverse_cdf", "exact", "boundary", *SCORE_FUNCTION, "rebar", *RELAXED)
NEEDS_PAIRS = ("exact", "boundary", "rebar")
"""They need the cost of words that were not drawn: a table of pairs has it, a reader of whole sentences has not."""
UNBIASED = ("exact", "boundary", *SCORE_FUNCTION, "rebar")
TEMPERED = ("rebar", "gumbel_softmax", "straight_through_gumbel")

Noise = Callable[[tuple[int, ...], int], Tensor]
"""(shape, number of a use) -> uniform noise in (0, 1), [N, *shape]: one number per purpose."""
Reduce = Callable[[Tensor], Tensor]
"""The sum over processes."""


@dataclass(frozen=True)
class Drawn:
    """Sentences written, and all that an estimator may ask about them.

    Attributes:
        words: [N, T], EOS in every place after the first.
        live: what has not ended before, [N, T].
        cost: of each verdict, in the place of its word; a verdict on the whole in the last place, nats, [N, T].
    """

    words: Int[Tensor, "N T"]
    live: Tensor
    cost: Float[Tensor, "N T"]


def generator_loss(
    model: BigramGAN,
    noise: Noise,
    *,
    estimator: str,
    cost: str,
    temperature: float = 1.0,
    centred: bool = False,
    reduce: Reduce = lambda total: total,
    count: int | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """A number whose gradient in the generator is the estimate, and the mean cost of these sentences, nats.

    The cost's centre (losses.cost_of) is that of earlier sentences, and moves after its use: it is held.

    Args:
        model: the two players; the discriminator is held.
        noise: of the N sentences.
        estimator: one of ESTIMATORS.
        cost: one of losses.COSTS.
        temperature: of a relaxed word, for TEMPERED.
        centred: take the mean cost of a word off every word, of a discriminator that judges pairs.
        reduce: sums over processes, where these sentences are a part.
        count: how many sentences there are over all processes.

    Raises:
        ValueError: no such estimator, or one that this discriminator cannot serve.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"the estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}.")
    if estimator in NEEDS_PAIRS and not _judges_pairs(model):
        raise ValueError(
            f"estimator {estimator} needs a discriminator: table that judges: pairs, whose cost of words that were not "
            "drawn is known; or take leave_one_out."
        )
    if centred and not _judges_pairs(model):
        raise ValueError("a verdict on the whole sentence cannot be spared by ending it; leave `centred` out.")
    centre: Tensor | float = model.centre() if centred else 0.0
    if estimator == "exact":
        found = exact_cost(model, cost=cost, centre=centre)
        if centred:
            model.move_centre(exact_cost(model, cost=cost).detach(), expected_words(model))
        return found, found.detach()
    drawn = draw(model, noise((model.config.words,), 0), cost=cost, centre=centre)
    mean = drawn.cost.detach().sum(1).mean()
    if centred:
        told = torch.stack([drawn.cost.detach().sum() + centre * drawn.live.sum(), drawn.live.sum().double()])
        model.move_centre(*reduce(told))
    if estimator == "inverse_cdf":
        return drawn.cost.sum(1).mean(), mean
    if estimator in SCORE_FUNCTION:
        return _score_function(model, drawn, estimator=estimator, reduce=reduce, count=count), mean
    if estimator == "boundary":
        return _boundary(model, drawn, cost=cost, centre=centre), mean
    if estimator == "rebar":
        uniform = noise((model.config.words, model.config.vocab_size), 1)
        terms = rebar_terms(model, drawn, uniform, cost=cost, temperature=temperature, centre=centre)
        return terms.mean(), mean
    rows = _rows(model, drawn, noise, estimator=estimator, temperature=temperature)
    return cost_of_rows(model.discriminator, rows, cost=cost, centre=centre).sum(1).mean(), mean


def draw(model: BigramGAN, noise: Float[Tensor, "N T"], *, cost: str, centre: Tensor | float = 0.0) -> Drawn:
    """Sentences by inverse CDF, and what they cost; the discriminator's graph is kept, the generator has none."""
    words = model.write(noise)
    ended = words[:, :-1] == model.config.eos_token_id
    live = torch.cat([torch.ones_like(words[:, :1], dtype=torch.bool), ~ended], 1)
    verdicts = cost_of(model.discriminator, words, cost=cost, centre=centre)
    late = torch.nn.functional.pad(verdicts, (words.shape[1] - verdicts.shape[1], 0))
    return Drawn(words, live, late)


def pair_costs(
    model: BigramGAN, *, cost: str, centre: Tensor | float = 0.0
) -> tuple[Float[Tensor, " V"], Float[Tensor, "V V"]]:
    """The cost of each first word and of each pair less `centre`, nats, held; of a discriminator that judges pairs."""
    table = model.discriminator
    assert isinstance(table, PairTable)
    first, pair = (verdict_cost(each, cost=cost).detach() - centre for each in (table.start, table.pair))
    return first, pair


def exact_cost(model: BigramGAN, *, cost: str, centre: Tensor | float = 0.0) -> Float[Tensor, ""]:
    """E cost over every sentence of T words, nats, with its graph to the generator."""
    first, pair = pair_costs(model, cost=cost, centre=centre)
    start, transition = model.generator.log_start().exp(), model.generator.log_transition().exp()
    eos = model.config.eos_token_id
    return expected_cost(start, transition, first=first, pair=pair, words=model.config.words, eos=eos)


@torch.no_grad()
def expected_words(model: BigramGAN) -> Float[Tensor, ""]:
    """E of a sentence's words, its end counted, exact."""
    start, transition = model.generator.log_start().exp(), model.generator.log_transition().exp()
    one, eos = torch.ones_like(transition), model.config.eos_token_id
    return expected_cost(start, transition, first=one[0], pair=one, words=model.config.words, eos=eos)


def _judges_pairs(model: BigramGAN) -> bool:
    return isinstance(model.discriminator, PairTable) and not model.discriminator.whole


def _contexts(model: BigramGAN, words: Int[Tensor, "N T"]) -> Float[Tensor, "N T V"]:
    """The logits that each word was drawn from, with their graph."""
    first = model.generator.log_start().expand(len(words), 1, -1)
    return torch.cat([first, model.generator.log_transition()[words[:, :-1]]], 1)


def _score_function(
    model: BigramGAN, drawn: Drawn, *, estimator: str, reduce: Reduce, count: int | None
) -> Float[Tensor, ""]:
    """The score function on each word; its baseline is one number for each place in the sentence."""
    ahead = cost_to_go(drawn.cost.detach())
    log_prob = model.generator.log_prob_token(drawn.words, drawn.live.sum(1))
    baseline: Tensor | float = 0.0
    if estimator == "leave_one_out":
        baseline = leave_one_out(ahead, total=reduce(ahead.sum(0)), count=count)
    elif estimator == "constant":
        earlier: Any = model.baseline
        baseline = earlier.clone()
        mean = reduce(ahead.sum(0)) / (count or len(ahead))
        earlier.lerp_(mean, 0.1)  # after its use: a mean that holds the draw scales the gradient
    elif estimator == "optimal":
        rows = _contexts(model, drawn.words).detach().softmax(-1)
        square = score_square(rows, drawn.words) * drawn.live
        columns = [leave_one_out_optimal(*each) for each in zip(ahead.T, square.T, strict=True) if bool(each[1].any())]
        baseline = torch.nn.functional.pad(torch.stack(columns, 1), (0, ahead.shape[1] - len(columns)))
        baseline = baseline.nan_to_num()  # where no other draw has this word
    return score_function(log_prob, ahead, baseline=baseline)


def _boundary(model: BigramGAN, drawn: Drawn, *, cost: str, centre: Tensor | float) -> Float[Tensor, ""]:
    """The boundary form on each word given those drawn before it, every word's cost to go known."""
    first, pair = pair_costs(model, cost=cost, centre=centre)
    with torch.no_grad():
        transition, eos = model.generator.log_transition().exp(), model.config.eos_token_id
        ahead = to_go(transition, first=first, pair=pair, words=model.config.words, eos=eos)
    later = torch.arange(len(ahead.pair), device=drawn.words.device)
    costs = torch.cat([ahead.first.expand(len(drawn.words), 1, -1), ahead.pair[later, drawn.words[:, :-1]]], 1)
    terms = boundary(_contexts(model, drawn.words).softmax(-1), costs)
    return (terms * drawn.live).sum(1).mean()


def rebar_terms(
    model: BigramGAN,
    drawn: Drawn,
    uniform: Float[Tensor, "N T V"],
    *,
    cost: str,
    temperature: float,
    centre: Tensor | float = 0.0,
) -> Float[Tensor, " N"]:
    """REBAR on each word given those before it; its critic is the cost of the word itself, not of those to come."""
    first, pair = pair_costs(model, cost=cost, centre=centre)
    costs = torch.cat([first.expand(len(drawn.words), 1, -1), pair[drawn.words[:, :-1]]], 1)
    ahead = cost_to_go(drawn.cost.detach())
    terms = rebar(
        _contexts(model, drawn.words),
        word=drawn.words,
        cost=ahead,
        critic=lambda rows: (rows * costs).sum(-1),
        uniform=uniform,
        temperature=temperature,
    )
    return (terms * drawn.live).sum(1)


def _rows(
    model: BigramGAN,
    drawn: Drawn,
    noise: Noise,
    *,
    estimator: str,
    temperature: float,
) -> Float[Tensor, "N T V"]:
    """The words as rows of the simplex, each given the row before it."""
    width, vocabulary = model.config.words, model.config.vocab_size
    table, logits = model.generator.log_transition(), model.generator.log_start().expand(len(drawn.words), -1)
    gumbels = gumbel(noise((width, vocabulary), 1)) if "gumbel" in estimator else None
    rows = []
    for t in range(width):
        if gumbels is not None:
            relax = gumbel_softmax if estimator == "gumbel_softmax" else straight_through_gumbel
            rows.append(relax(logits, gumbels[:, t], temperature=temperature))
        else:
            relax_word = straight_through if estimator == "straight_through" else reinmax
            rows.append(relax_word(logits, drawn.words[:, t]))
        logits = rows[-1] @ table
    return torch.stack(rows, 1)
