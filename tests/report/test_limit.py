"""The figure of R(D): its lines are the numbers of the limit."""

import math

import torch

from textlatent.diagnostics.limit import code_limit
from textlatent.report.limit import limit_figure


def test_the_lines_are_the_numbers() -> None:
    log_p = -3.0 * torch.rand(8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    limit = code_limit(log_p, log_p.argmax(1), torch.full((8,), math.log(5.0)))
    axes = limit_figure(limit, name="mine").axes[0]
    curve, model, *_ = axes.lines
    assert list(curve.get_xdata()) == [point.rate for point in limit.points]
    assert list(curve.get_ydata()) == [point.distortion for point in limit.points]
    assert (list(model.get_xdata()), list(model.get_ydata())) == ([limit.rate], [limit.distortion])
    assert axes.get_title(loc="left") == "mine: 5 codes, 8 sentences"
