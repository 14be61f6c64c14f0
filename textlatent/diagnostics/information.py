"""The ledger's cells of the rate's two parts: information, and mismatch, which a factorised prior splits once more."""

from typing import Any

from torch import Tensor

from textlatent.diagnostics.cell import NO_LATENT, Cell, blank, cell
from textlatent.diagnostics.classes import class_bounds, is_classes
from textlatent.diagnostics.code_ledger import collision_cell
from textlatent.diagnostics.codes import code_bounds, is_quantised
from textlatent.nats.bounds import InformationBounds, information_bounds
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.mismatch import Bounded, mismatch_split, whole_mismatch
from textlatent.nats.montecarlo import Estimate
from textlatent.scores import Scores

SATURATION = 0.6
"""Share of the cap above which a rate leaves the information's point no room: only its interval is to be read."""


def bounds_of(scores: Scores, others: DiagonalGaussian | None) -> tuple[InformationBounds | None, str]:
    """The bounds on I(y; z), or None and why; `others` enlarge the mixture of densities (codes have none)."""
    if is_quantised(scores):
        few = len(scores) < 2
        return (None, f"it needs at least 2 sentences, got {len(scores)}.") if few else (code_bounds(scores), "")
    if is_classes(scores) and len(scores) > 2:
        return class_bounds(scores), ""
    mean, log_variance, z = scores.posterior_mean, scores.posterior_log_variance, scores.z
    if mean is None or log_variance is None or z is None:
        return None, "it needs z and the posteriors' means and variances."
    if not mean.shape[1]:
        return None, NO_LATENT
    if len(mean) < 3:
        return None, f"it needs at least 3 sentences, got {len(mean)}."
    return information_bounds(mean, log_variance, z[0], others=others), ""


def information_cell(
    rate: Tensor | None, bounds: InformationBounds | None, why: str, *, scores: Scores | None = None
) -> Cell:
    """The information between its bounds, its value the lower one.

    Args:
        rate: of each sentence, nats.
        bounds: None where there are none.
        why: there are none.
        scores: with codes, also how often two sentences agree in them, on which the lower bound may rest.
    """
    if bounds is None:
        return blank(why)
    lower, upper = bounds.lower, bounds.upper
    more = {"collision": collision_cell(scores)} if scores is not None and is_quantised(scores) else {}
    return cell(
        lower,
        lower=lower.value,
        lower_se=lower.se,
        upper=upper.value,
        upper_se=upper.se,
        interval=list(bounds.interval),
        cap=bounds.cap,
        components=bounds.count + bounds.others,
        drift=None if bounds.drift is None else cell(bounds.drift),
        saturated=None if rate is None else rate.mean().item() > SATURATION * bounds.cap,
        **more,
    )


def _bounded_cell(point: Estimate, bounded: Bounded, **more: Any) -> Cell:
    lower, upper = bounded.lower, bounded.upper
    ends = {"lower": lower.value, "lower_se": lower.se, "upper": upper.value, "upper_se": upper.se}
    return cell(point, **ends, interval=list(bounded.interval), **more)


def mismatch_cell(scores: Scores, rate: Tensor | None, bounds: InformationBounds | None, why: str) -> Cell:
    """The rate less the information, with the jackknife error of the difference: both rest on the same sentences."""
    if rate is None or bounds is None:
        return blank(why or "it needs a rate.")
    whole = whole_mismatch(rate, bounds)
    return _bounded_cell(whole.upper, whole, **_mismatch_parts(scores, bounds))


def _mismatch_parts(scores: Scores, bounds: InformationBounds) -> dict[str, Cell]:
    """What the aggregate's dimensions share, and how far each of them is from the prior's."""
    if scores.kl is None or scores.prior_mean is None:
        why = blank("it needs a factorised Gaussian prior, and the rate of each dimension in closed form.")
        return {"total_correlation": why, "dimensions": why}
    posterior = DiagonalGaussian(scores.need("posterior_mean"), scores.need("posterior_log_variance"))
    split = mismatch_split(scores.kl, posterior, scores.need("z")[0], information=bounds)
    each = [_bounded_cell(part.upper, part) for part in split.per_dimension]
    return {
        "total_correlation": _bounded_cell(split.point, split.total_correlation),
        "dimensions": _bounded_cell(
            split.dimensions.upper, split.dimensions, per_dimension=each, evaluated=split.evaluated
        ),
    }
