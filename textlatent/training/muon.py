"""Muon: matrices that move along their orthogonalised momentum, those of one shape computed together."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration: steepest at 0, so that five steps bring every singular value to between 0.7 and 1.2."""


def orthogonalise(matrices: Float[Tensor, "N A B"], *, steps: int = 5) -> Float[Tensor, "N A B"]:
    """U V^T of each matrix U S V^T, its singular values near 1 but not equal: Newton-Schulz on M / |M|_F, A <= B.

        M <- a M + (b M M^T + c (M M^T)^2) M

    In float32 on the CPU, where small bfloat16 products cost more than they save; in bfloat16 on a GPU.

    Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks.
    """
    a, b, c = COEFFICIENTS
    x = matrices.to(torch.bfloat16 if matrices.is_cuda else torch.float32)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """buf <- momentum buf + (1 - momentum) g;  W <- (1 - lr decay) W - lr sqrt(max(1, A/B)) orth(Nesterov's buf).

    torch.optim.Muon's arithmetic. It is written anew because torch's goes matrix by matrix in bfloat16: on ten matrices
    of width 64 it takes 15 ms of a CPU step of 42 ms.

    Args:
        matrices: parameters of two dimensions.
        lr: step size.
        weight_decay: decoupled, times lr.
        momentum: of the average of gradients.

    Raises:
        ValueError: a parameter that is no matrix.
    """

    def __init__(
        self, matrices: Iterable[nn.Parameter], *, lr: float, weight_decay: float = 0.1, momentum: float = 0.95
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        if wrong := [tuple(p.shape) for group in self.param_groups for p in group["params"] if p.ndim != 2]:
            raise ValueError(f"Muon moves matrices, got a parameter of shape {wrong[0]}; leave it to AdamW.")

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        if closure is not None:
            raise ValueError("this Muon takes no closure; compute the gradients before the step.")
        for group in self.param_groups:
            stacks: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1.0 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"])
                wide = update if p.shape[0] <= p.shape[1] else update.mT
                stacks.setdefault(tuple(wide.shape), []).append((p, wide))
            for members in stacks.values():
                directions = orthogonalise(torch.stack([wide for _, wide in members]))
                for (p, _), direction in zip(members, directions, strict=True):
                    rows, columns = p.shape
                    p.mul_(1.0 - group["lr"] * group["weight_decay"])
                    size = group["lr"] * max(1.0, rows / columns) ** 0.5
                    p.add_(direction if rows <= columns else direction.mT, alpha=-size)
