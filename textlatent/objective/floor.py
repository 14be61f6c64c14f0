"""Free nats: a part of the rate that costs nothing."""

import torch
from jaxtyping import Float
from torch import Tensor

FLOORS = ("dimension", "sentence", "batch_dimension", "batch")


def floored_rate(
    kl: Float[Tensor, "B D"], *, free_nats: float, on: str, running_kl: Float[Tensor, " D"] | None = None
) -> Float[Tensor, " B"]:
    """The rate as the objective charges it, nats per sentence: never less than what is free.

    "dimension": sum_d max(f, kl_d) of each sentence. "sentence": max(f, sum_d kl_d). "batch_dimension" and "batch" ask
    the same of the mean over sentences, taken from a running mean over past steps and all processes: a quantity whose
    running mean lies below f is charged f and passes no gradient. (The batch's own mean would make the gradient depend
    on how a step is cut into batches.)

    Args:
        kl: KL(enc || pri), nats.
        free_nats: f, nats per dimension or per sentence as `on` says.
        on: one of FLOORS.
        running_kl: mean KL per dimension over past steps; None before the first step: nothing is charged yet.

    Source: Kingma et al. 2016, arXiv:1606.04934, eq. 15 ("batch_dimension"); Li et al. 2019, arXiv:1909.00868, eq. 3.
    """
    if free_nats == 0.0:
        return kl.sum(-1)
    if on == "dimension":
        return kl.clamp(min=free_nats).sum(-1)
    if on == "sentence":
        return kl.sum(-1).clamp(min=free_nats)
    if running_kl is None:
        running_kl = torch.zeros_like(kl[0])
    if on == "batch_dimension":
        return torch.where(running_kl > free_nats, kl, free_nats).sum(-1)
    return torch.where(running_kl.sum() > free_nats, kl.sum(-1), free_nats)
