"""A causal transformer that is given z: as slots before the sentence, added to every position, or both."""

from copy import deepcopy
from inspect import signature
from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.modeling_outputs import CausalLMOutputWithPast

from textlatent.decoder.head import token_log_prob
from textlatent.decoder.probe import has_plain_head, refuse_forgetful

INJECTIONS = ("prefix", "add", "both")


@strict
class SentenceDecoderConfig(PreTrainedConfig):
    """A causal transformer and the way z enters it.

    Attributes:
        backbone: configuration of any causal language model of transformers.
        latent_size: D; 0 for a language model, which nothing enters.
        inject: "prefix" (slots before BOS), "add" (to every token's embedding) or "both".
        slots: how many prefix slots z becomes.
        max_tokens: longest sentence generated, EOS included.
        bos_token_id: what a sentence begins with; the backbone's if not given, as the next two.
        eos_token_id: what it ends with.
        pad_token_id: what stands after its end.
        unk_token_id: what stands for a word that is hidden; only word dropout and denoising need one.
        word_dropout: share of the words before a word that are hidden from it while training.
    """

    model_type = "textlatent_sentence_decoder"
    sub_configs: ClassVar[dict[str, Any]] = {"backbone": AutoConfig}

    backbone: dict | PreTrainedConfig | None = None
    latent_size: int = 32
    inject: str = "both"
    slots: int = 1
    max_tokens: int = 64
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    unk_token_id: int | None = None
    word_dropout: float | int = 0.0
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        """Make the backbone's dict a configuration and take its special tokens."""
        if isinstance(self.backbone, dict):
            values = dict(self.backbone)
            self.backbone = AutoConfig.for_model(values.pop("model_type", "gpt2"), **values)
        elif self.backbone is None:
            self.backbone = AutoConfig.for_model("gpt2")
        if hasattr(self.backbone, "is_decoder"):
            self.backbone = deepcopy(self.backbone)  # it may be the encoder's too
            self.backbone.is_decoder = True  # else bert and its kin would look ahead
        for name in ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(self.backbone, name, None))
        self.tie_word_embeddings = bool(getattr(self.backbone, "tie_word_embeddings", False))
        super().__post_init__(**kwargs)

    def validate_injection(self) -> None:
        """Refuse an unknown way in, or a prefix of no slots."""
        if self.inject not in INJECTIONS:
            raise ValueError(f"inject must be one of {', '.join(INJECTIONS)}, got {self.inject!r}.")
        if self.inject != "add" and self.slots < 1:
            raise ValueError(f"slots must be >= 1 to inject z as a prefix, got {self.slots}; use inject: add.")

    def validate_tokens(self) -> None:
        """Refuse a decoder that could not begin or end a sentence."""
        if self.bos_token_id is None or self.eos_token_id is None:
            raise ValueError(
                f"a decoder needs bos_token_id and eos_token_id, got {self.bos_token_id} and {self.eos_token_id}; set "
                f"them in its backbone's configuration."
            )

    def validate_word_dropout(self) -> None:
        """Refuse a share that is none, and hidden words without a token that stands for them."""
        if not 0.0 <= self.word_dropout <= 1.0:
            raise ValueError(f"word_dropout must be between 0 and 1, got {self.word_dropout}.")
        if self.word_dropout and self.unk_token_id is None:
            raise ValueError(
                "word_dropout writes the unknown token over words, and there is none: set unk_token_id, take a "
                "tokenizer that has one, or set word_dropout to 0."
            )

    def get_text_config(self, *_: Any, **__: Any) -> PreTrainedConfig:
        """The backbone's configuration: caches are shaped by its layers."""
        assert isinstance(self.backbone, PreTrainedConfig)
        return self.backbone

    @property
    def prefix(self) -> int:
        """The number of slots before BOS."""
        return 0 if self.inject == "add" or not self.latent_size else self.slots


