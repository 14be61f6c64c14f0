"""What a backbone must be, and when its output layer alone tells its logits."""

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from tests.tiny import BOS, backbone
from textlatent.decoder.probe import has_plain_head, refuse_forgetful

PLAIN = ["gpt2", "llama", "opt", "gpt_neox"]
NOT_PLAIN = {"cohere": "scaled", "gemma2": "capped", "granite": "scaled", "bert": "transformed", "electra": "projected"}


def model(kind: str, **settings: object) -> PreTrainedModel:
    torch.manual_seed(0)
    if kind in ("bert", "electra"):
        settings = {"is_decoder": True} | settings
    return AutoModelForCausalLM.from_config(backbone(kind, **settings))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", PLAIN)
def test_plain_heads(kind: str, dtype: torch.dtype) -> None:
    assert has_plain_head(model(kind).to(dtype), token=BOS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_logits_scaled_capped_or_of_other_states_are_noticed(kind: str, dtype: torch.dtype) -> None:
    """Also in bfloat16 at the start, where a cap of 30 changes no logit of 0.1 by a digit."""
    assert not has_plain_head(model(kind).to(dtype), token=BOS)


def test_a_cap_alone_decides() -> None:
    assert has_plain_head(model("gemma2", final_logit_softcapping=None), token=BOS)
    assert has_plain_head(model("granite", logits_scaling=1.0), token=BOS)


def test_nothing_is_left_behind() -> None:
    """No hook, the same mode, the same numbers."""
    backbone_model = model("gpt2").train()
    before = {name: tensor.clone() for name, tensor in backbone_model.state_dict().items()}
    tokens = torch.tensor([[BOS, 3]])
    logits = backbone_model.eval()(tokens).logits
    has_plain_head(backbone_model.train(), token=BOS)
    assert backbone_model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone_model.state_dict().items())
    assert torch.equal(backbone_model.eval()(tokens).logits, logits)


def test_a_backbone_that_looks_ahead_is_refused() -> None:
    """It would read the sentence it is to write, at next to 0 nats."""
    with pytest.raises(ValueError, match="must be causal, but bert lets a token see the one after it"):
        has_plain_head(model("bert", is_decoder=False), token=BOS)


@pytest.mark.parametrize(
    ("kind", "fault"), [("roberta", "numbers its positions anew at each step"), ("mamba", "keeps a state instead")]
)
def test_a_backbone_that_cannot_go_on_is_refused(kind: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"but {kind} {fault}; take gpt2, llama"):
        refuse_forgetful(model(kind, **({"is_decoder": True} if kind == "roberta" else {})))


def test_the_refused_one_does_lose_its_place() -> None:
    """Why roberta is refused: from embeddings, its second step with a cache differs from its second position."""
    roberta = model("roberta", is_decoder=True).eval()
    embeds = roberta.get_input_embeddings()(torch.tensor([[3, 4]]))
    with torch.no_grad():
        whole = roberta(inputs_embeds=embeds).logits[0, 1]
        cache = roberta(inputs_embeds=embeds[:, :1], use_cache=True).past_key_values
        stepped = roberta(inputs_embeds=embeds[:, 1:], past_key_values=cache).logits[0, 0]
    assert (whole - stepped).abs().max() > 1e-4
