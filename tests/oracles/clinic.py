"""Models whose illness or health is known by construction, and the Scores they give of sentences of an exact language.

A sentence has `meanings` content words and 2 to 7 function words after them. Content word d is one of BINS equally
likely words, with the value c_b, the mean of a standard normal in its b-th quantile bin; function words are a Markov
chain; a sentence ends after each function word with probability 1/3 (the sixth is the last). So P(y) is exact:
content words are independent and uniform, and ln P(y) is a sum of logarithms.

Encoder:  q(z_d|y) = N(shift_d + gain_d v_d, width_d^2), v_d the value of the content word that z_d describes.
Decoder:  Bayes' own for that encoder: P(b|z_d) = softmax_b -(z_d - shift_d - gain_d c_b)^2 / 2 width_d^2 where it
          listens to z_d, and 1 / BINS where it does not; function words as the language has them.

No number is made up: the token scores under any z are that decoder's, the rate is the closed form.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.scores import Scores

BINS = 64
FUNCTION_WORDS = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.25, 0.25, 0.5]], dtype=torch.float64)
MORE = (2, 7)  # function words of a sentence: at least, at most (the last of them is EOS)


def bin_values() -> Tensor:
    """c_b, the mean of N(0, 1) in its b-th of BINS quantile bins; then scaled to variance 1, [BINS]."""
    edges = torch.special.ndtri(torch.linspace(0.0, 1.0, BINS + 1, dtype=torch.float64))
    density = torch.exp(-0.5 * edges.square()) / math.sqrt(2.0 * math.pi)
    values = BINS * (density[:-1] - density[1:])
    return values / values.square().mean().sqrt()


@dataclass(frozen=True)
class Sentences:
    """Draws of the language.

    Attributes:
        content: [N, meanings], numbers of the content words.
        end: [N, T], ln P of the function words and EOS at their places, 0 elsewhere.
        tokens: [N], EOS counted.
    """

    content: Tensor
    end: Tensor
    tokens: Tensor


def draw_sentences(count: int, meanings: int, generator: torch.Generator) -> Sentences:
    """`count` sentences and the exact nats of what follows their content words."""
    content = torch.randint(BINS, (count, meanings), generator=generator)
    chain = torch.randint(3, (count, 1), generator=generator)
    log_p = [torch.full((count, 1), -math.log(3.0), dtype=torch.float64)]
    for _ in range(MORE[1] - 1):
        row = FUNCTION_WORDS[chain[:, -1]]
        chain = torch.cat([chain, torch.multinomial(row, 1, generator=generator)], 1)
        log_p.append(row.gather(1, chain[:, -1:]).log())
    word = torch.cat(log_p, 1)
    stop = torch.rand(count, MORE[1], generator=generator, dtype=torch.float64) < 1.0 / 3.0
    stop[:, : MORE[0] - 1], stop[:, -1] = False, True
    length = stop.int().argmax(1) + 1  # function words of the sentence
    place = torch.arange(MORE[1])
    asked = (place >= MORE[0] - 1) & (place < MORE[1] - 1)  # where the coin is thrown
    coin = torch.where(place < length[:, None] - 1, math.log(2.0 / 3.0), -math.log(3.0)) * asked
    end = torch.zeros(count, meanings + MORE[1], dtype=torch.float64)
    end[:, meanings:] = (word + coin) * (place < length[:, None])
    return Sentences(content, end, meanings + length)


@dataclass(frozen=True)
class Patient:
    """A model by construction, and the verdict it must get.

    Attributes:
        verdict: the overall verdict.
        shift: of each latent dimension.
        gain: of each; 0 is dead.
        width: the posterior's standard deviation in each.
        hears: whether the decoder listens to each.
        describes: which content word each dimension describes.
        meanings: content words of a sentence.
        prior: mean and standard deviation in each dimension; N(0, 1) if not given.
        awake: share of the sentences whose posterior is not the prior.
        sentences: how many are scored.
        target_rate: the rate that was asked for, nats.
        also: illnesses that must be listed beside the verdict's own.
        note: words that a note must hold.
        mixture: the prior is given by its densities alone, as a mixture's is.
    """

    verdict: str
    gain: tuple[float, ...]
    width: tuple[float, ...]
    shift: tuple[float, ...] = ()
    hears: tuple[bool, ...] = ()
    describes: tuple[int, ...] = ()
    meanings: int = 8
    prior: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    awake: float = 1.0
    sentences: int = 500
    target_rate: float | None = None
    also: tuple[str, ...] = ()
    note: str = ""
    mixture: bool = False

    def scores(self, seed: int) -> dict[str, Scores]:
        """The Scores of the sentences under each condition: own, other, prior_draw, prior_mean."""
        generator = torch.Generator().manual_seed(seed)
        text = draw_sentences(self.sentences, self.meanings, generator)
        posterior = self._posterior(text, generator)
        prior = DiagonalGaussian(*self._prior())
        noise = torch.randn(2, *posterior.mean.shape, generator=generator, dtype=torch.float64)
        z = posterior.sample(noise[0])
        moved = torch.roll(torch.arange(self.sentences), 1)
        own = Scores(
            log_p_enc=posterior.log_prob(z)[None], log_p_pri=prior.log_prob(z)[None],
            kl=None if self.mixture else kl_per_dimension(posterior, prior), z=z[None],
            posterior_mean=posterior.mean, posterior_log_variance=posterior.log_variance,
            prior_mean=None if self.mixture else prior.mean,
            prior_log_variance=None if self.mixture else prior.log_variance,
            **self._decoded(text, z),
        )  # fmt: skip
        elsewhere = {"other": z[moved], "prior_draw": prior.sample(noise[1]), "prior_mean": prior.mean.expand_as(z)}
        return {"own": own} | {name: Scores(**self._decoded(text, other)) for name, other in elsewhere.items()}

    def rate(self) -> float:
        """The rate expected over the language, nats: the closed form at E v = 0, E v^2 = 1."""
        mean, log_variance = self._prior()
        gain, width, shift = self._row(self.gain), self._row(self.width), self._row(self.shift)
        variance = log_variance.exp()
        kl = 0.5 * ((width.square() + gain.square() + (shift - mean).square()) / variance - 1.0)
        return self.awake * (kl + 0.5 * log_variance - width.log()).sum().item()

    def _posterior(self, text: Sentences, generator: torch.Generator) -> DiagonalGaussian:
        values = bin_values()[text.content][:, self._described()]
        mean, width = self._row(self.shift) + self._row(self.gain) * values, self._row(self.width).expand_as(values)
        asleep = torch.rand(len(values), 1, generator=generator, dtype=torch.float64) >= self.awake
        prior_mean, prior_log_variance = self._prior()
        mean = torch.where(asleep, prior_mean, mean)
        return DiagonalGaussian(mean, torch.where(asleep, prior_log_variance, 2.0 * width.log()))

    def _decoded(self, text: Sentences, z: Tensor) -> dict[str, Tensor]:
        """What Bayes' decoder for this encoder says of every token, given any z."""
        centre = self._row(self.shift)[:, None] + self._row(self.gain)[:, None] * bin_values()  # [D, BINS]
        near = -0.5 * ((z[:, :, None] - centre) / self._row(self.width)[:, None]).square()
        near = near * torch.tensor(self.hears or (True,) * len(self.gain))[:, None]
        of_word = near.new_zeros(len(z), self.meanings, BINS).index_add(1, self._described(), near)
        content = of_word.log_softmax(-1).gather(2, text.content[:, :, None]).squeeze(2)
        token = text.end.clone()
        token[:, : self.meanings] = content
        return {
            "log_p_dec": token.sum(1)[None], "log_p_dec_token": token, "tokens": text.tokens,
            "index": torch.arange(len(z)),
        }  # fmt: skip

    def _described(self) -> Tensor:
        return torch.tensor(self.describes or tuple(range(len(self.gain))))

    def _prior(self) -> tuple[Tensor, Tensor]:
        mean, deviation = self.prior or ((0.0,) * len(self.gain), (1.0,) * len(self.gain))
        return self._row(mean), 2.0 * self._row(deviation).log()

    def _row(self, numbers: tuple[float, ...]) -> Tensor:
        return torch.tensor(numbers or (0.0,) * len(self.gain), dtype=torch.float64)


