"""The word distribution's log-probabilities without keeping a [tokens, vocabulary] float32 matrix."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

_ROWS = 2048


class _HalfPrecisionLogProb(torch.autograd.Function):
    """ln softmax(h W' + b)[target] from bfloat16 (or float16) matrix products, the nats themselves in float32.

    What is kept for the backward pass is softmax in half precision (relative error 2^-9), not its logarithm, whose
    absolute error would be 2^-5 at 8 nats. ln p_t = (l_t - l_max) + ln p_max, where p_max >= 1/V cannot underflow.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor) -> Tensor:
        logits = F.linear(hidden, weight, bias)  # [N, V]
        chosen, largest = logits.gather(1, target[:, None]), logits.amax(-1, keepdim=True)  # max() is 4 times slower
        softmax = torch.softmax(logits, -1)
        log_prob = chosen.float() - largest.float() + softmax.amax(-1, keepdim=True).float().log()
        ctx.save_for_backward(hidden, weight, bias, target, softmax)
        return log_prob.squeeze(1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, target, softmax = ctx.saved_tensors
        grad = grads[0][:, None].to(softmax.dtype)
        grad_logits = (softmax * -grad).scatter_add_(1, target[:, None], grad)
        grad_bias = grad_logits.sum(0) if bias is not None else None
        return grad_logits @ weight, grad_logits.t() @ hidden, grad_bias, None


def token_log_prob(
    hidden: Float[Tensor, "N H"],
    weight: Float[Tensor, "V H"],
    bias: Float[Tensor, " V"] | None,
    target: Int[Tensor, " N"],
) -> Float[Tensor, " N"]:
    """Ln softmax(hidden weight' + bias)[target], nats, [N].

    Under autocast the matrix products run in its precision and the result is float32. Without a gradient the rows go
    through in chunks, so that scoring never holds all the logits.
    """
    if torch.is_grad_enabled():
        return _log_prob(hidden, weight, bias, target)
    rows = zip(hidden.split(_ROWS), target.split(_ROWS), strict=True)
    return torch.cat([_log_prob(h, weight, bias, t) for h, t in rows])


def _log_prob(hidden: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor) -> Tensor:
    device = hidden.device.type
    if not torch.is_autocast_enabled(device):
        return -F.cross_entropy(F.linear(hidden, weight, bias), target, reduction="none")
    half = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        bias = bias.to(half) if bias is not None else None
        return _HalfPrecisionLogProb.apply(hidden.to(half), weight.to(half), bias, target)