class SentenceDecoder(PreTrainedModel, GenerationMixin):
    """P_dec(y|z) = prod_t P(y_t | y_<t, z) by a causal transformer; `generate(latents=z)` is transformers' own."""

    config_class = SentenceDecoderConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    supports_gradient_checkpointing = True

    def __init__(self, config: SentenceDecoderConfig) -> None:
        super().__init__(config)
        assert isinstance(config.backbone, PreTrainedConfig)
        self.backbone = AutoModelForCausalLM.from_config(config.backbone)
        refuse_forgetful(self.backbone)
        width: int = self.get_input_embeddings().embedding_dim  # some families project it to their hidden size
        # The one place where z enters: another way in is another map here and a term in `_embed`.
        self.to_slots = nn.Linear(config.latent_size, config.prefix * width) if config.prefix else None
        every = config.inject != "prefix" and config.latent_size > 0
        self.to_every = nn.Linear(config.latent_size, width) if every else None
        self._plain_head: bool | None = None
        self.post_init()
        self.generation_config.max_length = None
        self.generation_config.max_new_tokens = config.max_tokens

    def _init_weights(self, module: nn.Module) -> None:
        """Z's maps start at a size at which z can be heard: unit variance in, token-embedding variance out."""
        if module in (self.to_slots, self.to_every):
            init.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
            init.zeros_(module.bias)
        else:
            super()._init_weights(module)

    def get_input_embeddings(self) -> Any:
        """The backbone's token embeddings."""
        return self.backbone.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        """The backbone's output layer."""
        return self.backbone.get_output_embeddings()

    def _embed(self, input_ids: Int[Tensor, "B T"], latents: Float[Tensor, "B D"], *, prefix: bool) -> Tensor:
        """The transformer's input: slots (if this is the beginning), then tokens, z added: [B, P + T, H]."""
        embeds = self.get_input_embeddings()(input_ids)
        if self.to_every is not None:
            embeds = embeds + self.to_every(latents)[:, None]
        if self.to_slots is not None and prefix:
            slots = self.to_slots(latents).view(latents.shape[0], self.config.prefix, -1)
            embeds = torch.cat([slots.to(embeds.dtype), embeds], 1)
        return embeds

    def log_prob_token(
        self,
        tokens: Int[Tensor, "B T"],
        latents: Float[Tensor, "B D"],
        mask: Bool[Tensor, "B T"],
        *,
        hidden: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T"]:
        """Ln P_dec(y_t | y_<t, z), nats, 0 where mask is False.

        Padding stands at the end, where a causal transformer cannot see it, so no attention mask is needed.

        Args:
            tokens: w_1 .. w_n EOS, then padding.
            latents: z.
            mask: True on tokens.
            hidden: True on words that the words after them read as the unknown token; each is scored all the same
                (word dropout: Bowman et al. 2016, arXiv:1511.06349, section 3.3).
        """
        read = tokens if hidden is None else tokens.masked_fill(hidden, self.config.unk_token_id)
        before = nn.functional.pad(read[:, :-1], (1, 0), value=self.config.bos_token_id)
        before = before.masked_fill(~mask, self.config.bos_token_id)  # attention weight 0 times a NaN is a NaN
        embeds = self._embed(before, latents, prefix=True)
        if self._plain_head is None:
            self._plain_head = has_plain_head(self.backbone, token=self.config.bos_token_id)
        if self._plain_head:
            hidden = self.backbone.base_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
            head = self.get_output_embeddings()
            scored = hidden[:, self.config.prefix :][mask]  # [N, H]: padding never meets the vocabulary
            log_prob = token_log_prob(scored, head.weight, getattr(head, "bias", None), tokens[mask])
        else:
            logits = self.backbone(inputs_embeds=embeds, use_cache=False).logits[:, self.config.prefix :][mask]
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            log_prob = -nn.functional.cross_entropy(logits, tokens[mask], reduction="none")
        return log_prob.new_zeros(mask.shape).masked_scatter(mask, log_prob)

    def forward(
        self,
        input_ids: Int[Tensor, "B T"],
        latents: Float[Tensor, "B D"],
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [B, T, V] of the next token after each of input_ids, for `generate`."""
        start = past_key_values is None or past_key_values.get_seq_length() == 0
        embeds = self._embed(input_ids, latents, prefix=bool(start))
        output = self.backbone(
            inputs_embeds=embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        logits = output.logits[:, self.config.prefix :] if start else output.logits
        return CausalLMOutputWithPast(logits=logits, past_key_values=output.past_key_values)

    def _prepare_cache_for_generation(
        self, generation_config: Any, model_kwargs: dict, mode: Any, batch_size: int, max_cache_length: int
    ) -> Any:
        """As transformers' own, with room for the slots in a cache of fixed size."""
        return super()._prepare_cache_for_generation(  # type: ignore[misc]
            generation_config, model_kwargs, mode, batch_size, max_cache_length + self.config.prefix
        )

    def prepare_inputs_for_generation(  # type: ignore[override]
        self,
        input_ids: Tensor,
        next_sequence_length: int | None = None,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        latents: Tensor | None = None,
        use_cache: bool | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """The inputs of one generation step; a mask over tokens becomes one over slots and tokens."""
        if latents is None:
            raise ValueError("generate needs latents=z, one row per sentence; draw z from the prior to sample freely.")
        positions = None
        if attention_mask is not None:
            if bool(attention_mask.all()):
                attention_mask = None
            else:
                slots = attention_mask.new_ones((attention_mask.shape[0], self.config.prefix))
                attention_mask = torch.cat([slots, attention_mask], 1)
                if "position_ids" not in signature(self.backbone.forward).parameters:
                    raise ValueError(
                        f"{self.config.backbone.model_type} takes no position_ids, so padding before a prompt would be "
                        f"counted as text; generate from prompts of one length at a time."
                    )
                positions = (attention_mask.long().cumsum(1) - 1).clamp(min=0)
        if next_sequence_length is not None:
            input_ids = input_ids[:, -next_sequence_length:]
        if positions is not None:
            start = past_key_values is None or past_key_values.get_seq_length() == 0
            positions = positions if start else positions[:, -input_ids.shape[1] :]
        return {
            "input_ids": input_ids.contiguous(),
            "latents": latents,
            "attention_mask": attention_mask,
            "position_ids": positions,
            "past_key_values": past_key_values,
            "use_cache": use_cache,
        }

    @torch.no_grad()
    def rescale(self, mean: Float[Tensor, " D"], std: Float[Tensor, " D"]) -> None:
        """Take z' = (z - mean) / std instead of z: W z + b = (W std) z' + (W mean + b) (THEORY T5)."""
        for each in (self.to_slots, self.to_every):
            if each is not None:
                each.bias.add_(each.weight @ mean)
                each.weight.mul_(std)