def at_rate(nats: float, dimensions: int = 8, *, verdict: str = "healthy") -> Patient:
    """A model whose aggregate is the prior N(0, I): width e^-r and gain sqrt(1 - width^2) cost r in each dimension."""
    width = math.exp(-nats / dimensions)
    return Patient(verdict, (math.sqrt(1.0 - width**2),) * dimensions, (width,) * dimensions)


EMPTY = Patient("collapsed", (0.0,) * 8, (1.0,) * 8)
FOUR = at_rate(4.0)
HALF = replace(
    FOUR, verdict="partly collapsed", describes=(1, 3, 5, 7, 0, 2, 4, 6),
    gain=at_rate(4.0, 4).gain + (0.0,) * 4, width=at_rate(4.0, 4).width + (1.0,) * 4,
)  # fmt: skip
FIRST_WORDS = replace(at_rate(5.0, 3, verdict="memorising"), meanings=8)

PATIENTS: dict[str, Patient] = {
    "a constant encoder": replace(EMPTY, also=("partly collapsed",)),
    "a rate of 0.01": at_rate(0.01, verdict="collapsed"),
    "a constant mean that has drifted a little": replace(EMPTY, shift=(0.2,) * 8, also=("mismatched",)),
    "a constant mean away from the prior": replace(EMPTY, verdict="mismatched", shift=(1.0,) * 8),
    "a constant narrow posterior": replace(EMPTY, verdict="mismatched", width=(0.5,) * 8),
    "a constant mean, and a rate was asked for": replace(
        EMPTY, verdict="mismatched", shift=(1.0,) * 8, target_rate=4.0, note="rate that was asked for"
    ),
    "a deaf decoder": replace(FOUR, verdict="ignored", hears=(False,) * 8),
    "a deaf decoder, near the cap": replace(at_rate(8.0), verdict="ignored", hears=(False,) * 8),
    "a deaf decoder and a prior far away": replace(
        FOUR, verdict="ignored", hears=(False,) * 8, shift=(2.0,) * 8, also=("mismatched",)
    ),
    "half the dimensions dead": HALF,
    "half the dimensions dead, at a rate asked for": replace(
        HALF, verdict="healthy", target_rate=4.0, note="4 of 8 dimensions are dead, z[4-7]"
    ),
    "half the dimensions dead, short of the rate asked for": replace(HALF, target_rate=8.0, note="8 nats was asked"),
    "one dimension of eight dead": replace(
        FOUR, verdict="partly collapsed", gain=(*FOUR.gain[:7], 0.0), width=(*FOUR.width[:7], 1.0)
    ),
    "the first words only": FIRST_WORDS,
    "the first words only, each twice": replace(
        FIRST_WORDS, gain=at_rate(5.0, 6).gain, width=at_rate(5.0, 6).width, describes=(0, 1, 2, 0, 1, 2)
    ),
    "the first four of eight words, at a rate asked for": replace(
        HALF, verdict="healthy", describes=tuple(range(8)), target_rate=4.0
    ),
    "an informative aggregate far from the prior": replace(FOUR, verdict="mismatched", shift=(2.0,) * 8),
    "an informative aggregate far too wide": replace(
        FOUR, verdict="mismatched", gain=tuple(4.0 * g for g in FOUR.gain), width=tuple(4.0 * w for w in FOUR.width)
    ),
    "too few sentences": replace(FOUR, verdict="underpowered", sentences=20),
    "too few sentences of a constant encoder": replace(EMPTY, verdict="underpowered", sentences=20),
    "a hundred sentences, one in fifty awake": replace(
        at_rate(6.0), verdict="underpowered", sentences=100, awake=0.02, note="hangs on rate"
    ),
    "a decoder that hears half": replace(FOUR, hears=(True, False) * 4),
    "a prior fitted to the aggregate": replace(
        FOUR, shift=(3.0,) * 8, gain=tuple(2.0 * g for g in FOUR.gain), width=tuple(2.0 * w for w in FOUR.width),
        prior=((3.0,) * 8, (2.0,) * 8),
    ),
    "a prior without a mean": replace(FOUR, mixture=True),
    **{f"healthy at {rate:g} nats": at_rate(rate) for rate in (0.3, 2.0, 4.0, 8.0, 12.0, 20.0)},
    "healthy at 4 nats, 60 sentences": replace(FOUR, sentences=60),
}  # fmt: skip
"""Name -> patient."""

Judge = Callable[..., object]


@cache
def visit(name: str, seed: int) -> dict[str, Scores]:
    """A patient's Scores, made once."""
    return PATIENTS[name].scores(seed)
