"""The clinic of codes: every patient's verdict over 5 seeds; that its numbers are right; and that it can fail."""

import math
from dataclasses import replace

import pytest

from tests.oracles.clinic import BINS
from tests.oracles.code_clinic import CODE_PATIENTS, LEAK, CodePatient, code_visit
from textlatent.diagnostics import code_checks, verdict
from textlatent.diagnostics.codes import code_bounds
from textlatent.diagnostics.use import nats_lost
from textlatent.diagnostics.verdict import VERDICTS, Diagnosis, diagnose

SEEDS = range(5)


def examine(name: str, seed: int, **thresholds: float) -> Diagnosis:
    scores = dict(code_visit(name, seed))
    return diagnose(scores.pop("own"), **scores, alphabet=CODE_PATIENTS[name].alphabet, **thresholds)


def mistake(patient: CodePatient, found: Diagnosis) -> str:
    """What is wrong with a diagnosis, or nothing."""
    if found.overall != patient.verdict:
        return f"{found.overall} in place of {patient.verdict}"
    listed = {check.illness for check in found.fired}
    wanted = {patient.verdict, *patient.also} - ({"healthy"} if patient.verdict == "healthy" else set())
    if not wanted <= listed:
        return f"{wanted - listed} is not listed"
    if not any(patient.says in check.message for check in found.fired) and patient.says:
        return f"nothing that fired says {patient.says!r}"
    return ""


@pytest.mark.parametrize("name", CODE_PATIENTS)
def test_every_verdict_is_right_over_five_seeds(name: str) -> None:
    wrong = [f"seed {seed}: {mistake(CODE_PATIENTS[name], examine(name, seed))}" for seed in SEEDS]
    assert wrong == [f"seed {seed}: " for seed in SEEDS]


@pytest.mark.parametrize("name", CODE_PATIENTS)
def test_the_entropy_of_the_codes_lies_between_its_bounds(name: str) -> None:
    found = code_bounds(code_visit(name, 0)["own"])
    low, high = found.interval
    truth = CODE_PATIENTS[name].entropy()
    assert min(low, found.cap) - 1e-9 <= truth <= high + 1e-9 + 3 * (found.upper.se or 0.0)


def test_what_a_listening_decoder_loses_is_known() -> None:
    """Another sentence's code names the word's part with chance 1/16; else the word costs ln of the odds more."""
    patient = CODE_PATIENTS["healthy under a uniform prior"]
    scores = code_visit("healthy under a uniform prior", 0)
    size = BINS // 16
    odds = math.log((1 - LEAK) / size) - math.log(LEAK / (BINS - size))
    found = nats_lost(scores["own"], scores["other"])
    assert abs(found.value - 8 * 15 / 16 * odds) < 4 * found.se
    assert patient.entropy() == pytest.approx(8 * math.log(16))


@pytest.mark.parametrize(
    ("name", "thresholds"),
    [
        ("one code for every sentence", {"negligible": -1.0}),
        ("a deaf decoder", {"deaf_share": -1.0, "negligible": -1.0}),
        ("an eighth of the codebook", {"dead_codes": 0.9}),
        ("half of the positions silent", {"silent_entropy": -1.0}),
        ("a uniform prior over far too many codes", {"mismatch_share": 0.9}),
        ("the first words only", {"beyond_share": -1.0}),
        ("healthy, few nats", {"silent_entropy": 1.0}),
        ("healthy under a uniform prior", {"dead_codes": -0.1}),
        ("too few sentences", {"floor": 2}),
    ],
)
def test_a_threshold_turned_off_is_caught(name: str, thresholds: dict[str, float]) -> None:
    assert mistake(CODE_PATIENTS[name], examine(name, 0)) == ""
    assert mistake(CODE_PATIENTS[name], examine(name, 0, **thresholds)) != ""


@pytest.mark.parametrize("name", CODE_PATIENTS)
def test_a_wrong_expectation_is_caught(name: str) -> None:
    found = examine(name, 0)
    for other in set(VERDICTS) - {CODE_PATIENTS[name].verdict}:
        assert mistake(replace(CODE_PATIENTS[name], verdict=other), found) != ""
    assert mistake(replace(CODE_PATIENTS[name], says="no such words"), found) != ""


def test_a_mutated_precedence_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "CODE_CHECKS", tuple(reversed(code_checks.CODE_CHECKS)))
    names = ["one code for every sentence", "a uniform prior over far too many codes"]
    assert [name for name in names if mistake(CODE_PATIENTS[name], examine(name, 0))] == names


def test_the_advice_is_for_codes() -> None:
    """What moves a Gaussian's rate is no advice for codes."""
    for name in CODE_PATIENTS:
        found = examine(name, 0)
        assert found.coded
        for words in (found.advice, *(check.advice for check in found.checks)):
            assert "objective." not in words
            assert "latent_size" not in words


def test_few_sentences_do_not_make_codes_dead() -> None:
    """60 sentences of 8 codes out of 64, all in use: some are not seen, and that is no illness."""
    patient = replace(CODE_PATIENTS["healthy with a code for every word"], sentences=60)
    scores = patient.scores(0)
    found = diagnose(scores.pop("own"), **scores, alphabet=patient.alphabet)
    dead = next(check for check in found.checks if check.name == "dead codes")
    assert dead.fired is False


def test_without_an_alphabet_the_check_says_what_it_needs() -> None:
    scores = dict(code_visit("healthy under a uniform prior", 0))
    found = diagnose(scores.pop("own"), **scores)
    assert found.overall == "healthy"
    assert "size of the codebook" in next(check.message for check in found.checks if check.name == "dead codes")
