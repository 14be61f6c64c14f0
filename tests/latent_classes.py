"""Latent class models of a few numbers, and sentences drawn for them, for the tests of models and training."""

from typing import Any

import torch
from torch import Tensor

from textlatent.models.expectation import Expectation, expectation_of
from textlatent.models.latent_class import LatentClassModel
from textlatent.models.latent_class_configuration import LatentClassConfig

FAMILIES = ("mixture_unigram", "mixture_bigram", "hmm")
V, K, WIDTH, EOS = 5, 3, 6, 2


def model_of(
    family: str = "mixture_unigram", *, classes: int = K, vocabulary: int = V, seed: int = 0, **config: Any
) -> LatentClassModel:
    """A model with random tables, in evaluation mode."""
    decoder = {"vocabulary": vocabulary, "max_tokens": WIDTH, "eos": EOS, "pad": 0}
    model = LatentClassModel(LatentClassConfig(family=family, classes=classes, decoder=decoder, **config))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in (model.prior, model.decoder):
            for parameter in part.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model.eval()


def sentences(count: int = 12, *, seed: int = 0, vocabulary: int = V) -> tuple[Tensor, Tensor]:
    """Padded random words [N, WIDTH] and lengths [N], one as long as can be."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, WIDTH + 1, (count,), generator=generator)
    lengths[0] = WIDTH
    tokens = torch.randint(vocabulary, (count, WIDTH), generator=generator)
    return tokens.masked_fill(torch.arange(WIDTH) >= lengths[:, None], 0), lengths


def batch(tokens: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """What a model takes."""
    return {"tokens": tokens, "lengths": lengths, "index": torch.arange(len(tokens))}


def flat(tokens: Tensor, lengths: Tensor) -> Tensor:
    """The words one after the other."""
    return tokens[torch.arange(tokens.shape[1]) < lengths[:, None]]


def gathered(model: LatentClassModel, tokens: Tensor, lengths: Tensor, **more: Any) -> tuple[Expectation, Any]:
    """The model's two halves, and the sentences as they take them."""
    parts = expectation_of(model)
    return parts, parts.gather(flat(tokens, lengths), lengths, **more)


def tables(model: LatentClassModel) -> dict[str, Tensor]:
    """Every table as probabilities."""
    return {name: value.softmax(-1) for name, value in model.state_dict().items()}
