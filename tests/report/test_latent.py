"""Pictures of z: densities, groups, names, and the share that groups explain."""

from dataclasses import replace

import pytest
import torch

from tests.report.pages import toy_densities, toy_map, toy_scores
from textlatent.diagnostics.projection import principal_plane
from textlatent.report.dimensions import dimension_pictures
from textlatent.report.latent import MOST_CLASSES, MOST_POINTS, densities_picture, explained, map_picture
from textlatent.report.position import gain_picture


def test_the_share_that_groups_explain_by_hand() -> None:
    """Groups at 0 and 4 on a line, spread by +-1: between 4, within 1, so 4 / 5; a point of no group is left out."""
    points = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [3.0, 0.0], [5.0, 0.0], [99.0, 99.0]]).double()
    assert explained(points, torch.tensor([0, 0, 1, 1, -1])) == pytest.approx(0.8)
    assert explained(points, torch.tensor([-1] * 5)) == 0.0
    assert explained(torch.zeros(4, 2).double(), torch.tensor([0, 0, 1, 1])) == 0.0


def _apart(count: int = 30) -> torch.Tensor:
    """Three groups at the corners of a triangle."""
    corners = torch.tensor([[0.0, 3.0, 0.0], [-3.0, -3.0, 0.0], [3.0, -3.0, 0.0]]).double()
    return (
        corners.repeat(count // 3, 1) + 0.1 * torch.randn(count, 3, generator=torch.Generator().manual_seed(1)).double()
    )


def test_groups_that_keep_apart_are_named_where_they_are() -> None:
    found = toy_map(toy_scores(30), ["one", "two", "three"])
    svg = map_picture(replace(found, plane=principal_plane(_apart()))).svg
    assert svg.count("font-weight") == 3
    mixed = map_picture(found).svg
    assert "font-weight" not in mixed
    assert all(name in mixed for name in ("one", "two", "three"))


def test_a_large_map_is_thinned_and_says_so() -> None:
    scores = toy_scores(2 * MOST_POINTS + 1)
    caption = map_picture(toy_map(scores, ["a", "b", "c"])).caption
    assert f"Posterior means of 1,001 of {2 * MOST_POINTS + 1:,} sentences" in caption
    assert "by label" in caption
    assert "two standard deviations of the prior" in caption


def test_more_groups_than_colours_and_marks() -> None:
    scores = toy_scores(3 * (MOST_CLASSES + 2))
    found = toy_map(scores, [f"name {i}" for i in range(MOST_CLASSES + 2)])
    picture = map_picture(replace(found, group=torch.arange(len(scores)) % (MOST_CLASSES + 2), prior_centre=None))
    assert picture.svg.count(">name ") == MOST_CLASSES
    assert "Grey: without a label, or of a small class." in picture.caption
    assert "Dashed" not in picture.caption


def test_densities_with_and_without_a_prior() -> None:
    densities = toy_densities(toy_scores())
    picture = densities_picture(densities, total_correlation=(0.4, 0.6))
    assert "dimension 2: 1.50 nats" in picture.svg
    assert "0: 0.125, 1: 0.125, 2: 0.125 nats" in picture.caption
    assert "Total correlation between dimensions: 0.400 to 0.600 nats (95 %)." in picture.caption
    bare = densities_picture([replace(densities[0], prior=None, mismatch=None, rate=None)])
    assert "no product of Gaussians" in bare.caption
    assert ">dimension 0<" in bare.svg


def test_dead_dimensions_look_dead() -> None:
    """Bars of 1e-5 nats on an axis that reaches a tenth of a nat."""
    cells = [{"value": 1e-5, "se": 1e-6}] * 4
    active = {"value": 0.0, "of": 4, "spectrum": [1e-5] * 4}
    rates, variances = dimension_pictures({"rate_nats": {"per_dimension": cells}, "active_units": active})
    assert ">0.10<" in rates.svg
    assert rates.caption.startswith("0.00 nats per sentence over 4 dimensions. Bars")
    assert variances.caption.startswith("0 of 4 dimensions move")
    assert dimension_pictures({"rate_nats": {"value": None}, "active_units": {"value": None}}) == []


def test_the_gain_of_each_token_in_words() -> None:
    """Four sentences of three tokens, one of which has a fourth: its 2 nats are half a nat of a sentence."""
    caption = gain_picture([(1.0, 0.1, 4), (0.5, 0.1, 4), (-0.25, 0.1, 4), (2.0, float("nan"), 1)]).caption
    assert "most (2.00) at token 4" in caption
    assert "Of a sentence's nats 1.25 lie in its first three tokens, 0.50 in tokens 4 to 4." in caption
    short = gain_picture([(-1e-9, 0.1, 4)]).caption
    assert "-0.00" not in short
    assert "tokens 4 to" not in short
