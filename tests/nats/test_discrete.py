"""Entropies of tables by their definitions; estimates from counts by enumeration of every sample there could be."""

import itertools
import math

import pytest
import torch

from textlatent.nats.discrete import (
    collision_entropy,
    conditional_entropy,
    cross_entropy,
    entropy,
    entropy_of_counts,
    kl,
    mutual_information,
    mutual_information_of_counts,
    perplexity,
    perplexity_of_counts,
    plug_in_bias,
)

P, Q = torch.tensor([0.5, 0.25, 0.25, 0.0]), torch.tensor([0.1, 0.2, 0.3, 0.4])


def _random_joint(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(*shape, generator=generator, dtype=torch.float64).flatten(-2).softmax(-1).reshape(shape)


def test_by_hand() -> None:
    """H(1/2, 1/4, 1/4) = 1.5 ln 2; 0 ln 0 = 0."""
    assert entropy(P).item() == pytest.approx(1.5 * math.log(2), rel=1e-15)
    assert perplexity(P).item() == pytest.approx(2**1.5, rel=1e-15)
    assert collision_entropy(P).item() == pytest.approx(-math.log(0.375), rel=1e-15)
    by_hand = -0.5 * math.log(0.1) - 0.25 * math.log(0.2) - 0.25 * math.log(0.3)
    assert cross_entropy(P, Q.double()).item() == pytest.approx(by_hand, rel=1e-7)  # 0.1 in float32


def test_kl_is_cross_entropy_less_entropy() -> None:
    p, q = _random_joint(5, 2, 3).flatten(-2), _random_joint(5, 3, 2).flatten(-2)
    torch.testing.assert_close(kl(p, q), cross_entropy(p, q) - entropy(p), rtol=0, atol=1e-13)
    assert kl(p, p).tolist() == [0.0] * 5


def test_kl_of_near_tables_is_not_below_zero() -> None:
    """p ln(p/q) summed as it stands is -1.1e-17 or so here; the divergence is sum (p - q)^2 / 2q."""
    p = torch.full((1000,), 1e-3, dtype=torch.float64)
    shift = 1e-10 * (-1.0) ** torch.arange(1000)
    assert kl(p, p + shift).item() == pytest.approx((shift.square() / 2e-3).sum().item(), rel=1e-3)


def test_what_q_excludes_costs_infinitely_much() -> None:
    assert kl(Q, P).item() == math.inf
    assert cross_entropy(Q, P).item() == math.inf
    assert kl(P, torch.tensor([0.5, 0.25, 0.25, 0.0])).item() == 0.0


def test_information_by_three_routes() -> None:
    """I = H(X) + H(Y) - H(X, Y) = H(Y) - H(Y|X) = KL(joint || product)."""
    joint = _random_joint(4, 3, 5)
    x, y = joint.sum(-1), joint.sum(-2)
    both = entropy(x) + entropy(y) - entropy(joint.flatten(-2))
    torch.testing.assert_close(mutual_information(joint), both, rtol=0, atol=1e-13)
    torch.testing.assert_close(mutual_information(joint), entropy(y) - conditional_entropy(joint), rtol=0, atol=1e-13)
    independent = x[:, :, None] * y[:, None, :]
    assert mutual_information(independent).abs().max().item() < 1e-14
    torch.testing.assert_close(mutual_information(torch.diag(P)), entropy(P))  # X = Y: all of it


def test_the_information_is_the_least_of_all_rates() -> None:
    """sum_x P(x) KL(P(y|x) || Q) = I + KL(P(y) || Q) for every Q (THEORY T6)."""
    joint = _random_joint(3, 4)
    x, given = joint.sum(-1), joint / joint.sum(-1, keepdim=True)
    q = _random_joint(2, 2).flatten()
    rate = (x * kl(given, q.expand(3, 4))).sum()
    assert rate.item() == pytest.approx((mutual_information(joint) + kl(joint.sum(0), q)).item(), rel=1e-12)


def _expected(p: torch.Tensor, draws: int, correction: str) -> float:
    """The mean of the estimate over every sample of `draws` draws, samples of the same counts taken together."""
    mean = 0.0
    for counts in itertools.product(range(draws + 1), repeat=len(p)):
        if sum(counts) == draws:
            ways = math.factorial(draws) / math.prod(map(math.factorial, counts))
            chance = ways * math.prod(q**n for q, n in zip(p.tolist(), counts, strict=True))
            mean += chance * entropy_of_counts(torch.tensor(counts), correction=correction).value  # type: ignore[arg-type]
    return mean


def test_bias_by_enumeration() -> None:
    """Over all 3^8 samples of 8 draws: plug-in low by about (K - 1) / 2N; both corrections take most of it away."""
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    truth = entropy(p).item()
    plain, corrected, jackknife = (_expected(p, 8, name) for name in ("none", "miller_madow", "jackknife"))
    assert plain < truth
    assert truth - plain == pytest.approx(2 / 16, abs=0.03)
    assert abs(corrected - truth) < 0.25 * (truth - plain)
    assert abs(jackknife - truth) < 0.25 * (truth - plain)


def test_the_jackknife_is_leaving_each_draw_out() -> None:
    """Each of the 9 draws taken away in turn, the entropy of the rest computed anew."""
    counts = torch.tensor([4, 3, 1, 0, 1])
    left = [counts - torch.eye(5, dtype=torch.int64)[k] for k in range(5) for _ in range(int(counts[k]))]
    without = torch.stack([entropy(each / each.sum().double()) for each in left])
    plain = entropy_of_counts(counts, correction="none").value
    found = entropy_of_counts(counts, correction="jackknife")
    assert found.value == pytest.approx(9 * plain - 8 * without.mean().item(), rel=1e-12)
    error = math.sqrt(8 / 9 * (without - without.mean()).square().sum().item())
    assert found.se == pytest.approx(error, rel=1e-12)
    assert found.count == 9


def test_information_of_counts_leaves_each_pair_out() -> None:
    counts = torch.tensor([[3, 1, 0], [0, 2, 4]])
    pairs = [(x, y) for x in range(2) for y in range(3) for _ in range(int(counts[x, y]))]

    def plain(table: torch.Tensor) -> float:
        return mutual_information(table / table.sum().double()).item()

    def less(x: int, y: int) -> torch.Tensor:
        fewer = counts.clone()
        fewer[x, y] -= 1
        return fewer

    without = torch.tensor([plain(less(x, y)) for x, y in pairs], dtype=torch.float64)
    found = mutual_information_of_counts(counts, correction="jackknife")
    assert found.value == pytest.approx(10 * plain(counts) - 9 * without.mean().item(), rel=1e-12)
    assert found.se == pytest.approx(math.sqrt(9 / 10 * (without - without.mean()).square().sum().item()), rel=1e-12)


def test_bias_of_an_information() -> None:
    """Every pair seen: (X - 1)(Y - 1) / 2N too high; Miller-Madow takes that off."""
    counts = torch.tensor([[30, 10, 20], [10, 20, 10]])
    plain, corrected = (mutual_information_of_counts(counts, correction=c) for c in ("none", "miller_madow"))
    assert plain.value - corrected.value == pytest.approx(2 / 200, rel=1e-12)
    assert plain.value == pytest.approx(mutual_information(counts / 100.0).item(), rel=1e-6)


def test_the_error_covers() -> None:
    """500 samples of 400 draws: the estimates spread as their errors say, and lie at the truth within their error."""
    p = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    draws = torch.multinomial(p.expand(500, 4), 400, replacement=True, generator=generator)
    found = [entropy_of_counts(torch.bincount(row, minlength=4)) for row in draws]
    values = torch.tensor([each.value for each in found], dtype=torch.float64)
    errors = torch.tensor([each.se for each in found], dtype=torch.float64)
    assert values.std().item() == pytest.approx(errors.mean().item(), rel=4 / math.sqrt(2 * 500))
    assert values.mean().item() == pytest.approx(entropy(p).item(), abs=4 * values.std().item() / math.sqrt(500))


def test_perplexity_of_few_draws_is_corrected_upwards() -> None:
    """512 codes alike, 2,048 draws: the plug-in perplexity is near 449; Miller-Madow comes nearer to 512."""
    generator = torch.Generator().manual_seed(5)
    counts = torch.bincount(torch.randint(512, (2048,), generator=generator), minlength=512)
    plain = perplexity_of_counts(counts, correction="none").value
    assert plain == pytest.approx(449, rel=0.02)
    assert perplexity_of_counts(counts).value == pytest.approx(512, rel=0.02)
    assert plug_in_bias(counts) == -(int((counts > 0).sum()) - 1) / 4096


@pytest.mark.parametrize(
    ("function", "table", "match"),
    [
        (entropy, [0.5, 0.6], "must sum to 1 along its last axis, got a row that sums to 1.1"),
        (entropy, [1.5, -0.5], "finite and >= 0, got one of -0.5"),
        (mutual_information, [[0.5, 0.5], [0.5, 0.5]], "the joint table must sum to 1"),
        (entropy_of_counts, [0.0, 0.0], "at least one count above 0"),
        (entropy_of_counts, [3.0, -1.0], "counts must be finite and >= 0, got one of -1"),
    ],
)
def test_errors(function: object, table: list[float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        function(torch.tensor(table))  # type: ignore[operator]


def test_one_draw_has_no_error_and_no_jackknife() -> None:
    assert math.isnan(entropy_of_counts(torch.tensor([1, 0])).se)
    with pytest.raises(ValueError, match="needs at least 2"):
        entropy_of_counts(torch.tensor([1, 0]), correction="jackknife")
