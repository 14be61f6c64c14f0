"""Scores: the one record that crosses every border, per sentence and in nats."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from textlatent.nats.montecarlo import log_importance_weights

_BATCH_AXIS = {"log_p_enc": 1, "log_p_pri": 1, "log_p_dec": 1, "z": 1, "codes": 1}
_SHARED = ("prior_mean", "prior_log_variance")


@dataclass(frozen=True)
class Scores:
    """What a model says of B sentences with S samples of z each; blanks are what an instance cannot say.

    Attributes:
        log_p_enc: ln P_enc(z|y), nats, [S, B].
        log_p_pri: ln P_pri(z), nats, [S, B].
        log_p_dec: ln P_dec(y|z), nats, [S, B].
        kl: KL(enc || pri) in closed form, nats, [B, D] (one column per dimension or code position).
        z: a few latents, [S', B, D].
        codes: a few discrete latents, [S', B, P].
        log_p_dec_token: ln P_dec(y_t | y_<t, z), nats, first sample, [B, T], 0 on padding.
        posterior_mean: [B, D].
        posterior_log_variance: [B, D].
        prior_mean: of a factorised Gaussian prior, [D].
        prior_log_variance: [D].
        tokens: scored tokens (EOS counted, BOS and padding not), [B].
        words: whitespace words (EOS not counted), [B].
        characters: (EOS not counted), [B].
        index: the sentence's place in its split, [B].
        label: the sentence's label, -1 for none, [B].
        penalty: the training rules' own losses, no nats and in no sum of nats, [B].
        log_marginal: ln P(y) = ln sum_z P_pri(z) P_dec(y|z), nats, [B]; exact: blank where not every z was summed over.
    """

    log_p_enc: Tensor | None = None
    log_p_pri: Tensor | None = None
    log_p_dec: Tensor | None = None
    kl: Tensor | None = None
    z: Tensor | None = None
    codes: Tensor | None = None
    log_p_dec_token: Tensor | None = None
    posterior_mean: Tensor | None = None
    posterior_log_variance: Tensor | None = None
    prior_mean: Tensor | None = None
    prior_log_variance: Tensor | None = None
    tokens: Tensor | None = None
    words: Tensor | None = None
    characters: Tensor | None = None
    index: Tensor | None = None
    label: Tensor | None = None
    penalty: Tensor | None = None
    log_marginal: Tensor | None = None

    def __len__(self) -> int:
        """The number of sentences B."""
        for name, tensor in self.to_dict().items():
            if name not in _SHARED:
                return tensor.shape[_BATCH_AXIS.get(name, 0)]
        return 0

    @property
    def has_rate(self) -> bool:
        """Whether a rate is defined: a point encoder has no density, and so no rate (THEORY T6d)."""
        return self.kl is not None or (self.log_p_enc is not None and self.log_p_pri is not None)

    def rate(self) -> Float[Tensor, " B"]:
        """Ln P_enc / P_pri expected under P_enc, nats per sentence: the closed form where there is one (THEORY T1)."""
        if self.kl is not None:
            return self.kl.sum(-1)
        return (self.need("log_p_enc") - self.need("log_p_pri")).mean(0)

    def distortion(self) -> Float[Tensor, " B"]:
        """-ln P_dec(y|z), nats per sentence, averaged over the samples (THEORY T1)."""
        return -self.need("log_p_dec").mean(0)

    def neg_elbo(self) -> Float[Tensor, " B"]:
        """Rate + distortion, nats per sentence, always at beta = lam = 1 (THEORY T1, T2)."""
        return self.rate() + self.distortion()

    def log_weights(self) -> Float[Tensor, "S B"]:
        """Ln P_pri + ln P_dec - ln P_enc of every sample, nats (THEORY T3)."""
        return log_importance_weights(self.need("log_p_enc"), self.need("log_p_pri"), self.need("log_p_dec"))

    def need(self, name: str) -> Tensor:
        """A field that must be there.

        Raises:
            ValueError: it is blank.
        """
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"these Scores hold no {name}; ask the model for it, or use a quantity that needs none.")
        return value

    def to_dict(self) -> dict[str, Tensor]:
        """The fields that are there, as a plain dict of tensors."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    @classmethod
    def from_dict(cls, tensors: dict[str, Tensor]) -> Self:
        """The record of a dict made by `to_dict`."""
        return cls(**tensors)

    def to(self, device: torch.device | str) -> Self:
        """The same record on another device."""
        return self.from_dict({name: tensor.to(device) for name, tensor in self.to_dict().items()})

    def detach(self) -> Self:
        """The same record without its graph."""
        return self.from_dict({name: tensor.detach() for name, tensor in self.to_dict().items()})

    def select(self, rows: Tensor) -> Self:
        """The sentences at `rows` (positions or a mask), in that order."""
        if rows.dtype == torch.bool:
            rows = rows.nonzero().squeeze(1)
        return self.from_dict(
            {
                name: tensor if name in _SHARED else tensor.index_select(_BATCH_AXIS.get(name, 0), rows)
                for name, tensor in self.to_dict().items()
            }
        )

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """One record of all the parts' sentences, in the order given; token rows are padded to one length with 0.

        Raises:
            ValueError: no parts, or parts that fill different fields.
        """
        if not parts:
            raise ValueError("nothing to concatenate: pass at least one Scores.")
        dicts = [part.to_dict() for part in parts]
        if any(d.keys() != dicts[0].keys() for d in dicts):
            raise ValueError("cannot concatenate Scores that fill different fields.")
        joined = {}
        for name in dicts[0]:
            tensors = [d[name] for d in dicts]
            if name in _SHARED:
                joined[name] = tensors[0]
                continue
            if name == "log_p_dec_token":
                longest = max(t.shape[1] for t in tensors)
                tensors = [torch.nn.functional.pad(t, (0, longest - t.shape[1])) for t in tensors]
            joined[name] = torch.cat(tensors, _BATCH_AXIS.get(name, 0))
        return cls.from_dict(joined)

    def save(self, path: str | Path, *, about: dict | None = None) -> None:
        """Write a safetensors file; `about` (anything JSON holds) travels in its header."""
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in self.to_dict().items()}
        save_file(tensors, str(path), metadata={"about": json.dumps(about or {})})

    @classmethod
    def load(cls, path: str | Path) -> tuple[Self, dict]:
        """The record in a file and what was said about it."""
        with safe_open(str(path), framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            return cls.from_dict({name: file.get_tensor(name) for name in file.keys()}), about  # noqa: SIM118
