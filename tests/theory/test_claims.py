"""Every claim holds, and none would if the function that it rests on had a wrong sign."""

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from textlatent.report.theory import theory_page
from textlatent.theory.claims import CLAIMS, claim, find_claims, show
from textlatent.theory.row import Row

NAMES = [f"T{n}" for n in range(1, 7)] + ["T6b", "T6c", "T6d"] + [f"T{n}" for n in range(7, 18)]


def test_there_are_twenty_claims_in_the_theorys_order() -> None:
    assert list(CLAIMS) == NAMES
    assert len(NAMES) == 20


@pytest.mark.parametrize("name", NAMES)
def test_the_claim_holds(name: str) -> None:
    row = claim(name)()
    assert row.name == name
    assert row.passed, [check for check in row.checks if not check.passed]
    assert len(row.checks) >= 3
    assert row.claim.endswith(".")
    page = theory_page({"claims": [row.to_dict()], "seconds": 1.0, "versions": {"textlatent": "0"}})
    assert page.count("<math") >= 2  # all of its TeX can be set


def negated(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: -function(*args, **kwargs)


def with_negated(field: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """One field of the record that the function returns, its sign turned."""

    def mutate(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            found = function(*args, **kwargs)
            return replace(found, **{field: -getattr(found, field)})

        return wrong

    return mutate


def other_mean(function: Callable[..., Any]) -> Callable[..., Any]:
    """-mu + sigma eps; mu - sigma eps would be no fault, for the noise is symmetric."""
    return lambda posterior, noise: function(posterior, noise) - 2.0 * posterior.mean


def other_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same value, its gradient's sign turned."""

    def wrong(*args: Any, **kwargs: Any) -> Any:
        value = function(*args, **kwargs)
        return 2.0 * value.detach() - value

    return wrong


def other_sums(function: Callable[..., Any]) -> Callable[..., Any]:
    """The number of vectors of each code, and minus their sum."""

    def wrong(*args: Any, **kwargs: Any) -> Any:
        number, total = function(*args, **kwargs)
        return number, -total

    return wrong


def other_verdict(function: Callable[..., Any]) -> Callable[..., Any]:
    """A classifier judged by minus its ln p."""
    return lambda log_p, *args, **kwargs: function(-log_p, *args, **kwargs)


Mutation = Callable[[Callable[..., Any]], Callable[..., Any]]
WRONG: dict[str, tuple[str, Mutation]] = {
    "T1": ("scores:Scores.rate", negated),
    "T2": ("nats.discrete:kl", negated),
    "T3": ("nats.montecarlo:log_importance_weights", negated),
    "T4": ("gradient.pathwise:reparameterise", other_mean),
    "T5": ("nats.gaussian:kl_per_dimension", negated),
    "T6": ("nats.discrete:mutual_information", negated),
    "T6b": ("nats.discrete:cross_entropy", negated),
    "T6c": ("decoder.vector:VectorDecoder.dist", negated),
    "T6d": ("models.vector:VectorAutoencoder.decode", negated),
    "T7": ("gradient.codes:code_penalty", negated),
    "T8": ("encoder.kmeans:totals", other_sums),
    "T9": ("gradient.codes:straight_through", other_gradient),
    "T10": ("gradient.codes:straight_through", other_gradient),
    "T11": ("prior.categorical:UniformPrior.log_prob", negated),
    "T12": ("encoder.posterior:class_posterior", with_negated("rate")),
    "T13": ("gradient.boundary:boundary", negated),
    "T14": ("contrasts.ring_pseudolikelihood:negative_log_pseudolikelihood", negated),
    "T15": ("nats.capacity:channel_capacity", with_negated("value")),
    "T16": ("scores:Scores.rate", negated),
    "T17": ("diagnostics.probe:judge", other_verdict),
}


def put_in(monkeypatch: pytest.MonkeyPatch, target: str, mutate: Mutation) -> None:
    """Replace a function of the package in every module that holds it, or a method in its class."""
    file, name = target.split(":")
    module = import_module(f"textlatent.{file}")
    if "." in name:
        owner, method = name.split(".")
        monkeypatch.setattr(getattr(module, owner), method, mutate(getattr(getattr(module, owner), method)))
        return
    original = getattr(module, name)
    wrong = mutate(original)
    for each in list(sys.modules.values()):
        if getattr(each, "__name__", "").startswith("textlatent") and vars(each).get(name) is original:
            monkeypatch.setattr(each, name, wrong)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_sign_turns_the_row_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = claim(name)
    put_in(monkeypatch, *WRONG[name])
    row: Row = compute()
    assert not row.passed
    assert any(not check.passed for check in row.checks)


def undetached(function: Callable[..., Any]) -> Callable[..., Any]:
    """Every rule's value carries the code's gradient, as if g reached the codes of `published` too."""
    return lambda latents, chosen, **_: function(latents, chosen, gradient_rule="both")


def detached(function: Callable[..., Any]) -> Callable[..., Any]:
    """The penalty of `both` with its two halves kept apart, as `published` has it."""
    return lambda *args, gradient_rule, **more: function(
        *args, gradient_rule="published" if gradient_rule == "both" else gradient_rule, **more
    )


def everywhere(function: Callable[..., Any]) -> Callable[..., Any]:
    """A pull for `end_to_end` too."""
    return lambda *args, gradient_rule, **more: function(
        *args, gradient_rule="both" if gradient_rule == "end_to_end" else gradient_rule, **more
    )


def held(function: Callable[..., Any]) -> Callable[..., Any]:
    """An encoder that is never free."""
    return lambda *args, **more: function(*args, **more | {"free": False})


def freed(function: Callable[..., Any]) -> Callable[..., Any]:
    """An encoder that is never held."""
    return lambda *args, **more: function(*args, **more | {"free": True})


def unmoved(function: Callable[..., Any]) -> Callable[..., Any]:
    """Descent that takes no step."""
    return lambda *args, **more: function(*args, **more | {"rate": 0.0, "steps": 1})


@pytest.mark.parametrize(
    ("target", "mutate", "red"),
    [
        ("gradient.codes:straight_through", undetached, {"published", "encoder held, published"}),
        ("gradient.codes:code_penalty", detached, {"both", "encoder held, both"}),
        ("gradient.codes:code_penalty", everywhere, {"end_to_end", "every L free, end_to_end"}),
        ("gradient.stationary:come_to_rest", held, {"every L free, published", "every L free, both"}),
        ("gradient.stationary:come_to_rest", freed, {"encoder held, both", "encoder held, end_to_end"}),
        ("gradient.stationary:come_to_rest", unmoved, {"encoder held, published", "every L free, both"}),
    ],
)
def test_both_halves_of_where_codes_rest_can_turn_red(
    target: str, mutate: Mutation, red: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoder held, and every vector free: each comparison of T7 rests on what it says it rests on."""
    compute = claim("T7")
    put_in(monkeypatch, target, mutate)
    failed = {check.what.split(":")[0] for check in compute().checks if not check.passed}
    assert failed >= red


def test_a_mutation_reaches_those_who_imported_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    from textlatent.nats import discrete
    from textlatent.theory import autoencoder

    put_in(monkeypatch, "nats.discrete:kl", negated)
    assert autoencoder.kl is discrete.kl


def test_claims_are_found_by_their_names() -> None:
    assert find_claims() == NAMES
    assert find_claims(["T15", "t6B", "T2"]) == ["T2", "T6b", "T15"]
    with pytest.raises(ValueError, match="no claim is called T18; they are T1, T2"):
        find_claims(["T1", "T18"])


def test_show_gives_rows_and_their_seconds() -> None:
    (row, seconds), *rest = show(["T3"])
    assert (row.name, rest) == ("T3", [])
    assert seconds >= 0.0
