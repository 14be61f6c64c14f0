"""interpolate: the sentences between two sentences, through z or through codes, or along one dimension of z."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.run.posterior import with_posterior

KINDS = ("linear", "slerp")


@dataclass(frozen=True)
class Interpolation:
    """A path through z and what it says.

    Attributes:
        at: where on the path, 0 to 1 between two sentences (of codes, the share that is changed); or the value of the
            walked dimension, in the prior's standard deviations.
        sentences: decoded there.
    """

    at: list[float]
    sentences: list[str]


def path_between(
    first: Float[Tensor, " D"], second: Float[Tensor, " D"], *, steps: int, kind: str = "linear"
) -> Float[Tensor, "n D"]:
    """`steps` points from first to second, both included.

    "linear": (1 - t) a + t b. "slerp": along the great circle, the norm going linearly from |a| to |b|, so that a point
    halfway is as far from the origin as its ends, where a Gaussian prior has its mass.

    Source: Shoemake 1985 (slerp); White 2016, arXiv:1609.04468 (in latent spaces).
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}.")
    _check_steps(steps)
    t = torch.linspace(0.0, 1.0, steps, dtype=first.dtype)[:, None]
    if kind == "linear":
        return torch.lerp(first, second, t)
    norms = torch.linalg.vector_norm(first), torch.linalg.vector_norm(second)
    cosine = (first @ second / (norms[0] * norms[1])).clamp(-1.0, 1.0)
    angle = torch.acos(cosine)
    if not math.isfinite(angle) or angle < 1e-4 or math.pi - angle < 1e-4:  # one direction: no great circle to follow
        return torch.lerp(first, second, t)
    direction = (torch.sin((1 - t) * angle) * first / norms[0] + torch.sin(t * angle) * second / norms[1]) / angle.sin()
    return direction * torch.lerp(norms[0], norms[1], t)


def codes_between(
    first: Int[Tensor, " P"], second: Int[Tensor, " P"], *, steps: int
) -> tuple[Int[Tensor, "n P"], list[float]]:
    """Codes from first to second, both included, and the share of the differing positions that is changed in each.

    Between two codes of a position there is nothing, so the positions at which the two differ change from first's code
    to second's one after another, in their order. There are at most as many steps between as there are such positions:
    n = min(steps, differing + 1), and 2 where none differs.
    """
    _check_steps(steps)
    differing = (first != second).nonzero().squeeze(1)
    count = max(1, min(steps - 1, len(differing)))
    path = first.repeat(count + 1, 1)
    for step in range(1, count + 1):
        changed = differing[: round(step * len(differing) / count)]
        path[step, changed] = second[changed]
    return path, torch.linspace(0.0, 1.0, count + 1).tolist()


def _check_steps(steps: int) -> None:
    if steps < 2:
        raise ValueError(f"steps must be >= 2 (both ends are included), got {steps}.")


@by_kind
def interpolate(
    run: Run | str | Path,
    first: str,
    second: str | None = None,
    *,
    steps: int = 7,
    kind: str = "linear",
    dimension: int | None = None,
    checkpoint: str = "final",
    **generation: Any,
) -> Interpolation:
    """Sentences decoded along a path through z; of codes, one position after another is changed (`codes_between`).

    Args:
        run: a Run or its folder.
        first: the sentence at one end, or the one whose z is walked.
        second: the sentence at the other end.
        steps: how many, ends included; fewer where codes differ at fewer positions.
        kind: "linear" or "slerp" between posterior means.
        dimension: walk this dimension of first's posterior mean from -3 to 3 prior standard deviations instead.
        checkpoint: "final", "best" or "step-N".
        generation: transformers' generation settings; greedy if none.

    Raises:
        ValueError: neither or both of second and dimension, a dimension there is not, fewer than two steps, or a great
            circle or dimension asked of codes, or a model without z.
    """
    run = run if isinstance(run, Run) else Run(run)
    model = run.model_at(checkpoint)
    if not model.config.latent_size:
        raise ValueError(f"{run.folder} is a language model: it has no z, and no way through it.")
    if (second is None) == (dimension is None):
        raise ValueError("give either a second sentence, or the dimension of z to walk along.")
    if dimension is None:
        assert second is not None
        if model.quantiser is not None:
            if kind != "linear":
                raise ValueError(
                    f"between codes there is no {kind}: their positions change one by one; leave kind out."
                )
            codes = model.encode([first, second]).codes
            path, shares = codes_between(codes[0], codes[1], steps=steps)
            return Interpolation(shares, model.decode(path, **generation))
        ends = model.encode([first, second]).mean
        z = path_between(ends[0], ends[1], steps=steps, kind=kind)
        at = torch.linspace(0.0, 1.0, steps).tolist()
    else:
        size = model.config.latent_size
        _check_steps(steps)
        if not 0 <= dimension < size:
            raise ValueError(f"dimension must be in 0..{size - 1}, got {dimension}.")
        with torch.no_grad():
            prior = with_posterior(
                model, what="a walk along one dimension, in prior standard deviations,"
            ).prior_distribution()
            walk = torch.linspace(-3.0, 3.0, steps)
            z = model.encode([first]).mean.repeat(steps, 1)
            z[:, dimension] = prior.mean[dimension] + prior.std[dimension] * walk
        at = walk.tolist()
    return Interpolation(at, model.decode(z, **generation))
