"""The plain autoencoder of sentences: point encoder x no prior x sentence decoder x plain backpropagation."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedConfig

from textlatent.decoder.sentence import SentenceDecoder, SentenceDecoderConfig
from textlatent.encoder.point import PointEncoder, Points
from textlatent.models.autoencoder import Autoencoder, token_mask
from textlatent.models.configuration import SentenceAutoencoderConfig
from textlatent.prior.prior import NoPrior
from textlatent.scores import Scores

NO_PRIOR = (
    "the encoder gives points, which have no density, so that there is no rate and no prior to draw from; "
    "model.encoder.weights with model.encoder.fixed_variance makes a channel of this encoder, and a prior is fitted "
    "to it in a stage that learns prior and decoder (recipe encoder_first)"
)


class SentenceAutoencoder(Autoencoder):
    """z = f(y), prod_t P(y_t | y_<t, z); its loss is the distortion, its rate undefined (THEORY T6d)."""

    config_class = SentenceAutoencoderConfig
    encoder: PointEncoder

    def __init__(self, config: SentenceAutoencoderConfig) -> None:
        super().__init__(config)
        assert isinstance(config.encoder, PreTrainedConfig)
        assert isinstance(config.decoder, SentenceDecoderConfig)
        self.encoder = PointEncoder(config.encoder, latent_size=config.latent_size, pooling=config.pooling)
        self.prior = NoPrior()
        self.decoder = SentenceDecoder(config.decoder)
        self.post_init()

    @property
    def deterministic(self) -> bool:
        """A sentence has one z."""
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

        log_p_enc, log_p_pri and kl are blank, whatever `densities` asks. Of S samples all are the same. There is
        nothing to learn without the distortion, so that it is always there.
        """
        mask = token_mask(tokens, lengths)
        z = self.encoder(self._corrupted(tokens, lengths, index, seed=seed, epoch=epoch), mask)
        dropped = self._dropped(tokens, index, seed=seed, epoch=epoch)
        dec = self.decoder.log_prob_token(tokens, z, mask, hidden=dropped)
        return Scores(
            log_p_dec=dec.sum(-1, dtype=torch.float64).expand(samples, -1),
            z=z[None] if keep_latents else None,
            log_p_dec_token=dec if keep_tokens else None,
            tokens=lengths,
            words=words,
            characters=characters,
            index=index,
            label=label,
        )

    def loss(self, **batch: Any) -> Float[Tensor, ""]:
        """The mean distortion of a batch, nats per sentence: for people with their own loop."""
        return self(**batch).distortion().mean()

    @torch.no_grad()
    def encode(self, sentences: Sequence[str], *, batch_size: int = 64) -> Points:
        """f(y) of each sentence on the CPU; its `mean` [N, D] are the points."""
        with self._evaluating():
            batches = self._batches(sentences, batch_size)
            parts = [self.encoder(b["tokens"], token_mask(b["tokens"], b["lengths"])).cpu() for b in batches]
        return Points(torch.cat(parts))

    def sample_prior(self, draws: int | Int[Tensor, " n"], *, seed: int) -> Float[Tensor, "n D"]:
        """Nothing to draw from.

        Raises:
            ValueError: always; the message says what makes a prior.
        """
        raise ValueError(f"{NO_PRIOR}.")
