"""What to try for which verdict: recipe keys, the paper, and the numbers to begin with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Remedy:
    """One thing to change in a recipe.

    Attributes:
        name: what it is called.
        settings: dotted recipe key -> the value to begin with; together they make a valid recipe of the default one.
        why: what it does, in a line.
        source: the paper, with the defaults' origin.
        codes: it changes a recipe of codes (model.type: vq).
    """

    name: str
    settings: Mapping[str, Any]
    why: str
    source: str
    codes: bool = False

    @property
    def overrides(self) -> list[str]:
        """The settings as `--set` takes them."""
        return [f"{key}={_spelled(value)}" for key, value in self.settings.items()]

    @property
    def of_learned_codes(self) -> bool:
        """Whether it says how many codes there are or how they learn, which a fixed grid of levels does not take."""
        return any(key.startswith("model.codebook.") and key != "model.codebook.positions" for key in self.settings)


VQ: Mapping[str, Any] = {"model.type": "vq"}
"""What makes a recipe one of codes; the remedies of codes are changes of such a recipe."""

REMEDIES: dict[str, Remedy] = {
    remedy.name: remedy
    for remedy in (
        Remedy(
            "target rate",
            {"objective.target_rate": 5.0},
            "beta moves until the rate is the one asked for",
            "Pelsmaeker & Aziz 2020, arXiv:1904.08194 (5 nats on PTB); Rezende & Viola 2018, arXiv:1810.00597",
        ),
        Remedy(
            "minimum rate",
            {"objective.minimum_rate": 5.0},
            "the rate is pressed only above this; a multiplier holds it there",
            "Pelsmaeker & Aziz 2020, arXiv:1904.08194 (5 nats on PTB)",
        ),
        Remedy(
            "rate distance",
            {"objective.capacity": 5.0},
            "a charge on |rate - C| in place of the rate",
            "Burgess et al. 2018, arXiv:1804.03599; Prokhorov et al. 2019, arXiv:1909.13668",
        ),
        Remedy(
            "free nats per dimension",
            {"objective.free_nats": 0.25, "objective.free_nats_on": "dimension"},
            "every dimension has so many nats that cost nothing",
            "Kingma et al. 2016, arXiv:1606.04934; Li et al. 2019, arXiv:1909.00868 (8 nats over 32 dimensions)",
        ),
        Remedy(
            "warm start",
            {
                "stages": [
                    {"name": "autoencoder", "objective": {"beta": 0.0}},
                    {"name": "train", "reset": ["decoder"]},
                ],
                "objective.free_nats": 0.25,
            },
            "an autoencoder first (beta 0); then its encoder with a decoder begun anew, and free nats",
            "Li et al. 2019, arXiv:1909.00868",
        ),
        Remedy(
            "aggressive encoder",
            {"stages": [{"aggressive": True}]},
            "the encoder learns until it stops gaining before each step of the decoder",
            "He et al. 2019, arXiv:1901.05534",
        ),
        Remedy(
            "cyclical beta",
            {
                "objective.schedule": "cyclical",
                "objective.schedule_steps": 2000,
                "objective.cycles": 4,
                "objective.ramp": 0.5,
            },
            "beta rises from 0 again and again; schedule_steps is all of training.steps",
            "Fu et al. 2019, arXiv:1903.10145 (4 cycles, half of each rising)",
        ),
        Remedy(
            "beta 0 first",
            {
                "objective.schedule": "cyclical",
                "objective.schedule_steps": 2000,
                "objective.cycles": 1,
                "objective.zero": 0.5,
                "objective.ramp": 0.25,
            },
            "half of the steps are free, so that z is used before it is charged",
            "Li et al. 2020, arXiv:2004.04092",
        ),
        Remedy(
            "batch-normalised means",
            {"model.encoder.batch_norm": 0.5},
            "the means keep a spread gamma over sentences, so each dimension costs at least gamma^2 / 2",
            "Zhu et al. 2020, arXiv:2004.12585",
        ),
        Remedy(
            "fixed posterior variance",
            {"model.encoder.fixed_variance": 0.5},
            "each dimension costs at least KL(N(0, v) || N(0, 1)), whatever the encoder does",
            "Razavi et al. 2019, arXiv:1901.03416 (a rate that cannot vanish)",
        ),
        Remedy(
            "word dropout",
            {"model.decoder.word_dropout": 0.3},
            "the decoder does not see every word it wrote and must ask z",
            "Bowman et al. 2016, arXiv:1511.06349",
        ),
        Remedy(
            "denoising",
            {"model.encoder.denoising": 0.3},
            "the encoder reads a corrupted sentence, so z holds what survives: what it is about",
            "Shen et al. 2020, arXiv:1905.12777 (words dropped with 0.3)",
        ),
        Remedy(
            "several samples per sentence",
            {"objective.importance_samples": 5},
            "the importance-weighted bound forgives a posterior that is not Bayes'",
            "Burda et al. 2016, arXiv:1509.00519 (K = 5 and 50)",
        ),
        Remedy(
            "learned prior",
            {"model.prior": "learned"},
            "the prior moves to where the posteriors are, and the mismatch with it",
            "Hoffman & Johnson 2016, ELBO surgery",
        ),
        Remedy(
            "mixture prior",
            {"model.prior": "mixture"},
            "a prior of several Gaussians follows an aggregate that is no Gaussian",
            "Tomczak & Welling 2018, arXiv:1705.07120 (their MoG)",
        ),
        Remedy(
            "Vamp prior",
            {"model.prior": "vamp"},
            "the prior is a mixture of the posteriors of learned inputs",
            "Tomczak & Welling 2018, arXiv:1705.07120",
        ),
        Remedy(
            "z at every position",
            {"model.decoder.inject": "both"},
            "z enters as a slot and is added to every token, so no depth hides it",
            "Li et al. 2020, arXiv:2004.04092",
        ),
        Remedy(
            "max pooling",
            {"model.encoder.pooling": "max"},
            "no word is nearer to z than another",
            "Bosc & Vincent 2020, arXiv:2004.07683",
        ),
        Remedy(
            "fewer dimensions",
            {"model.latent_size": 16},
            "dimensions that say nothing are not needed",
            "Burda et al. 2016, arXiv:1509.00519",
        ),
        Remedy(
            "more sentences",
            {"evaluation.sentences": 500},
            "the intervals narrow with the root of their number",
            "nats/bounds.py: the cap of what N sentences show is ln N",
        ),
        Remedy(
            "prior over codes",
            {
                "model.code_prior.type": "autoregressive",
                "stages": [{"name": "codes", "learn": ["encoder", "decoder"]}, {"name": "prior", "learn": ["prior"]}],
            },
            "a transformer learns which codes follow which, once they stand still; the rate falls to what they say",
            "van den Oord et al. 2017, arXiv:1711.00937, section 3; THEORY T11",
            codes=True,
        ),
        Remedy(
            "revived codes",
            {"model.codebook.revive": 0.2},
            "a code used less than this share of its fair use is put on a vector of the step",
            "Dhariwal et al. 2020, arXiv:2005.00341 (random restarts); encoder/codebook.py for the threshold",
            codes=True,
        ),
        Remedy(
            "codes that move faster",
            {"model.codebook.decay": 0.9},
            "codes follow the encoder's vectors within tens of steps, where 0.99 takes hundreds",
            "Lancucki et al. 2020, arXiv:2005.08520 (a codebook left behind by its encoder)",
            codes=True,
        ),
        Remedy(
            "fewer codes",
            {"model.codebook.codes": 64},
            "what is not used is not needed: the uniform rate is P ln K",
            "THEORY T11",
            codes=True,
        ),
        Remedy(
            "fewer positions",
            {"model.codebook.positions": 4},
            "positions that say nothing, or what others say, are not needed",
            "THEORY T11",
            codes=True,
        ),
        Remedy(
            "a codebook for each position",
            {"model.codebook.books": "position"},
            "no position competes with another for codes",
            "Jegou et al. 2011, product quantisation",
            codes=True,
        ),
        Remedy(
            "codes end to end",
            {"model.codebook.gradient_rule": "end_to_end", "model.codebook.decay": None},
            "the codes move by what the decoder needs, not to the means of the encoder's vectors",
            "THEORY T7",
            codes=True,
        ),
    )
}

TO_TRY: dict[str, tuple[str, ...]] = {
    "underpowered": ("more sentences",),
    "collapsed": (
        "target rate",
        "free nats per dimension",
        "warm start",
        "minimum rate",
        "cyclical beta",
        "beta 0 first",
        "aggressive encoder",
        "batch-normalised means",
        "fixed posterior variance",
        "rate distance",
        "several samples per sentence",
        "word dropout",
    ),
    "ignored": ("word dropout", "z at every position", "warm start"),
    "mismatched": ("learned prior", "mixture prior", "Vamp prior", "aggressive encoder", "warm start"),
    "memorising": ("denoising", "max pooling", "word dropout"),
    "partly collapsed": ("free nats per dimension", "batch-normalised means", "fewer dimensions", "target rate"),
}
"""Verdict -> remedies, the first to try first; a healthy model needs none."""

TO_TRY_WITH_CODES: dict[str, tuple[str, ...]] = {
    "underpowered": ("more sentences",),
    "collapsed": ("revived codes", "codes that move faster", "word dropout", "codes end to end", "fewer codes"),
    "ignored": ("word dropout", "z at every position", "codes end to end"),
    "mismatched": ("prior over codes", "fewer positions", "fewer codes"),
    "memorising": ("denoising", "word dropout"),
    "partly collapsed": (
        *("fewer codes", "revived codes", "codes that move faster", "a codebook for each position", "fewer positions"),
    ),
}
"""The same for a model whose z are codes: what moves a rate has no hold on P ln K."""


def remedies_for(verdict: str, *, coded: bool = False) -> tuple[Remedy, ...]:
    """What to try for a verdict, first things first; () for a healthy model.

    Args:
        verdict: one of TO_TRY, or healthy.
        coded: of a model whose z are codes.

    Raises:
        ValueError: no verdict has this name.
    """
    if verdict != "healthy" and verdict not in TO_TRY:
        raise ValueError(f"no verdict is called {verdict!r}; they are {', '.join(TO_TRY)} and healthy.")
    return tuple(REMEDIES[name] for name in (TO_TRY_WITH_CODES if coded else TO_TRY).get(verdict, ()))


def advice_for(verdict: str, *, coded: bool = False) -> str:
    """One sentence: the first remedy of a verdict, and where the others are; empty for a healthy model."""
    remedies = remedies_for(verdict, coded=coded)
    if not remedies:
        return ""
    others = "; `textlatent ls remedies` lists others" if len(remedies) > 1 else ""
    said = _named(remedies[0])
    if remedies[0].of_learned_codes:
        said += f", or of a fixed grid {_named(next(each for each in remedies if not each.of_learned_codes))}"
    return f"Try {said}{others}."


def remedy_rows() -> list[tuple[str, str, str, str, str]]:
    """The table of `textlatent ls remedies`: verdict, what to try, recipe keys, what it does, source."""
    return [
        (name if place == 0 else "", remedy.name, ", ".join(remedy.overrides), remedy.why, remedy.source)
        for coded in (False, True)
        for verdict in TO_TRY
        for name in (f"{verdict}, of codes" if coded else verdict,)
        for place, remedy in enumerate(remedies_for(verdict, coded=coded))
    ]


def _named(remedy: Remedy) -> str:
    return f"{remedy.name} ({', '.join(remedy.overrides)})"


def _spelled(value: Any) -> str:
    """A value as YAML and --set spell it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_spelled, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_spelled(inner)}' for key, inner in value.items())}}}"
    return f"{value}"
