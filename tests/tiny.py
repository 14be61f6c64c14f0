"""Models of a few hundred numbers and sentences of a few tokens, for the tests of every room."""

from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig

from textlatent.models import SentenceVAE, SentenceVAEConfig, SentenceVQ, SentenceVQConfig

PAD, BOS, EOS = 0, 1, 2
_COMMON = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 40}
_OWN: dict[str, dict[str, Any]] = {
    "bert": {"intermediate_size": 32},
    "roberta": {"intermediate_size": 32},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
    "llama": {"intermediate_size": 32},
    "gpt_neox": {"intermediate_size": 32},
    "opt": {"ffn_dim": 32, "word_embed_proj_dim": 8},
    "electra": {"intermediate_size": 32, "embedding_size": 8},
    "cohere": {"intermediate_size": 32},
    "gemma2": {"intermediate_size": 32, "head_dim": 8, "num_key_value_heads": 1},
    "granite": {"intermediate_size": 32, "num_key_value_heads": 1, "logits_scaling": 4.0},
    "mamba": {"state_size": 4},
}
_NO_DROPOUT = {
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "dropout": 0.0,
    "dropout_rate": 0.0,
}


def backbone(kind: str, *, vocabulary: int = 11, **settings: Any) -> PreTrainedConfig:
    """The configuration of a transformer of 16 hidden numbers, without dropout."""
    tokens = {"vocab_size": vocabulary, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}
    known = AutoConfig.for_model(kind)
    dropout = {name: value for name, value in _NO_DROPOUT.items() if hasattr(known, name)}
    return AutoConfig.for_model(kind, **{**_COMMON, **dropout, **_OWN.get(kind, {}), **tokens, **settings})


def vae(
    *,
    encoder: str = "bert",
    decoder: str = "gpt2",
    vocabulary: int = 11,
    inject: str = "both",
    slots: int = 1,
    latent_size: int = 3,
    scale: float = 4.0,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    unknown: int | None = None,
    word_dropout: float = 0.0,
    **config: Any,
) -> SentenceVAE:
    """A sentence VAE in evaluation mode, its weights `scale` times their start so that z and context are heard."""
    torch.manual_seed(seed)
    model = SentenceVAE(
        SentenceVAEConfig(
            encoder=backbone(encoder, vocabulary=vocabulary),
            decoder={"backbone": backbone(decoder, vocabulary=vocabulary), "inject": inject, "slots": slots}
            | {"max_tokens": 12, "unk_token_id": unknown, "word_dropout": word_dropout},
            latent_size=latent_size,
            **config,
        )
    ).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    return model.eval()


def vq(
    *,
    encoder: str = "bert",
    decoder: str = "gpt2",
    vocabulary: int = 11,
    inject: str = "both",
    slots: int = 1,
    scale: float = 4.0,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    start: bool = True,
    **config: Any,
) -> SentenceVQ:
    """A sentence VQ model in evaluation mode, K = 3 and P = 2 if not given, its codes started from SENTENCES."""
    torch.manual_seed(seed)
    sizes = {"positions": 2, "prior_size": 8, "prior_heads": 2, "prior_layers": 1}
    sizes |= {} if "levels" in config else {"codes": 3, "size": 4}
    model = SentenceVQ(
        SentenceVQConfig(
            encoder=backbone(encoder, vocabulary=vocabulary),
            decoder={"backbone": backbone(decoder, vocabulary=vocabulary), "inject": inject, "slots": slots}
            | {"max_tokens": 12},
            **{**sizes, "prior_dropout": 0.0, **config},
        )
    ).to(dtype)
    with torch.no_grad():
        for parameter in (*model.encoder.backbone.parameters(), *model.decoder.parameters()):
            if parameter.ndim > 1:
                parameter.mul_(scale)
    if start:
        rows = batch(SENTENCES)
        model.start_codes([(rows["tokens"], rows["lengths"])], seed=seed)
    return model.eval()


def batch(sentences: list[list[int]], *, width: int | None = None, first: int = 0) -> dict[str, Tensor]:
    """Sentences (their EOS written out) as a padded batch, numbered from `first`."""
    width = width or max(map(len, sentences))
    return {
        "tokens": torch.tensor([row + [PAD] * (width - len(row)) for row in sentences]),
        "lengths": torch.tensor([len(row) for row in sentences]),
        "index": torch.arange(first, first + len(sentences)),
    }


SENTENCES = [[3, 4, 5, 6, 7, EOS], [8, EOS], [EOS], [9, 10, 3, EOS], [4, 4, 4, 4, EOS], [5, 10, EOS]]
"""Six sentences of 1 to 6 tokens over a vocabulary of 11, EOS written out."""
