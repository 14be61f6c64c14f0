"""What a transformer must be to write sentences from z, and whether its words' probabilities can be had cheaply."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

_LOUD = 1e4
"""How many times its own logits an output layer answers in a probe: a cap shows on weights however small."""


def refuse_forgetful(backbone: PreTrainedModel) -> None:
    """Refuse a backbone that could score a sentence given z but not write it.

    Raises:
        ValueError: it loses its place after the first step (positions numbered anew), or keeps no keys and values.
    """
    numbered_anew = any(hasattr(module, "create_position_ids_from_inputs_embeds") for module in backbone.modules())
    if numbered_anew or backbone._is_stateful:
        fault = "numbers its positions anew at each step" if numbered_anew else "keeps a state instead"
        raise ValueError(
            f"a decoder's backbone must go on from embeddings and a cache of keys and values, but "
            f"{backbone.config.model_type} {fault}; take gpt2, llama or another causal transformer."
        )


@torch.no_grad()
def has_plain_head(backbone: PreTrainedModel, *, token: int) -> bool:
    """Whether the logits are the output layer of the last hidden states, with nothing between or after.

    Some families transform the states, and some scale or cap the logits: of those, only the model's own logits will do.

    Args:
        backbone: a causal language model.
        token: any token.

    Raises:
        ValueError: a token changes what stands before it.
    """
    after = (token + 1) % backbone.config.vocab_size
    tokens = torch.tensor([[token, token], [token, after]], device=backbone.device)
    training = backbone.training
    backbone.eval()
    try:
        with torch.autocast(tokens.device.type, enabled=False):  # else its cache would keep weights without gradients
            hidden: Tensor = backbone.base_model(input_ids=tokens, use_cache=False).last_hidden_state
            if not torch.allclose(hidden[0, 0], hidden[1, 0], rtol=1e-4, atol=1e-5):
                raise ValueError(
                    f"a decoder's backbone must be causal, but {backbone.config.model_type} lets a token see the one "
                    f"after it; set is_decoder or is_causal in its config, or take another."
                )
            return _is_plain(backbone, tokens, hidden)
    finally:
        backbone.train(training)


def _is_plain(backbone: PreTrainedModel, tokens: Tensor, hidden: Tensor) -> bool:
    head = backbone.get_output_embeddings()
    if not isinstance(head, nn.Linear) or head.in_features != hidden.shape[-1]:
        return False
    hook = head.register_forward_hook(lambda _module, _inputs, output: _LOUD * output)
    try:
        return torch.equal(head(hidden), backbone(input_ids=tokens, use_cache=False).logits)
    finally:
        hook.remove()
