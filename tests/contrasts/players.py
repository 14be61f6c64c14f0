"""Bigram GANs of two to four words, and their sentences and noise, each with its weight."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from textlatent.contrasts.bigram_gan import BigramGAN, BigramGANConfig

BERT = {
    "model_type": "bert",
    "vocab_size": 4,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 8,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def gan(
    vocabulary: int = 3, words: int = 3, *, eos: int = 0, judges: str = "pairs", reader: bool = False, seed: int = 0
) -> BigramGAN:
    """A GAN whose tables and verdicts are random and settled."""
    backbone = {**BERT, "vocab_size": vocabulary} if reader else None
    config = BigramGANConfig(
        vocab_size=vocabulary,
        words=words,
        eos_token_id=eos,
        judges="sentence" if reader else judges,
        discriminator="transformer" if reader else "table",
        backbone=backbone,
    )
    torch.manual_seed(seed)
    model = BigramGAN(config).eval()
    with torch.no_grad():
        for parameter in [*model.generator.parameters(), *([] if reader else model.discriminator.parameters())]:
            parameter.normal_()
    return model


def sentences(model: BigramGAN) -> tuple[Tensor, Tensor]:
    """Every sentence that can be written, EOS in every place after the first [M, T], and its probability [M]."""
    config = model.config
    rows = [
        row
        for row in product(range(config.vocab_size), repeat=config.words)
        if all(b == config.eos_token_id for a, b in zip(row, row[1:], strict=False) if a == config.eos_token_id)
    ]
    words = torch.tensor(rows)
    live = torch.cat([torch.ones(len(words), 1, dtype=torch.bool), words[:, :-1] != config.eos_token_id], 1)
    return words, model.generator.log_prob(words, live.sum(1)).exp().detach()


def noise_for(model: BigramGAN, words: Tensor) -> Tensor:
    """Noise in the middle of each word's interval, so that these sentences are written [N, T]."""
    start, transition = model.generator.log_start().exp(), model.generator.log_transition().exp()
    rows = torch.cat([start.expand(len(words), 1, -1), transition[words[:, :-1]]], 1).detach()
    ends = rows.cumsum(-1)
    return (ends - 0.5 * rows).gather(-1, words[..., None]).squeeze(-1)


def given(model: BigramGAN, words: Tensor, relaxation: Tensor | None = None) -> Callable[..., Tensor]:
    """The noise of an estimator under which these sentences are written, its relaxation's noise as it is."""
    own = noise_for(model, words)

    def noise(shape: tuple[int, ...], stream: int) -> Tensor:
        if stream == 0:
            return own
        assert relaxation is not None
        return relaxation.expand(len(words), *shape)

    return noise
