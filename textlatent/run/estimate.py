"""What a recipe will cost, by arithmetic alone: parameters, memory, minutes. No torch here."""

from dataclasses import dataclass, replace
from typing import Any

from textlatent.recipe.model import MIXTURE_COMPONENTS, SMALL, VAMP_COMPONENTS, Decoder, Encoder, Model
from textlatent.recipe.schema import Recipe
from textlatent.recipe.training import Stage

# Measured on one core of an AMD EPYC with AVX-512 and its bf16 products, recipes quickstart, tatoeba and ptb/cpu:
# 45 to 60 GFLOP/s in fp32, 62 to 107 in bf16 (the larger models the faster).
FLOPS_PER_CORE = {"fp32": 5e10, "bf16": 9e10}
_PROCESS = 0.8 * 2**30  # what importing torch, transformers and datasets takes
_SPARE_POSITIONS = 8  # run/build.py gives a backbone from scratch a few more positions than it needs


@dataclass(frozen=True)
class Shape:
    """The sizes of a transformer that decide its parameters: H, layers, heads, inner width, positions."""

    hidden: int
    layers: int
    heads: int
    inner: int
    positions: int


@dataclass(frozen=True)
class Estimate:
    """What a recipe will cost.

    Attributes:
        encoder: parameters of P_enc(z|y).
        prior: parameters of P_pri(z).
        decoder: parameters of P_dec(y|z).
        memory: bytes of the training process on one device, within a factor of about 1.5.
        flops: floating-point operations of the whole training.
        minutes: of training on this many cores at FLOPS_PER_CORE, within a factor of about 2.
    """

    encoder: int
    prior: int
    decoder: int
    memory: float
    flops: float
    minutes: float

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.encoder + self.prior + self.decoder


_DEFAULTS: dict[str, dict[str, Any]] = {
    "bert": {"hidden": 768, "layers": 12, "heads": 12, "inner": 3072},
    "gpt2": {"hidden": 768, "layers": 12, "heads": 12, "inner": None},
}
_NAMES = {
    "hidden": ("hidden_size", "n_embd"),
    "layers": ("num_hidden_layers", "n_layer"),
    "heads": ("num_attention_heads", "n_head"),
    "inner": ("intermediate_size", "n_inner"),
    "positions": ("max_position_embeddings", "n_positions"),
}
_SIZES = {name: size for size, names in _NAMES.items() for name in names}


def shape_of(section: Encoder | Decoder, positions: int) -> Shape | None:
    """The sizes of a backbone from scratch that needs `positions`; None for a family or a path not known here."""
    taken = getattr(section, "weights", None) is not None  # of the size that the run it comes from has
    if section.backbone not in _DEFAULTS or taken:
        return None
    settings = SMALL if section.config is None else section.config
    sizes = _DEFAULTS[section.backbone] | {"positions": positions + _SPARE_POSITIONS}
    sizes |= {_SIZES[name]: value for name, value in settings.items() if name in _SIZES and isinstance(value, int)}
    sizes["inner"] = sizes["inner"] or 4 * sizes["hidden"]
    return Shape(**sizes)


def _layer(shape: Shape) -> int:
    """Parameters of one transformer layer: attention, two-layer network, two normalisations."""
    h, inner = shape.hidden, shape.inner
    return 4 * (h * h + h) + (2 * h * inner + inner + h) + 4 * h


