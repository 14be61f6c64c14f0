"""The sentence VQ model: codes of a sentence x a prior over codes x sentence decoder x one of three gradient rules."""

from collections.abc import Sequence
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers import initialization as init

from textlatent.decoder.sentence import SentenceDecoder, SentenceDecoderConfig
from textlatent.encoder.codebook import Codebook
from textlatent.encoder.codes import CodeEncoder, SentenceCodes
from textlatent.encoder.finite_scalar import FiniteScalar
from textlatent.gradient.codes import CodeRule
from textlatent.models.autoencoder import Autoencoder, token_mask
from textlatent.models.configuration import SentenceVQConfig
from textlatent.nats.noise import REVIVAL, uniform
from textlatent.prior.autoregressive import AutoregressivePrior
from textlatent.prior.categorical import IndependentPrior, UniformPrior
from textlatent.prior.prior import CodePrior
from textlatent.scores import Scores

ENUMERABLE = 1 << 16
"""K^P up to which the exact marginal likelihood sums over every code, where no other limit is given."""


class SentenceVQ(Autoencoder):
    """1[k = Q(y)] x P_pri(k) x prod_t P(y_t | y_<t, C[k]), and -ln P_pri(k) - ln P_dec(y|k) >= -ln P(y) (T7, T11)."""

    config_class = SentenceVQConfig
    encoder: CodeEncoder
    prior: CodePrior

    def __init__(self, config: SentenceVQConfig) -> None:
        super().__init__(config)
        assert isinstance(config.encoder, PreTrainedConfig)
        assert isinstance(config.decoder, SentenceDecoderConfig)
        count = 1 if config.books == "shared" else config.positions
        books = [self._new_book(config) for _ in range(count)]
        residual = config.books == "residual"
        self.encoder = CodeEncoder(config.encoder, books, positions=config.positions, residual=residual)
        self.prior = self._new_prior(config, books=count)
        self.decoder = SentenceDecoder(config.decoder)
        self.post_init()

    @staticmethod
    def _new_book(config: SentenceVQConfig) -> Codebook | FiniteScalar:
        if config.levels is not None:
            return FiniteScalar(config.levels)
        rule = CodeRule(
            config.gradient_rule,
            commitment=config.commitment,
            rolling=config.decay is not None,
            rotation=config.rotation,
        )
        return Codebook(
            config.codes,
            config.size,
            rule=rule,
            decay=config.decay,
            codebook_lr_factor=config.codebook_lr_factor,
            revive=config.revive,
        )

    @staticmethod
    def _new_prior(config: SentenceVQConfig, *, books: int) -> CodePrior:
        if config.prior == "uniform":
            return UniformPrior(config.codes, config.positions)
        if config.prior == "independent":
            return IndependentPrior(config.codes, config.positions)
        return AutoregressivePrior(
            config.codes,
            config.positions,
            books=books,
            size=config.prior_size,
            layers=config.prior_layers,
            heads=config.prior_heads,
            dropout=config.prior_dropout,
        )

    def _init_weights(self, module: nn.Module) -> None:
        """What transformers has no rule for: codebook and its state, each position's maps, a prior that starts flat."""
        if isinstance(module, Codebook):
            init.normal_(module.vectors)
            init.constant_(module.usage, 1.0 / len(module.usage))
            init.zeros_(module.positions)
            if module.decay is not None:
                init.ones_(module.counts)
                init.copy_(module.sums, module.vectors)
        elif isinstance(module, FiniteScalar):
            init.copy_(module.vectors, module.grid())
            init.constant_(module.usage, 1.0 / len(module.usage))
            init.zeros_(module.positions)
        elif isinstance(module, CodeEncoder):
            init.normal_(module.queries)
            init.normal_(module.weight, std=module.weight.shape[1] ** -0.5)
            init.zeros_(module.bias)
            init.zeros_(module.started)
        elif isinstance(module, CodePrior):
            for own in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                init.zeros_(own)
        else:
            super()._init_weights(module)

    @property
    def deterministic(self) -> bool:
        """A sentence has one code."""
        return True

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

        Of S samples all are the same: the sentence has one code. A codebook sees what it is to learn from while the
        encoder is training, and is to be settled after each update.
        """
        mask = token_mask(tokens, lengths)  # [B, T]
        learning = self.encoder.training and torch.is_grad_enabled()
        enc: SentenceCodes = self.encoder(
            self._corrupted(tokens, lengths, index, seed=seed, epoch=epoch),
            mask,
            draw=self._chances(index, seed=seed, epoch=epoch) if learning else None,
            counted=index >= 0,
        )
        pri = self.prior.log_prob(enc.codes)  # [B, P]
        dec = None
        if distortion:
            dropped = self._dropped(tokens, index, seed=seed, epoch=epoch)
            dec = self.decoder.log_prob_token(tokens, enc.mean, mask, hidden=dropped)  # [B, T]
        log_p_pri = pri.sum(-1).expand(samples, -1)
        return Scores(
            log_p_enc=torch.zeros_like(log_p_pri),
            log_p_pri=log_p_pri,
            log_p_dec=None if dec is None else dec.sum(-1, dtype=torch.float64).expand(samples, -1),
            kl=-pri,
            z=enc.mean[None] if keep_latents else None,
            codes=enc.codes[None],
            log_p_dec_token=dec if keep_tokens else None,
            tokens=lengths,
            words=words,
            characters=characters,
            index=index,
            label=label,
            penalty=enc.penalty,
        )

    def _chances(self, index: Int[Tensor, " B"], *, seed: int, epoch: int) -> Float[Tensor, "B P"]:
        """What decides who may revive a code: each position's own number."""
        return uniform(index, seed=seed, epoch=epoch, shape=(self.config.positions,), stream=REVIVAL)[0]

    @torch.no_grad()
    def encode(self, sentences: Sequence[str], *, batch_size: int = 64) -> SentenceCodes:
        """Codes [N, P], their vectors [N, P, d] and the rule's penalty [N] of each sentence, on the CPU."""
        with self._evaluating():
            parts = [
                self.encoder(batch["tokens"], token_mask(batch["tokens"], batch["lengths"]))
                for batch in self._batches(sentences, batch_size)
            ]
        fields = [[getattr(part, name).cpu() for part in parts] for name in ("codes", "vectors", "penalty")]
        return SentenceCodes(*map(torch.cat, fields))

    @torch.no_grad()
    def sample_codes(
        self, draws: int | Int[Tensor, " n"], *, seed: int, temperature: float = 1.0
    ) -> Int[Tensor, "n P"]:
        """k ~ P_pri; arguments as in `CodePrior.sample`."""
        with self._evaluating():
            return self.prior.sample(draws, seed=seed, temperature=temperature)

    @torch.no_grad()
    def sample_prior(self, draws: int | Int[Tensor, " n"], *, seed: int) -> Float[Tensor, "n D"]:
        """C[k], k ~ P_pri; arguments as in `Autoencoder.sample_prior`."""
        return self.encoder.look_up(self.sample_codes(draws, seed=seed))

    @torch.no_grad()
    def log_marginal(
        self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"], *, limit: int = ENUMERABLE, chunk: int = 1024
    ) -> Float[Tensor, " B"]:
        """Ln P(y) = ln sum_k P_pri(k) P_dec(y|k) over all K^P codes, nats, exact.

        It is above ln P_pri(k) + ln P_dec(y|k) of the sentence's own code by -ln P(k|y), which a deterministic encoder
        pays (THEORY T11).

        Args:
            tokens: w_1 .. w_n EOS, then padding.
            lengths: n + 1.
            limit: the largest K^P.
            chunk: sentences x codes in one forward pass of the decoder.

        Raises:
            ValueError: there are more codes than `limit`.
        """
        codes, positions = self.config.codes, self.config.positions
        if codes**positions > limit:
            raise ValueError(
                f"the marginal likelihood sums over {codes}^{positions} codes, more than {limit:,}; raise limit, or "
                "take fewer codes or positions. The bound -ln P_pri(k) - ln P_dec(y|k) needs no sum."
            )
        with self._evaluating():
            every = torch.tensor(list(product(range(codes), repeat=positions)), device=self.device)
            joint = []
            for some in every.split(max(1, chunk // len(tokens))):
                rows = [x.repeat(len(some), *(1,) * (x.ndim - 1)) for x in (tokens, lengths)]
                z = self.encoder.look_up(some).repeat_interleave(len(tokens), 0)
                dec = self.log_prob_token(rows[0], rows[1], z).sum(-1, dtype=torch.float64)
                joint.append(self.prior.log_prob(some).sum(-1)[:, None] + dec.view(len(some), -1))
        return torch.cat(joint).logsumexp(0)
