"""What is known of each estimator: no bias, or none on costs of its shape; and the two routes to a bias agree."""

import pytest

from textlatent.contrasts.one_word import COSTS, one_word


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], tuple[float, float]]:
    return {(each.estimator, each.cost): (each.bias, each.variance) for each in one_word()}


def test_the_unbiased_have_no_bias(found: dict[tuple[str, str], tuple[float, float]]) -> None:
    for (estimator, _), (bias, _) in found.items():
        if estimator in ("CDF boundaries", "REINFORCE", "REINFORCE, optimal baseline", "leave-one-out of two"):
            assert bias < 1e-12, estimator
        if estimator.startswith("REBAR"):
            assert bias < 1e-6, estimator


def test_the_biased_have_it_where_their_source_says(found: dict[tuple[str, str], tuple[float, float]]) -> None:
    assert found["straight-through", "affine"][0] < 1e-12
    assert found["straight-through", "quadratic"][0] > 0.01
    assert found["ReinMax", "quadratic"][0] < 1e-12
    assert found["ReinMax", "cubic"][0] > 0.01
    for cost in COSTS:
        bias = [found[f"Gumbel-softmax, {t:g}", cost][0] for t in (0.1, 0.5, 1.0)]
        variance = [found[f"Gumbel-softmax, {t:g}", cost][1] for t in (0.1, 0.5, 1.0)]
        assert cost != "affine" or bias[0] < bias[1] < bias[2]  # a curved cost's bias may cross 0 on its way
        assert variance[0] > variance[1] > variance[2], "less bias is bought with variance"


def test_baselines_take_variance_away(found: dict[tuple[str, str], tuple[float, float]]) -> None:
    for cost in COSTS:
        plain, best = (found[name, cost][1] for name in ("REINFORCE", "REINFORCE, optimal baseline"))
        assert best < 0.05 * plain
        assert found["CDF boundaries", cost][1] == 0.0
