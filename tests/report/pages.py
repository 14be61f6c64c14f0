"""A page's content made without a model: Scores of a Gaussian toy, a ledger of them, and words to escape."""

from typing import Any

import torch

from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.projection import aggregate_density, principal_plane
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.report.course import course_pictures
from textlatent.report.dimensions import dimension_pictures
from textlatent.report.html import Content
from textlatent.report.latent import Density, Map, densities_picture, map_picture
from textlatent.report.position import gain_picture
from textlatent.scores import Scores

EVIL = "a <script>alert('x')</script> & \"quoted\" sentence ."


def toy_scores(count: int = 60, *, size: int = 3, scale: float = 1.0) -> Scores:
    """Posteriors N(scale * u_i, 0.25) under N(0, I), and a decoder that says something about z."""
    generator = torch.Generator().manual_seed(0)
    mean = scale * torch.randn(count, size, generator=generator, dtype=torch.float64)
    log_variance = torch.full((count, size), -1.4, dtype=torch.float64)
    posterior = DiagonalGaussian(mean, log_variance)
    prior = DiagonalGaussian(torch.zeros(size).double(), torch.zeros(size).double())
    z = posterior.sample(torch.randn(4, count, size, generator=generator, dtype=torch.float64))
    return Scores(
        log_p_enc=posterior.log_prob(z),
        log_p_pri=prior.log_prob(z),
        log_p_dec=-12.0 - 0.1 * torch.rand(4, count, generator=generator, dtype=torch.float64),
        kl=kl_per_dimension(posterior, prior),
        z=z[:1],
        posterior_mean=mean,
        posterior_log_variance=log_variance,
        prior_mean=prior.mean,
        prior_log_variance=prior.log_variance,
        tokens=torch.arange(count) % 7 + 3,
        words=torch.arange(count) % 7 + 2,
        characters=torch.arange(count) % 7 + 20,
        index=torch.arange(count),
        label=torch.arange(count) % 3,
    )


def toy_ledger(scores: Scores, *, exact: bool = True) -> dict[str, Any]:
    """The ledger of the Scores, of a language whose sentences cost 12 nats each."""
    context = {
        "split": "test",
        "corpus": {"path": "corpus.tsv", "sha256": "0" * 64},
        "model": {"run": "runs/toy", "checkpoint": "final", "type": "textlatent_gaussian_vae"},
        "seed": 3,
        "versions": {"textlatent": "0.0", "torch": "2.0"},
    }
    nll = torch.full((len(scores),), 12.0).double() if exact else None
    return build_ledger(scores, ladder=(1, 2), exact_nll=nll, exact_entropy=12.0 if exact else None, context=context)


def toy_metrics(*, information: bool = True) -> list[dict[str, Any]]:
    """Forty logged steps and four validations whose rate falls."""
    events: list[dict[str, Any]] = [
        {
            "event": "log",
            "step": 10 * i,
            "rate_nats": 4.0 / i,
            "distortion_nats": 12.0 + 8.0 / i,
            "neg_elbo_nats": 12.0 + 12.0 / i,
            "beta": 0.1 * i,
        }
        for i in range(1, 41)
    ]
    for i in range(1, 5):
        bounds = {"information_lower_nats": 2.5 / i, "information_upper_nats": 3.0 / i} if information else {}
        nats = {"rate_nats": 4.0 / i, "rate_nats_se": 0.1, "neg_elbo_nats": 13.0 + 2.0 / i, "neg_elbo_nats_se": 0.2}
        events.append({"event": "validate", "step": 100 * i, **nats, **bounds})
    return events


def toy_diagnosis(overall: str = "collapsed") -> dict[str, Any]:
    """A diagnosis with one check of each kind: fired, not, undecided."""
    common = {"unit": "nats", "threshold": 0.1, "source": "a paper", "message": "It is so; run `textlatent ls`."}
    checks = [
        {"name": "rate", "illness": overall, "value": 0.01, "se": 0.001, "lower": 0.0, "upper": 0.02, "fired": True},
        {"name": "use", "illness": "ignored", "value": 3.0, "se": 0.1, "lower": 2.8, "upper": 3.2, "fired": False},
        {"name": "gain", "illness": "memorising", "value": None, "se": None, "lower": None, "upper": None}
        | {"fired": None},
    ]
    healthy = overall == "healthy"
    return {
        "overall": overall,
        "advice": "" if healthy else "Ask for a rate: `objective.target_rate`.",
        "sentences": 60,
        "checks": [common | (check | {"fired": False} if healthy else check) for check in checks],
        "notes": [f"a note on {EVIL}"],
    }


def toy_map(scores: Scores, names: list[str]) -> Map:
    """The plane of the Scores' means, by label."""
    assert scores.posterior_mean is not None
    assert scores.label is not None
    return Map(principal_plane(scores.posterior_mean), scores.label, names, "label", (0.0, 0.0))


def toy_densities(scores: Scores) -> list[Density]:
    """The aggregate posterior of each dimension of the Scores against N(0, 1)."""
    at = torch.linspace(-4.0, 4.0, 81, dtype=torch.float64)
    normal = DiagonalGaussian(torch.zeros(1).double(), torch.zeros(1).double()).log_prob(at[:, None]).exp()
    mean, log_variance = scores.need("posterior_mean"), scores.need("posterior_log_variance")
    return [
        Density(d, at, aggregate_density(mean[:, d], log_variance[:, d], at=at), normal, 0.125, 1.5)
        for d in range(mean.shape[1])
    ]


def toy_content(**changes: Any) -> Content:
    """A content with every piece, its words hostile."""
    scores = toy_scores()
    ledger = toy_ledger(scores)
    gain = [(2.0, 0.1, 60), (1.0, 0.1, 60), (0.5, 0.1, 60), (0.1, 0.2, 30), (0.2, float("nan"), 1)]
    content: dict[str, Any] = {
        "name": f"toy {EVIL}",
        "folder": "runs/toy",
        "recipe": f"name: {EVIL}\n",
        "corpus": {"path": "corpus.tsv", "sha256": "0" * 64, "sentences": {"train": 1000, "test": 60}},
        "ledger": ledger,
        "diagnosis": toy_diagnosis(),
        "samples": {
            "samples": [EVIL, "a plain one ."],
            "reconstructions": [[EVIL, "a new sentence ."], ["the same .", "the same ."]],
            "interpolation": {"first": EVIL, "second": "an end .", "at": [0.0, 1.0], "sentences": [EVIL, "an end ."]},
        },
        "objective": "beta = 1, lam = 1 at the last step",
        "course": course_pictures(toy_metrics(), exact=12.0, target=2.0, collapse=200),
        "carries": [*dimension_pictures(ledger), gain_picture(gain)],
        "latent": [
            densities_picture(toy_densities(scores), total_correlation=(0.4, 0.6)),
            map_picture(toy_map(scores, ["first", EVIL, "third"])),
        ],
    }
    return Content(**(content | changes))


def empty_content() -> Content:
    """A run that has only begun."""
    missing = {key: f"There is no {key}; `textlatent evaluate runs/toy` makes it." for key in SECTIONS}
    return Content("toy", "runs/toy", "name: toy\n", {"path": "corpus.tsv", "sha256": "0" * 64}, missing=missing)


SECTIONS = ("ledger", "diagnosis", "dimensions", "use", "course", "latent", "samples")