def estimate(recipe: Recipe, *, vocabulary: int, cores: int) -> Estimate | None:
    """The cost of a recipe; None where a backbone's sizes are not known here (a dry run measures them).

    Args:
        recipe: the recipe.
        vocabulary: the tokenizer's size.
        cores: processor cores to train on.
    """
    model, longest = recipe.model, recipe.data.max_tokens
    slots = 0 if model.decoder.inject == "add" or not model.latent_size else model.decoder.slots
    enc, dec = shape_of(model.encoder, longest), shape_of(model.decoder, longest + slots)
    if enc is None or dec is None:
        return None
    size = model.codebook.latent_size if model.type == "vq" else model.latent_size
    maps = (slots + (model.decoder.inject != "prefix")) * dec.hidden * (size + 1) if size else 0
    enc = enc if size else replace(enc, layers=0)  # a language model has no encoder
    encoder = (vocabulary + enc.positions + 2 + 2) * enc.hidden + enc.layers * _layer(enc) if size else 0
    encoder += _to_z(model, enc.hidden, size)
    decoder = (vocabulary + dec.positions + 2) * dec.hidden + dec.layers * _layer(dec) + maps
    prior = _prior_parameters(recipe, enc.hidden)

    tokens = recipe.training.tokens_per_step
    encoding = 6.0 * enc.layers * _layer(enc) + 6.0 * longest * enc.layers * enc.hidden
    decoding = 6.0 * (dec.layers * _layer(dec) + vocabulary * dec.hidden) + 6.0 * longest * dec.layers * dec.hidden
    pseudo = prior / enc.hidden if model.prior == "vamp" else 0.0  # vectors that the encoder reads in every step
    flops = 0.0
    for stage in recipe.stages:
        draws = recipe.stage_objective(stage).importance_samples
        share = _shares(stage)
        of_encoder, of_decoder = share[0] * (tokens + pseudo) * encoding, share[1] * tokens * draws * decoding
        flops += recipe.stage_steps(stage) * (of_encoder + of_decoder)
    speed = FLOPS_PER_CORE[recipe.training.precision] * cores
    memory = _PROCESS + 16.0 * (encoder + prior + decoder)  # weights, gradients, AdamW's two moments, 4 bytes each
    draws = max(recipe.stage_objective(stage).importance_samples for stage in recipe.stages)
    at_once = tokens * draws / recipe.training.accumulation
    memory += _activations(enc, dec, vocabulary, at_once, recipe.training.precision)
    return Estimate(encoder, prior, decoder, memory, flops, flops / speed / 60)


def _shares(stage: Stage) -> tuple[float, float]:
    """Of the operations of encoder and decoder, those that are done: a part that is held has no weights' gradient.

    Behind an encoder that is held there is no gradient at all, and where the prior learns alone no decoder.
    """
    encoder = 1.0 if "encoder" in stage.learn else 1 / 3
    if set(stage.learn) == {"prior"}:
        return encoder, 0.0
    return encoder, 1.0 if "decoder" in stage.learn else 2 / 3


def _to_z(model: Model, width: int, size: int) -> int:
    """Parameters between the encoder's states of this width and z; codes that roll are none."""
    if model.type != "vq":
        points = model.type == "deterministic" or model.encoder.fixed_variance is not None
        return (1 if points else 2) * size * (width + 1) + (size if model.encoder.batch_norm is not None else 0)
    book = model.codebook
    learned = (
        0 if book.decay is not None else book.codes * book.size * (1 if book.books == "shared" else book.positions)
    )
    return (1 if book.books == "residual" else book.positions) * width + size * (width + 1) + learned


def _code_prior_parameters(model: Model) -> int:
    """Parameters of P_pri(k)."""
    book, prior = model.codebook, model.code_prior
    if prior.type == "uniform":
        return 0
    if prior.type == "independent":
        return book.positions * book.codes
    books = 1 if book.books == "shared" else book.positions
    shape = Shape(prior.size, prior.layers, prior.heads, 4 * prior.size, book.positions)
    embeddings = (books * book.codes + 1 + book.positions) * prior.size
    return (
        embeddings + prior.layers * _layer(shape) + 2 * prior.size + (books * prior.size + book.positions) * book.codes
    )


def _prior_parameters(recipe: Recipe, width: int) -> int:
    """Parameters of P_pri(z); `width` is that of the encoder's embeddings."""
    model, size = recipe.model, recipe.model.latent_size
    if model.type == "vq":
        return _code_prior_parameters(model)
    if not size or model.prior == "standard":
        return 0
    if model.prior == "learned":
        return 2 * size
    if model.prior == "mixture":
        return (model.components or MIXTURE_COMPONENTS) * (2 * size + 1)
    return (model.components or VAMP_COMPONENTS) * model.pseudo_tokens * width


def _activations(enc: Shape, dec: Shape, vocabulary: int, tokens: float, precision: str) -> float:
    """Bytes kept for the backward pass of `tokens` tokens: about 17 numbers of width H a layer, and the word head."""
    width = 4 if precision == "fp32" else 2
    layers = sum(shape.layers * (9 * shape.hidden + 2 * shape.inner) for shape in (enc, dec))
    return tokens * (layers * width + 3 * vocabulary * width)
