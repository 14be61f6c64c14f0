"""P_dec(y|z) from tables: z the class of a sentence, or a state for each of its words."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from textlatent.decoder.table import Bigram, Unigram, ended, word_from_noise


class ClassDecoder(nn.Module):
    """P_dec(y|k) = P_k(w_1) prod_t P_k(w_t | w_<t): a table of words for each class.

    A z that is no class but weights over the classes [K] means their mixture sum_k z_k P_dec(y|k).

    Args:
        table: with K classes.
        eos: the word that ends a sentence.
        pad: what stands after it.
        max_tokens: the longest sentence, EOS counted.
    """

    def __init__(self, table: Unigram | Bigram, *, eos: int, pad: int, max_tokens: int) -> None:
        super().__init__()
        self.table = table
        self.eos, self.pad, self.max_tokens = eos, pad, max_tokens

    def log_prob(self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        """Ln P_dec(y|k) for every class, nats per sentence."""
        return self.table.log_prob(tokens, lengths)

    def log_prob_token(
        self, tokens: Int[Tensor, "B T"], latents: Float[Tensor, "B K"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T"]:
        """Ln P_dec(y_t | y_<t, z), nats, 0 where mask is False.

        Under a mixture the words before t have told of the class: the terms are differences of ln P_dec(y_<=t | z).
        """
        each = self.table.log_prob_token(tokens, mask.sum(1))  # [B, T, K]
        upto = (latents.to(each.dtype).log()[:, None] + each.cumsum(1)).logsumexp(-1)
        before = torch.cat([latents.to(each.dtype).sum(-1, keepdim=True).log(), upto[:, :-1]], 1)
        return (upto - before).masked_fill(~mask, 0.0)

    @torch.no_grad()
    def generate(self, *, latents: Float[Tensor, "B K"], **settings: Any) -> Int[Tensor, "B T"]:
        """Words drawn from P_dec(y|z) up to EOS, z one class each (the largest weight); torch's own random numbers.

        Raises:
            ValueError: a setting of another kind of decoder.
        """
        _refuse(settings)
        noise = torch.rand(len(latents), self.max_tokens, dtype=torch.float64, device=latents.device)
        return self.table.sample(noise, eos=self.eos, pad=self.pad, label=latents.argmax(-1))[0]


class StateDecoder(nn.Module):
    """P_dec(y|z) = prod_t P[z_t, w_t]: a table of words for each state.

    Args:
        table: the emissions, with K classes.
        eos: as in `ClassDecoder`.
        pad: as in `ClassDecoder`.
        max_tokens: as in `ClassDecoder`.
    """

    def __init__(self, table: Unigram, *, eos: int, pad: int, max_tokens: int) -> None:
        super().__init__()
        self.table = table
        self.eos, self.pad, self.max_tokens = eos, pad, max_tokens

    def log_emission(self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T K"]:
        """Ln P_dec(w_t|z_t) for every state, nats, 0 on padding."""
        return self.table.log_prob_token(tokens, lengths)

    def log_prob_token(
        self, tokens: Int[Tensor, "B T"], latents: Float[Tensor, "B D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T"]:
        """Ln P_dec(w_t|z_t), nats, 0 where mask is False; the latents are a path of D >= T states, whole numbers."""
        path = latents[:, : tokens.shape[1], None].long()
        return self.table.log_prob_token(tokens, mask.sum(1)).gather(2, path).squeeze(2)

    @torch.no_grad()
    def generate(self, *, latents: Float[Tensor, "B D"], **settings: Any) -> Int[Tensor, "B D"]:
        """Words drawn from P_dec(w_t|z_t) up to EOS, z a path; torch's own random numbers.

        Raises:
            ValueError: a setting of another kind of decoder.
        """
        _refuse(settings)
        noise = torch.rand(latents.shape, dtype=torch.float64, device=latents.device)
        emission = self.table.log_probabilities().exp()
        words = [word_from_noise(emission[latents[:, t].long()], noise[:, t]) for t in range(latents.shape[1])]
        return ended(torch.stack(words, 1), eos=self.eos, pad=self.pad)[0]


def _refuse(settings: dict[str, Any]) -> None:
    if unknown := [
        name for name, value in settings.items() if (name, value) not in (("do_sample", True), ("num_beams", 1))
    ]:
        raise ValueError(
            f"words are drawn from tables as they are, got {', '.join(unknown)}: the likeliest words of a table are no "
            "sentence. Leave it out (do_sample=True is what is done)."
        )
