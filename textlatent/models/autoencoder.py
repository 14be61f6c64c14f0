"""What every instance does: sentences to Scores, sentences to z, z to sentences; it owns and saves its tokenizer."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from textlatent.corpus.tokenizer import decode_sentences, encode_sentences, load_tokenizer
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.mixture import GaussianMixture
from textlatent.nats.noise import PRIOR_COMPONENT, PRIOR_DRAW, normal, uniform
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
    ) -> Scores:
        """What the model says of a batch, nats per sentence.

        Args:
            tokens: w_1 .. w_n EOS, then padding.
            lengths: n + 1.
            index: each sentence's identifier; with seed, epoch and the sample's number it fixes the noise.
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
        """

    @abstractmethod
    def posterior(self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """P_enc(z|y) of each sentence of a batch."""

    @abstractmethod
    def prior_distribution(self) -> DiagonalGaussian | GaussianMixture:
        """P_pri(z): a Gaussian [D], or a mixture of them; its `mean` is E_pri z."""

    @abstractmethod
    def log_prob_token(
        self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"], z: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B T"]:
        """Ln P_dec(y_t | y_<t, z), nats, 0 on padding, for a z that may come from anywhere."""

    @property
    @abstractmethod
    def calibrates(self) -> bool:
        """Whether `calibrate` is to be called with reference sentences before the first step and after each."""

    @abstractmethod
    def calibrate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take from reference sentences what the model wants to know of a corpus at its weights as they are.

        Args:
            batches: tokens [B, T] and lengths [B] of each.
        """

    def loss(self, **batch: Any) -> Float[Tensor, ""]:
        """The mean -ELBO of a batch, nats per sentence: for people with their own loop."""
        return self(**batch).neg_elbo().mean()

    def generate(self, latents: Float[Tensor, "B D"], **kwargs: Any) -> Any:
        """Token ids written from z by transformers' `generate` (sampling, beams, caches: its keyword arguments)."""
        return self.decoder.generate(latents=latents.to(self.device, self.dtype), **kwargs)

    @torch.no_grad()
    def sample_prior(self, draws: int | Int[Tensor, " n"], *, seed: int) -> Float[Tensor, "n D"]:
        """z ~ P_pri, on the model's device.

        Args:
            draws: how many, from number 0 on; or their numbers.
            seed: with its number it decides a draw, whatever the others.
        """
        with self._evaluating():
            prior = self.prior_distribution()
        index = torch.arange(draws) if isinstance(draws, int) else draws.cpu()
        noise = normal(index, seed=seed, shape=(self.config.latent_size,), stream=PRIOR_DRAW)[0]
        part = prior.part(uniform(index, seed=seed, shape=(), stream=PRIOR_COMPONENT)[0].to(prior.mean.device))
        return part.sample(noise.to(prior.mean))

    @torch.no_grad()
    def encode(self, sentences: Sequence[str], *, batch_size: int = 64) -> DiagonalGaussian:
        """P_enc(z|y) of each sentence, mean and log-variance [N, D] on the CPU."""
        with self._evaluating():
            batches = self._batches(sentences, batch_size)
            parts = [self.posterior(batch["tokens"], batch["lengths"]) for batch in batches]
        mean = torch.cat([part.mean.cpu() for part in parts])
        return DiagonalGaussian(mean, torch.cat([part.log_variance.cpu() for part in parts]))

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "N D"], *, batch_size: int = 64, **kwargs: Any) -> list[str]:
        """A sentence for each latent: greedy unless told otherwise (`do_sample=True`, `num_beams=5`, ...)."""
        texts: list[str] = []
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
