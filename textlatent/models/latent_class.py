"""Latent classes: Bayes (or a taught encoder) x a table over classes or states x tables of words (THEORY T12)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedConfig

from textlatent.decoder.classes import ClassDecoder, StateDecoder
from textlatent.decoder.table import Bigram, Unigram
from textlatent.encoder.amortised import BagOfWordsEncoder, BayesEncoder, TransformerClassEncoder, factorised_rate
from textlatent.encoder.posterior import chain_posterior, class_posterior
from textlatent.encoder.viterbi import viterbi
from textlatent.models.autoencoder import Autoencoder, token_mask
from textlatent.models.latent_class_configuration import LatentClassConfig, TableDecoderConfig
from textlatent.nats.noise import LATENT, uniform
from textlatent.prior.categorical import draw
from textlatent.prior.classes import ChainPrior, ClassPrior
from textlatent.scores import Scores


@dataclass(frozen=True)
class SentenceClasses:
    """Sentences as classes.

    Attributes:
        mean: P(k|y), or the share of a sentence's words that each state is expected to have, [N, K].
        codes: the likeliest class [N, 1], or the likeliest states (Viterbi) [N, T], -1 beyond a sentence's end.
    """

    mean: Tensor
    codes: Tensor


@dataclass(frozen=True)
class Parts:
    """What the family says of a batch, nats per sentence: what of it the gradient may reach is for the family to say.

    Attributes:
        rate: KL(enc || pri), [B].
        log_p_dec: E_enc ln P_dec(y|z), [B].
        log_p_pri: E_enc ln P_pri(z), [B].
        log_marginal: ln P(y) over all z, exact, [B].
        mean: as in SentenceClasses, [B, K].
        token: E_enc ln P_dec(y_t | y_<t, z), [B, T].
        log_enc: ln P_enc(k|y) of a mixture, [B, K]; None for a chain.
    """

    rate: Tensor
    log_p_dec: Tensor
    log_p_pri: Tensor
    log_marginal: Tensor
    mean: Tensor
    token: Tensor
    log_enc: Tensor | None


class LatentClassModel(Autoencoder):
    """P(z|y) x P_pri(z) x P_dec(y|z), z the class of a sentence or the states of its words; all sums over z are exact.

    With the exact encoder -ELBO = -ln P(y), so the gradient of the loss is that of the marginal likelihood: the
    posterior may be held, by Fisher's identity, and it is. Everything is in float64.
    """

    config_class = LatentClassConfig
    prior: ClassPrior | ChainPrior
    decoder: ClassDecoder | StateDecoder

    def __init__(self, config: LatentClassConfig) -> None:
        super().__init__(config)
        assert isinstance(config.decoder, TableDecoderConfig)
        section, classes = config.decoder, config.classes
        ends = {"eos": section.eos, "pad": section.pad, "max_tokens": section.max_tokens}
        self.encoder = self._new_encoder(config)
        if config.family == "hmm":
            self.prior = ChainPrior(classes)
            self.decoder = StateDecoder(Unigram(section.vocabulary, classes=classes), **ends)
        else:
            self.prior = ClassPrior(classes)
            table = Unigram if config.family == "mixture_unigram" else Bigram
            self.decoder = ClassDecoder(table(section.vocabulary, classes=classes), **ends)
        self.double()
        self.post_init()

    @staticmethod
    def _new_encoder(config: LatentClassConfig) -> nn.Module:
        assert isinstance(config.decoder, TableDecoderConfig)
        if config.encoder_type == "bayes":
            return BayesEncoder()
        if config.encoder_type == "bag_of_words":
            return BagOfWordsEncoder(config.decoder.vocabulary, config.classes)
        assert isinstance(config.encoder, PreTrainedConfig)
        return TransformerClassEncoder(config.encoder, config.classes, each_word=config.family == "hmm")

    @property
    def deterministic(self) -> bool:
        """One row of Scores says what all draws of z would: it holds expectations over z."""
        return True

    @property
    def exact(self) -> bool:
        """Whether the encoder is Bayes's."""
        return isinstance(self.encoder, BayesEncoder)

    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
        index: Int[Tensor, " B"],
        *,
        words: Int[Tensor, " B"] | None = None,
        characters: Int[Tensor, " B"] | None = None,
        label: Int[Tensor, " B"] | None = None,
        seed: int = 0,
        epoch: int = 0,
        samples: int = 1,
        first_sample: int = 0,
        densities: bool = True,
        keep_latents: bool = False,
        keep_tokens: bool = False,
        distortion: bool = True,
    ) -> Scores:
        """What the model says of a batch, nats per sentence; arguments as in `Autoencoder.forward`.

        Each of the S rows holds expectations over z ~ P_enc(z|y), not draws: log_p_dec is E ln P_dec(y|z), log_p_pri
        E ln P_pri(z), and log_p_enc E ln P(z|y) of the exact posterior, so that every importance weight is P(y) itself
        (THEORY T3) and -ELBO - IW-NLL the gap, whichever the encoder.
        """
        found = self._parts(tokens, lengths)
        row = found.log_p_pri + found.log_p_dec - found.log_marginal
        row = torch.where(found.log_marginal > -torch.inf, row, found.log_p_pri)  # P(y) = 0: no posterior but the prior
        alone = isinstance(self.prior, ChainPrior) or self.config.classes == 1  # z is a path, or says nothing
        return Scores(
            log_p_enc=row.expand(samples, -1) if densities else None,
            log_p_pri=found.log_p_pri.expand(samples, -1) if densities else None,
            log_p_dec=found.log_p_dec.expand(samples, -1),
            kl=found.rate[:, None],
            z=self._draw(found, index, seed=seed, epoch=epoch)[None] if keep_latents and not alone else None,
            codes=found.mean.argmax(-1)[None, :, None] if keep_latents and not alone else None,
            posterior_mean=found.mean if keep_latents else None,
            log_p_dec_token=found.token if keep_tokens else None,
            tokens=lengths,
            words=words,
            characters=characters,
            index=index,
            label=label,
            penalty=self._penalty(len(tokens)),
            log_marginal=found.log_marginal if densities else None,
        )

    def _parts(self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> Parts:
        mask = token_mask(tokens, lengths)
        if isinstance(self.prior, ClassPrior):
            return self._mixture(tokens, lengths, None if self.exact else self.encoder(tokens, mask))
        return self._chain(tokens, lengths, None if self.exact else self.encoder(tokens, mask))

    def _mixture(self, tokens: Tensor, lengths: Tensor, log_enc: Tensor | None) -> Parts:
        """A class for each sentence: sums over K."""
        assert isinstance(self.prior, ClassPrior)
        log_pri = self.prior.log_prob()
        each = self.decoder.table.log_prob_token(tokens, lengths)  # [B, T, K]
        log_dec = each.sum(1)
        if log_enc is None:
            log_enc = class_posterior(log_pri.detach(), log_dec.detach()).log_prob
        found = class_posterior(log_pri, log_dec, log_enc=log_enc)
        enc = found.probability
        return Parts(
            rate=found.rate,
            log_p_dec=-found.distortion,
            log_p_pri=_weighted(enc, log_pri.expand_as(enc)).sum(-1),
            log_marginal=found.log_marginal,
            mean=enc.detach(),
            token=_weighted(enc[:, None], each).sum(-1).detach(),
            log_enc=log_enc,
        )

    def _chain(self, tokens: Tensor, lengths: Tensor, log_enc: Tensor | None) -> Parts:
        """A state for each word: forward-backward, or sums over pairs of neighbours where the encoder is a product."""
        assert isinstance(self.prior, ChainPrior)
        assert isinstance(self.decoder, StateDecoder)
        start, transition = self.prior.log_start(), self.prior.log_transition()
        each = self.decoder.log_emission(tokens, lengths)  # [B, T, K]
        mask = token_mask(tokens, lengths)
        with torch.no_grad():
            exact = chain_posterior(start, transition, each, lengths, per_sentence=True)
        if log_enc is None:
            states, pairs = exact.states, exact.transitions
        else:
            states = log_enc.exp() * mask[:, :, None]
            pairs = states[:, :-1].transpose(1, 2) @ states[:, 1:]
        log_p_pri = _weighted(states[:, 0], start.expand_as(states[:, 0])).sum(-1)
        log_p_pri = log_p_pri + _weighted(pairs, transition.expand_as(pairs)).sum((1, 2))
        if log_enc is None:
            rate = exact.rate + (log_p_pri.detach() - log_p_pri)  # its value to rounding, the prior's gradient
        else:
            rate = factorised_rate(log_enc, start, transition, mask)
        token = _weighted(states, each).sum(-1)
        share = states.detach().sum(1) / lengths[:, None]
        return Parts(rate, token.sum(1), log_p_pri, exact.log_marginal, share, token.detach(), None)

    def _draw(self, found: Parts, index: Tensor, *, seed: int, epoch: int) -> Float[Tensor, "B K"]:
        """z ~ P_enc(k|y) as one 1 among zeros: its mean over draws is P_enc(k|y)."""
        assert found.log_enc is not None
        at = uniform(index, seed=seed, epoch=epoch, shape=(1,), stream=LATENT)[0, :, 0]
        return F.one_hot(draw(found.log_enc.detach(), at), self.config.classes).to(torch.float64)

    def log_prior(self) -> Float[Tensor, ""]:
        """sum a ln p over every probability in the tables: their Dirichlet priors' log density, without its constant.

        Nats, of the whole corpus: MAP's objective is sum_y ln P(y) + this; 0 where all pseudo-counts are 0.
        """
        config = self.config
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        if config.prior_pseudo_count:
            pri = self.prior
            rows = [pri.log_prob()] if isinstance(pri, ClassPrior) else [pri.log_start(), pri.log_transition()]
            total = total + config.prior_pseudo_count * sum(row.sum() for row in rows)
        if config.word_pseudo_count:
            table = self.decoder.table
            rows = (
                [table.log_probabilities()]
                if isinstance(table, Unigram)
                else [table.log_start(), table.log_transition()]
            )
            total = total + config.word_pseudo_count * sum(row.sum() for row in rows)
        return total

    def _penalty(self, count: int) -> Float[Tensor, " B"] | None:
        """While the tables learn by gradient, each sentence's share of -ln of their prior: MAP, as under EM."""
        learning = self.decoder.training and torch.is_grad_enabled()
        if not learning or not (self.config.prior_pseudo_count or self.config.word_pseudo_count):
            return None
        return (-self.log_prior() / self.config.sentences).expand(count)

    @torch.no_grad()
    def encode(self, sentences: Sequence[str], *, batch_size: int = 64) -> SentenceClasses:
        """P(k|y) and the likeliest class of each sentence (of an HMM: shares and likeliest states), on the CPU."""
        with self._evaluating():
            batches = list(self._batches(sentences, batch_size))
            width = max(batch["tokens"].shape[1] for batch in batches)
            means, codes = [], []
            for batch in batches:
                found = self._parts(batch["tokens"], batch["lengths"])
                means.append(found.mean.cpu())
                best = found.mean.argmax(-1, keepdim=True) if found.log_enc is not None else self._best_states(batch)
                codes.append(F.pad(best, (0, width - best.shape[1] if found.log_enc is None else 0), value=-1).cpu())
        return SentenceClasses(torch.cat(means), torch.cat(codes))

    def _best_states(self, batch: dict[str, Tensor]) -> Int[Tensor, "B T"]:
        assert isinstance(self.prior, ChainPrior)
        assert isinstance(self.decoder, StateDecoder)
        each = self.decoder.log_emission(batch["tokens"], batch["lengths"])
        return viterbi(self.prior.log_start(), self.prior.log_transition(), each, batch["lengths"])[0]

    @torch.no_grad()
    def sample_prior(self, draws: int | Int[Tensor, " n"], *, seed: int) -> Float[Tensor, "n D"]:
        """z ~ P_pri: one 1 among K, or a path of as many states as the longest sentence; as `Autoencoder`'s."""
        if isinstance(self.prior, ClassPrior):
            return F.one_hot(self.prior.sample(draws, seed=seed), self.config.classes).to(torch.float64)
        return self.prior.sample(draws, seed=seed, width=self.decoder.max_tokens).to(torch.float64)


def _weighted(probability: Tensor, nats: Tensor) -> Tensor:
    """p x, where 0 times an infinite x is 0."""
    return torch.where(probability > 0.0, probability * nats, 0.0)
