"""A prior over codes that knows the codes before: a small causal transformer."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from textlatent.prior.categorical import draw, uniforms
from textlatent.prior.prior import CodePrior


class AutoregressivePrior(CodePrior):
    """P_pri(k) = prod_p P(k_p | k_<p) by a causal transformer over the codes.

    Its output map starts at 0, so that it starts as the uniform prior: P ln K nats to the digit. Every conditional is
    normalised over the K codes of its position, so that the mass of all K^P codes is 1.

    Args:
        codes: K.
        positions: P.
        books: 1 where all positions share one codebook, P where code k means something else at each of them.
        size: H, hidden numbers.
        layers: of the transformer.
        heads: of its attention.
        dropout: everywhere in it.

    Raises:
        ValueError: a size that is no multiple of the heads, or books that are neither 1 nor P.

    Source: van den Oord et al. 2017, arXiv:1711.00937, section 3 (a PixelCNN over the codes of images).
    """

    def __init__(
        self,
        codes: int,
        positions: int,
        *,
        books: int = 1,
        size: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(codes, positions)
        if size % heads:
            raise ValueError(f"the code prior's size must be a multiple of its heads, got {size} and {heads}.")
        if books not in (1, positions):
            raise ValueError(f"books must be 1 or the number of positions {positions}, got {books}.")
        config = AutoConfig.for_model(
            "gpt2",
            vocab_size=books * codes + 1,  # the last one stands before the first code
            n_positions=positions,
            n_embd=size,
            n_layer=layers,
            n_head=heads,
            bos_token_id=books * codes,
            eos_token_id=None,
            **dict.fromkeys(("embd_pdrop", "resid_pdrop", "attn_pdrop"), dropout),
        )
        self.books = books
        self.backbone = AutoModel.from_config(config)
        self.weight = nn.Parameter(torch.zeros(books, codes, size))
        self.bias = nn.Parameter(torch.zeros(positions, codes))

    def _logits(self, before: Int[Tensor, "B p"]) -> Float[Tensor, "B q K"]:
        """Of the codes at positions 0 .. p, those before them given: [B, p + 1, K]."""
        count, known = before.shape
        if self.books > 1:  # each position has symbols of its own
            before = before + self.codes * torch.arange(known, device=before.device)
        first = before.new_full((count, 1), self.books * self.codes)
        hidden = self.backbone(input_ids=torch.cat([first, before], 1), use_cache=False).last_hidden_state
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.to(self.weight.dtype)
            if self.books == 1:
                return hidden @ self.weight[0].T + self.bias[: known + 1]
            return torch.einsum("bph,pkh->bpk", hidden, self.weight[: known + 1]) + self.bias[: known + 1]

    def log_prob(self, codes: Int[Tensor, "B P"]) -> Float[Tensor, "B P"]:
        """Ln P(k_p | k_<p), nats, float64."""
        table = self._logits(codes[:, :-1]).double().log_softmax(-1)
        return table.gather(2, codes[:, :, None]).squeeze(2)

    @torch.no_grad()
    def sample(self, draws: int | Int[Tensor, " n"], *, seed: int, temperature: float = 1.0) -> Int[Tensor, "n P"]:
        """k ~ P_pri, one position after another."""
        at = uniforms(draws, seed=seed, positions=self.positions).to(self.bias.device)
        found = torch.zeros(len(at), 0, dtype=torch.int64, device=at.device)
        for p in range(self.positions):
            following = draw(self._logits(found)[:, -1], at[:, p], temperature=temperature)
            found = torch.cat([found, following[:, None]], 1)
        return found
