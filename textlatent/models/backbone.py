"""Any transformers backbone: its configuration from a few settings, its weights from a folder or the hub."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

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
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    ids["vocab_size"] = len(tokenizer)
    if not is_path(backbone):
        _refuse_unknown_settings(AutoConfig.for_model(backbone), settings, backbone, where)
        # Some families number positions from beyond the padding index: a few more than needed cost nothing.
        return AutoConfig.for_model(backbone, **{"max_position_embeddings": positions + 8, **settings, **ids})
    try:
        config = AutoConfig.from_pretrained(backbone)
    except (OSError, ValueError) as error:
        near = get_close_matches(backbone, CONFIG_MAPPING_NAMES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"{where}.backbone: {backbone!r} is neither a transformers model type nor a folder or hub name that can be "
            f"loaded.{hint}"
        ) from error
    _refuse_unknown_settings(config, settings, backbone, where)
    for name, value in {**settings, **ids}.items():
        setattr(config, name, value)
    available = getattr(config, "max_position_embeddings", None)
    if available is not None and available < positions:
        raise ValueError(
            f"{where}.backbone: {backbone} has {available} positions, {positions} are needed; lower data.max_tokens by "
            f"{positions - available}, or take another backbone."
        )
    return config


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
    embeddings = [pretrained.get_input_embeddings(), pretrained.get_output_embeddings()]
    of_tokens = {id(each.weight) for each in embeddings if each is not None}
    parameters = dict(pretrained.named_parameters(remove_duplicate=False))
    own, taken = part.state_dict(), {}
    for name, tensor in pretrained.state_dict().items():
        is_token = name in parameters and id(parameters[name]) in of_tokens
        if name in own and own[name].shape == tensor.shape and (same_tokens or not is_token):
            taken[name] = tensor
    part.load_state_dict(taken, strict=False)
    fresh = "" if same_tokens else "; token embeddings start anew, because the run has a tokenizer of its own"
    return f"{path}: {len(taken)} of {len(own)} tensors taken{fresh}."


def quiet() -> None:
    """No progress bars of transformers for loading and saving: they last no time and clutter a run's output."""
    logging.disable_progress_bar()
