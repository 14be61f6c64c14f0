"""What every instance does: sentences to Scores, sentences to z, z to sentences; it owns and saves its tokenizer."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from textlatent.corpus.tokenizer import decode_sentences, encode_sentences, load_tokenizer
from textlatent.encoder.codes import CodeEncoder
from textlatent.encoder.gaussian import GaussianEncoder
from textlatent.nats.noise import DENOISING, WORD_DROPOUT, chosen
from textlatent.prior.prior import NoPrior
from textlatent.scores import Scores

Batch = dict[str, Tensor]


class Autoencoder(PreTrainedModel):
    """A rate-distortion autoencoder of sentences (THEORY T1). Abstract: an instance says how y meets z in `forward`."""

    base_model_prefix = ""
    main_input_name = "tokens"
    tokenizer: PreTrainedTokenizerBase | None = None
    encoder: nn.Module
    prior: nn.Module
    decoder: Any

    @abstractmethod
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
        """What the model says of a batch, nats per sentence.

        Args:
            tokens: w_1 .. w_n EOS, then padding.
            lengths: n + 1.
            index: each sentence's identifier; with seed, epoch and the sample's number it fixes the noise. Below 0 it
                stands for no sentence, and is in no statistics.
            words: per sentence, carried into the record.
            characters: per sentence, carried into the record.
            label: per sentence, carried into the record.
            seed: of the noise.
            epoch: of the noise; 0 in evaluation.
            samples: S, draws of z per sentence.
            first_sample: the number of the first draw, when many are made in chunks.
            densities: ln P_enc and ln P_pri of each draw; a loss whose rate has a closed form needs neither.
            keep_latents: also z and the parameters of posterior and prior.
            keep_tokens: also log_p_dec_token of the first draw.
            distortion: ln P_dec; a stage in which the prior alone learns needs none, and the decoder does not run.
        """

    @abstractmethod
    def encode(self, sentences: Sequence[str], *, batch_size: int = 64) -> Any:
        """P_enc(z|y) of each sentence on the CPU; its `mean` [N, D] is the z that stands for the sentence."""

    @abstractmethod
    def sample_prior(self, draws: int | Int[Tensor, " n"], *, seed: int) -> Float[Tensor, "n D"]:
        """z ~ P_pri, on the model's device.

        Args:
            draws: how many, from number 0 on; or their numbers.
            seed: with its number it decides a draw, whatever the others.

        Raises:
            ValueError: the model has no prior to draw from.
        """

    @property
    def has_prior(self) -> bool:
        """Whether there is a P_pri to draw from: not where z is a point without a density."""
        return not isinstance(self.prior, NoPrior)

    @property
    @abstractmethod
    def deterministic(self) -> bool:
        """Whether one draw of z says what all would: z is a function of the sentence, or there is none."""

    def log_prob_token(
        self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"], z: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B T"]:
        """Ln P_dec(y_t | y_<t, z), nats, 0 on padding, for a z that may come from anywhere."""
        return self.decoder.log_prob_token(tokens, z, token_mask(tokens, lengths))

    @property
    def calibrates(self) -> bool:
        """Whether `calibrate` is to be called with reference sentences before the first step and after each."""
        return isinstance(self.encoder, GaussianEncoder) and self.encoder.norm is not None

    def calibrate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take the statistics of normalised means from reference sentences; nothing to do without them.

        Args:
            batches: tokens [B, T] and lengths [B] of each.
        """
        if isinstance(self.encoder, GaussianEncoder) and self.encoder.norm is not None:
            with self._evaluating():
                self.encoder.calibrate((tokens, token_mask(tokens, lengths)) for tokens, lengths in batches)

    @property
    def quantiser(self) -> CodeEncoder | None:
        """The encoder, where its z are codes, which are started before the first step and settled after each."""
        return self.encoder if isinstance(self.encoder, CodeEncoder) else None

    def start_codes(self, batches: Iterable[tuple[Tensor, Tensor]], *, seed: int) -> None:
        """Start the codebooks from sentences; nothing to do without codes.

        Args:
            batches: tokens [B, T] and lengths [B] of each.
            seed: decides which vectors become codes.
        """
        if self.quantiser is not None:
            with self._evaluating():
                masked = ((tokens, token_mask(tokens, lengths)) for tokens, lengths in batches)
                self.quantiser.initialise(masked, seed=seed)

    def loss(self, **batch: Any) -> Float[Tensor, ""]:
        """The mean -ELBO of a batch, nats per sentence, and the gradient rule's own losses where z are codes.

        For people with their own loop; a model with codes also wants `start_codes` before it and, after each update,
        `quantiser.settle`.
        """
        scores = self(**batch)
        penalty = 0.0 if scores.penalty is None else scores.penalty.mean()
        return scores.neg_elbo().mean() + penalty

    def generate(self, latents: Float[Tensor, "B D"], **kwargs: Any) -> Any:
        """Token ids written from z by transformers' `generate` (sampling, beams, caches: its keyword arguments)."""
        return self.decoder.generate(latents=latents.to(self.device, self.dtype), **kwargs)

    @torch.no_grad()
    def decode(self, z: Tensor, *, batch_size: int = 64, **kwargs: Any) -> list[str]:
        """A sentence for each latent: greedy unless told otherwise (`do_sample=True`, `num_beams=5`, ...).

        Args:
            z: latents [N, D]; or, of a model that has codes, whole numbers [N, P].
            batch_size: latents decoded together.
            kwargs: of transformers' `generate`.

        Raises:
            ValueError: whole numbers, and the model has no codes.
        """
        texts: list[str] = []
        if not z.is_floating_point():
            if self.quantiser is None:
                raise ValueError(f"this model has no codes: z must be numbers of type float, got {z.dtype}.")
            z = self.quantiser.look_up(z.to(self.device))
        with self._evaluating():
            for part in z.split(batch_size):
                texts += decode_sentences(self._need_tokenizer(), self.generate(part, **kwargs).tolist())
        return texts

    @torch.no_grad()
    def score(self, sentences: Sequence[str], *, samples: int = 1, seed: int = 0, batch_size: int = 64) -> Scores:
        """Scores of sentences, nats each: `.neg_elbo()`, or log-mean-exp of `.log_weights()` for many samples."""
        with self._evaluating():
            batches = self._batches(sentences, batch_size)
            parts = [self(**batch, seed=seed, samples=samples, keep_latents=True).to("cpu") for batch in batches]
        return Scores.concatenate(parts)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Without dropout, and back to the mode there was: a model may be looked at in the middle of its training."""
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)

    def _hidden(
        self, index: Int[Tensor, " B"], share: float, *, stream: int, seed: int, epoch: int, width: int
    ) -> Bool[Tensor, "B T"] | None:
        """Which words are hidden while the part that reads them is training; None where none are."""
        part: nn.Module = self.encoder if stream == DENOISING else self.decoder
        if not (part.training and share):
            return None
        return chosen(index, share=share, seed=seed, epoch=epoch, width=width, stream=stream)

    def _dropped(self, tokens: Tensor, index: Tensor, *, seed: int, epoch: int) -> Bool[Tensor, "B T"] | None:
        """Which words the decoder does not see before those that follow them; None where it sees all."""
        share, width = self.config.decoder.word_dropout, tokens.shape[1]
        return self._hidden(index, share, stream=WORD_DROPOUT, seed=seed, epoch=epoch, width=width)

    def _corrupted(self, tokens: Tensor, lengths: Tensor, index: Tensor, *, seed: int, epoch: int) -> Tensor:
        """What the encoder reads: while training, a share of the words (never EOS) as the unknown token.

        Source: Shen et al. 2020, arXiv:1905.12777; there words are left out, here they keep their place.
        """
        width = tokens.shape[1]
        hidden = self._hidden(index, self.config.denoising, stream=DENOISING, seed=seed, epoch=epoch, width=width)
        if hidden is None:
            return tokens
        words = torch.arange(width, device=tokens.device) < lengths[:, None] - 1
        return tokens.masked_fill(hidden & words, self.config.decoder.unk_token_id)

    def _batches(self, sentences: Sequence[str], batch_size: int) -> Iterator[Batch]:
        """Sentences as batches on the model's device, in order; EOS appended, padded on the right."""
        if isinstance(sentences, str):
            raise ValueError(f"pass a list of sentences, got one string; did you mean [{sentences!r}]?")
        if not sentences:
            raise ValueError("pass at least one sentence, got none.")
        tokenizer = self._need_tokenizer()
        ids = encode_sentences(tokenizer, list(sentences))
        longest = self.config.decoder.max_tokens
        for row, (text, sentence) in enumerate(zip(sentences, ids, strict=True)):
            if len(sentence) + 1 > longest:
                raise ValueError(
                    f"sentence {row} has {len(sentence) + 1} tokens with EOS, the model was built for {longest}: "
                    f"{text[:60]!r}. Shorten it, or train with a larger data.max_tokens."
                )
        for start in range(0, len(ids), batch_size):
            part = [[*sentence, tokenizer.eos_token_id] for sentence in ids[start : start + batch_size]]
            texts = sentences[start : start + batch_size]
            width = max(map(len, part))
            rows = [row + [tokenizer.pad_token_id] * (width - len(row)) for row in part]
            batch = {
                "tokens": torch.tensor(rows),
                "lengths": torch.tensor([len(row) for row in part]),
                "index": torch.arange(start, start + len(part)),
                "words": torch.tensor([len(text.split()) for text in texts]),
                "characters": torch.tensor([len(text) for text in texts]),
            }
            yield {name: tensor.to(self.device) for name, tensor in batch.items()}

    def _need_tokenizer(self) -> PreTrainedTokenizerBase:
        if self.tokenizer is None:
            raise ValueError("this model has no tokenizer; set model.tokenizer, or load it with from_pretrained.")
        return self.tokenizer

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        """As transformers' own, with the tokenizer beside the weights."""
        saved = super().save_pretrained(save_directory, *args, **kwargs)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(save_directory)
        return saved

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Self:
        """As transformers' own, with the tokenizer that was saved beside the weights."""
        model = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir() or (folder / "tokenizer_config.json").exists():
            (model[0] if isinstance(model, tuple) else model).tokenizer = load_tokenizer(pretrained_model_name_or_path)
        return model


def token_mask(tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> Bool[Tensor, "B T"]:
    """True on tokens, False on padding."""
    return torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
