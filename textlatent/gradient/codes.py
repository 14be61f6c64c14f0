"""How a loss passes a code: the three rules of vector quantisation, as values and losses whose gradients are exact.

L is the encoder's vector at a position, k = argmin_k |C[k] - L|, Lhat = C[k], and g = Lhat.grad of the distortion.

    end_to_end   L.grad += g                       C[k].grad += g
    published    L.grad += g + beta (L - Lhat)     C[k].grad += eta (C[k] - L)              (no g)
    both         L.grad += g + beta (L - Lhat)     C[k].grad += g + beta (C[k] - L)

`commitment` is beta: it weighs the pull of the ENCODER towards its code (under `both` the code's pull towards the
encoder as well, one loss with nothing detached). `codebook_lr_factor` is eta: it weighs the pull of the CODE towards
the encoder's vectors. Libraries are known to have swapped the two, and to count squares without the one half: van den
Oord's |sg(L) - Lhat|^2 + 0.25 |L - sg(Lhat)|^2 is eta = 2, beta = 0.5.

Source: THEORY T7; van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937, equation 3 (`published`).
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

GRADIENT_RULES = ("published", "both", "end_to_end")
COMMITMENT = 0.5
"""beta where none is given: van den Oord's 0.25, without the one half."""


def straight_through(
    latents: Float[Tensor, "M d"], chosen: Float[Tensor, "M d"], *, gradient_rule: str
) -> Float[Tensor, "M d"]:
    """Lhat to the bit, whose gradient g reaches L as it is, and C[k] too unless the rule is `published`.

    sg(Lhat) + (L - sg(L)), or Lhat + (L - sg(L)); the usual L + sg(Lhat - L) has the same gradient but rounds.

    Args:
        latents: L, finite.
        chosen: C[k], with its graph.
        gradient_rule: one of GRADIENT_RULES.
    """
    through = chosen.detach() if gradient_rule == "published" else chosen
    return through + (latents - latents.detach())


def rotated(latents: Float[Tensor, "M d"], chosen: Float[Tensor, "M d"]) -> Float[Tensor, "M d"]:
    """Lhat to the bit, whose gradient reaches L turned and scaled: (|Lhat| / |L|) R^T g, R the rotation of L onto Lhat.

        Lhat = s R L,    R = I - 2 r r^T + 2 q u^T,    u = L / |L|, q = Lhat / |Lhat|, r = (u + q) / |u + q|

    So the angle of the gradient with L is that of g with Lhat, which a straight-through gradient loses. C has none.

    Args:
        latents: L, not 0 and not opposite to Lhat.
        chosen: C[k].

    Source: Fifty et al. 2024, arXiv:2410.06424, sections 4.1 and 4.2.
    """
    before, after = latents.detach(), chosen.detach()
    u, q = functional.normalize(before, dim=-1), functional.normalize(after, dim=-1)
    r = functional.normalize(u + q, dim=-1)
    along = latents - 2.0 * r * (r * latents).sum(-1, keepdim=True) + 2.0 * q * (u * latents).sum(-1, keepdim=True)
    turned = along * (after.norm(dim=-1, keepdim=True) / before.norm(dim=-1, keepdim=True))
    return after + (turned - turned.detach())


def code_penalty(
    latents: Float[Tensor, "M d"],
    chosen: Float[Tensor, "M d"],
    *,
    gradient_rule: str,
    commitment: float,
    codebook_lr_factor: float = 1.0,
) -> Float[Tensor, " M"]:
    """The rule's own loss at each position, summed over the d components, never averaged (no nats).

        published   (beta/2) |L - sg(Lhat)|^2 + (eta/2) |sg(L) - Lhat|^2
        both        (beta/2) |L - Lhat|^2
        end_to_end  0

    Args:
        latents: L.
        chosen: C[k], with its graph.
        gradient_rule: one of GRADIENT_RULES.
        commitment: beta.
        codebook_lr_factor: eta as a factor of the gradient. Adam cancels such a factor; so training leaves it at 1 and
            multiplies the codebook's learning rate instead. 0 where a rolling average moves the codes (T8).
    """
    if gradient_rule == "end_to_end":
        return latents.new_zeros(latents.shape[0])
    if gradient_rule == "both":
        return 0.5 * commitment * (latents - chosen).square().sum(-1)
    penalty = 0.5 * commitment * (latents - chosen.detach()).square().sum(-1)
    if codebook_lr_factor:
        penalty = penalty + 0.5 * codebook_lr_factor * (latents.detach() - chosen).square().sum(-1)
    return penalty


@dataclass(frozen=True)
class CodeRule:
    """A rule with its weight, called on L and C[k]: the straight-through value and the penalty of each position.

    Attributes:
        gradient_rule: `published`, `both` or `end_to_end`.
        commitment: beta; None is 0.5 where the rule has a beta. `end_to_end` has none.
        rolling: the codes are a rolling average of their vectors (T8): no gradient moves them, `published` only.
        rotation: g reaches L turned as Lhat is turned from L (`rotated`), not as it is; `published` only.

    Raises:
        ValueError: an unknown rule, a beta that is negative or that the rule does not have, a rolling average or a
            rotation under a rule that sends g to the codes.
    """

    gradient_rule: str = "published"
    commitment: float | None = None
    rolling: bool = False
    rotation: bool = False

    def __post_init__(self) -> None:
        if self.gradient_rule not in GRADIENT_RULES:
            raise ValueError(f"gradient_rule must be one of {', '.join(GRADIENT_RULES)}, got {self.gradient_rule!r}.")
        if self.gradient_rule == "end_to_end" and self.commitment is not None:
            raise ValueError("end_to_end has no commitment; leave it out, or choose published or both.")
        if self.commitment is not None and not self.commitment >= 0.0:
            raise ValueError(f"commitment must be >= 0, got {self.commitment}; 0 leaves the encoder to the distortion.")
        if self.rolling and self.gradient_rule != "published":
            raise ValueError(
                f"a rolling average moves the codes without a gradient, and {self.gradient_rule} sends them one; "
                "use gradient_rule published, or learn the codes by gradient."
            )
        if self.rotation and self.gradient_rule != "published":
            raise ValueError(f"rotation keeps g from the codes, and {self.gradient_rule} sends it; use published.")

    def __call__(
        self, latents: Float[Tensor, "M d"], chosen: Float[Tensor, "M d"]
    ) -> tuple[Float[Tensor, "M d"], Float[Tensor, " M"]]:
        """Lhat as the decoder gets it, and the penalty of each position."""
        penalty = code_penalty(
            latents,
            chosen,
            gradient_rule=self.gradient_rule,
            commitment=COMMITMENT if self.commitment is None else self.commitment,
            codebook_lr_factor=0.0 if self.rolling else 1.0,
        )
        if self.rotation:
            return rotated(latents, chosen), penalty
        return straight_through(latents, chosen, gradient_rule=self.gradient_rule), penalty
