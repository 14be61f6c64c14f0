"""Oracle: the words summed, and Gauss-Legendre quadrature over the noise that decides z given the word, at V = 2."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.gradient.estimators import LOGITS, cubic, exact, gradient, quadratic, values
from textlatent.gradient.rebar import conditional_logits, rebar

TWO = LOGITS[:2]


def _unit_grid(count: int) -> tuple[Tensor, Tensor]:
    """Points and weights on (0, 1)^2; u = 3x^2 - 2x^3 softens the ends, where ln(-ln u) is steep."""
    place, weight = np.polynomial.legendre.leggauss(count)
    x, w = 0.5 * (place + 1.0), 0.5 * weight
    for _ in range(2):
        w = w * 6.0 * x * (1.0 - x)
        x = x * x * (3.0 - 2.0 * x)
    point, share = torch.from_numpy(x), torch.from_numpy(w)
    grid = torch.stack(torch.meshgrid(point, point, indexing="ij"), -1).reshape(-1, 2)
    return grid.clamp(1e-300, 1.0 - 1e-16), torch.outer(share, share).reshape(-1)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
@pytest.mark.parametrize("scale", [0.0, 1.0, 0.4])
@pytest.mark.parametrize("critic", [cubic, quadratic], ids=["rebar", "relax"])
def test_it_is_unbiased(critic: Callable[[Tensor], Tensor], scale: float, temperature: float) -> None:
    """Of a cubic cost, with the cost itself as its critic (REBAR) and with another one (RELAX)."""
    noise, weight = _unit_grid(60)
    cost, p, total = values(cubic, 2), TWO.softmax(-1), torch.zeros(2, dtype=torch.float64)
    for word in range(2):
        drawn = torch.full((len(noise),), word)

        def mean(logits: Tensor, drawn: Tensor = drawn) -> Tensor:
            each = rebar(
                logits.expand(len(noise), -1),
                word=drawn,
                cost=cost[drawn],
                critic=critic,
                uniform=noise,
                temperature=temperature,
                scale=scale,
            )
            return (weight * each).sum()

        total += p[word] * gradient(mean, TWO)
    torch.testing.assert_close(total, exact(TWO, cubic), rtol=0, atol=1e-6)


def _variance(scale: float, temperature: float) -> float:
    """Of one draw's gradient, all entries together, over 20,000 draws."""
    generator = torch.Generator().manual_seed(0)
    count, cost = 20_000, values(quadratic, 3) + 3.0
    word = torch.multinomial(LOGITS.softmax(-1), count, replacement=True, generator=generator)
    uniform = torch.rand(count, 3, dtype=torch.float64, generator=generator)
    rows = LOGITS.repeat(count, 1).requires_grad_()
    settings = {"critic": lambda row: quadratic(row) + 3.0, "temperature": temperature, "scale": scale}
    total = rebar(rows, word=word, cost=cost[word], uniform=uniform, **settings).sum()
    return float(torch.autograd.grad(total, rows)[0].var(0).sum())


def test_it_varies_less_than_the_score_function() -> None:
    assert _variance(1.0, 0.5) < 0.25 * _variance(0.0, 0.5)


def test_what_is_drawn_given_the_word_is_what_fits_it() -> None:
    """The argmax is the word, and mixed over the words z is ln p plus Gumbel noise again: mean 0.5772 + ln p."""
    torch.manual_seed(0)
    count, log_p = 200_000, LOGITS.log_softmax(-1)
    word = torch.multinomial(log_p.exp(), count, replacement=True)
    z = conditional_logits(log_p.expand(count, -1), word, torch.rand(count, 3, dtype=torch.float64))
    assert bool((z.argmax(-1) == word).all())
    error = (z - log_p).mean(0) - 0.5772156649
    assert error.abs().max() < 4 * (np.pi**2 / 6 / count) ** 0.5
