"""A product of N matrices as a balanced tree: log2(N) levels up for sums over Y, the same levels down to choose a Y."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor


def log_product(left: Float[Tensor, "*b q q"], right: Float[Tensor, "*b q q"]) -> Float[Tensor, "*b q q"]:
    """Ln of the matrix product of exp(left) and exp(right); no exponential is ever formed of a large number."""
    return torch.logsumexp(_sums(left, right), 1).movedim(-1, 0).reshape(left.shape)


def max_product(left: Float[Tensor, "*b q q"], right: Float[Tensor, "*b q q"]) -> Float[Tensor, "*b q q"]:
    """The best sum over the label between: max_c left[a, c] + right[c, b]."""
    return _sums(left, right).amax(1).movedim(-1, 0).reshape(left.shape)


def _sums(left: Float[Tensor, "*b q q"], right: Float[Tensor, "*b q q"]) -> Float[Tensor, "q q q b"]:
    """left[a, c] + right[c, b] as [a, c, b, batch]: a sum over c then runs along a whole batch at a time."""
    left, right = (each.reshape(-1, *each.shape[-2:]).movedim(0, -1).contiguous() for each in (left, right))
    return left[:, :, None] + right


def log_power(matrix: Float[Tensor, "q q"], exponent: int) -> Float[Tensor, "q q"]:
    """Ln of the matrix power of exp(matrix), exponent >= 1, by repeated squaring."""
    result: Tensor | None = None
    while True:
        if exponent & 1:
            result = matrix if result is None else log_product(result, matrix)
        exponent >>= 1
        if not exponent:
            assert result is not None
            return result
        matrix = log_product(matrix, matrix)


def levels(matrices: Float[Tensor, "N q q"], product: Callable[[Tensor, Tensor], Tensor] = log_product) -> list[Tensor]:
    """The matrices, the products of neighbours two by two, and so on to that of all; an odd last one moves up."""
    found = [matrices]
    while (count := len(found[-1])) > 1:
        below = found[-1]
        paired = product(below[0 : count - 1 : 2], below[1:count:2])
        found.append(torch.cat([paired, below[-1:]]) if count % 2 else paired)
    return found


def descend(tree: list[Tensor], first: Int[Tensor, " M"], choose: Callable[[Tensor], Tensor]) -> Int[Tensor, "M N"]:
    """Labels of all sites, given those of site 0: level by level the label between two that are known.

    Args:
        tree: from `levels`.
        first: Y_0 of each of M rows.
        choose: scores of the label between, [M, pairs, q] -> labels [M, pairs].
    """
    known = torch.stack([first, first], 1)  # where each node of the level begins, and the return to site 0
    for below in reversed(tree[:-1]):
        pairs = len(below) // 2
        starts, ends, nodes = known[:, :pairs], known[:, 1 : pairs + 1], torch.arange(pairs)
        left = below[0 : 2 * pairs : 2][nodes, starts]  # [M, pairs, q], from the start to the label between
        right = below[1 : 2 * pairs : 2].transpose(-1, -2)[nodes, ends]
        between = choose(left + right)
        woven = torch.stack([starts, between], 2).flatten(1)
        known = torch.cat([woven, known[:, pairs:]], 1)
    return known[:, :-1]
