"""Any transformers backbone: its configuration from a few settings, its weights from a folder or the hub."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.utils import logging


def is_path(backbone: str) -> bool:
    """Whether a backbone is a folder or hub name (with weights), not a transformers model type (from scratch)."""
    return backbone not in CONFIG_MAPPING_NAMES


def backbone_config(
    backbone: str, settings: Mapping[str, Any], *, tokenizer: PreTrainedTokenizerBase, positions: int, where: str
) -> PreTrainedConfig:
    """The configuration of a backbone: its own or given settings, then the corpus's vocabulary and length.

    Args:
        backbone: a transformers model type, or a local or hub path.
        settings: by their transformers names.
        tokenizer: gives vocabulary size and special tokens.
        positions: the longest input, slots included.
        where: the recipe's path, for messages.

    Raises:
        ValueError: no such backbone, a setting it does not have, or too few positions in pretrained weights.
    """
    own = _own_config(backbone, where)
    _refuse_unknown_settings(own, settings, backbone, where)
    alias = own.attribute_map  # GPT-2's n_positions is max_position_embeddings
    settings = {alias.get(name, name): value for name, value in settings.items()}
    fixed = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    fixed["vocab_size"] = len(tokenizer)
    fixed["dtype"] = None  # weights saved in half precision are trained in float32, like every other part
    length = alias.get("max_position_embeddings", "max_position_embeddings")
    if not is_path(backbone):
        # Some families number positions from beyond the padding index: a few more than needed cost nothing.
        own = AutoConfig.for_model(backbone, **{length: positions + 8, **settings, **fixed})
    else:
        for name, value in {**settings, **fixed}.items():
            setattr(own, name, value)
    available = getattr(own, length, None)
    if available is not None and available < positions:
        raise ValueError(
            f"{where}.backbone: {backbone} has {available} positions, {positions} are needed; lower data.max_tokens by "
            f"{positions - available}, or take another backbone."
        )
    return own


def _own_config(backbone: str, where: str) -> PreTrainedConfig:
    """The backbone's configuration as its family or its folder gives it."""
    if not is_path(backbone):
        return AutoConfig.for_model(backbone)
    try:
        return AutoConfig.from_pretrained(backbone)
    except (OSError, ValueError) as error:
        near = get_close_matches(backbone, CONFIG_MAPPING_NAMES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"{where}.backbone: {backbone!r} is neither a transformers model type nor a folder or hub name that can be "
            f"loaded.{hint}"
        ) from error


def _refuse_unknown_settings(config: PreTrainedConfig, settings: Mapping[str, Any], backbone: str, where: str) -> None:
    """Transformers stores a misspelt setting and ignores it; we do not."""
    known = set(config.to_dict()) | set(config.attribute_map)
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"{where}.config.{name}: {backbone} has no such setting{hint}")


def take_weights(part: PreTrainedModel, path: str, *, same_tokens: bool) -> str:
    """What was taken, in a sentence, after filling a backbone with pretrained weights.

    Token embeddings are taken only if the run uses the weights' own tokenizer: another tokenizer gives the same number
    to another word.
    """
    causal = part.can_generate()
    pretrained: Any = (AutoModelForCausalLM if causal else AutoModel).from_pretrained(path)
    if not causal and pretrained.config.is_encoder_decoder:
        pretrained = pretrained.get_encoder()
    layers = [pretrained.get_input_embeddings(), pretrained.get_output_embeddings()]
    of_tokens = {id(parameter) for layer in layers if layer is not None for parameter in layer.parameters()}
    parameters = dict(pretrained.named_parameters(remove_duplicate=False))
    own, taken = part.state_dict(), {}
    for name, tensor in pretrained.state_dict().items():
        is_token = id(parameters.get(name)) in of_tokens
        if name not in own or (is_token and not same_tokens):
            continue
        if is_token:  # a pretrained vocabulary is often padded beyond its tokenizer's
            rows = min(len(tensor), len(own[name]))
            tensor = torch.cat([tensor[:rows].to(own[name]), own[name][rows:]])
        if own[name].shape == tensor.shape:
            taken[name] = tensor
    part.load_state_dict(taken, strict=False)
    fresh = "" if same_tokens else "; token embeddings start anew, because the run has a tokenizer of its own"
    return f"{path}: {len(taken)} of {len(own)} tensors taken{fresh}."


def quiet() -> None:
    """No progress bars of transformers for loading and saving: they last no time and clutter a run's output."""
    logging.disable_progress_bar()
