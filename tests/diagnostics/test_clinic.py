"""The clinic: every patient's verdict, over 5 seeds; that the clinic's own numbers are right; and that it can fail."""

import math
from dataclasses import replace

import pytest
import torch

from tests.oracles import clinic
from tests.oracles.clinic import BINS, FOUR, PATIENTS, Patient, at_rate, draw_sentences, visit
from textlatent.diagnostics import checks, verdict
from textlatent.diagnostics.verdict import VERDICTS, Diagnosis, diagnose
from textlatent.nats.montecarlo import mean_with_error

SEEDS = range(5)


def examine(name: str, seed: int, **thresholds: float) -> Diagnosis:
    scores = dict(visit(name, seed))
    return diagnose(scores.pop("own"), **scores, target_rate=PATIENTS[name].target_rate, **thresholds)


def mistake(patient: Patient, found: Diagnosis) -> str:
    """What is wrong with a diagnosis, or nothing."""
    if found.overall != patient.verdict:
        return f"{found.overall} in place of {patient.verdict}"
    listed = {check.illness for check in found.fired}
    wanted = {patient.verdict, *patient.also} - ({"healthy"} if patient.verdict == "healthy" else set())
    hanging = any(check.undecided for check in found.checks)
    if not wanted <= listed and not (patient.verdict == "underpowered" and hanging):
        return f"{wanted - listed} is not listed"
    if not any(patient.note in note for note in ["", *found.notes] if patient.note or not note):
        return f"no note says {patient.note!r}"
    return ""


@pytest.mark.parametrize("name", PATIENTS)
def test_every_verdict_is_right_over_five_seeds(name: str) -> None:
    wrong = [f"seed {seed}: {mistake(PATIENTS[name], examine(name, seed))}" for seed in SEEDS]
    assert wrong == [f"seed {seed}: " for seed in SEEDS]


def test_there_are_a_dozen_patients_and_every_verdict_among_them() -> None:
    assert len(PATIENTS) >= 12
    assert {patient.verdict for patient in PATIENTS.values()} == set(VERDICTS)


def test_the_dead_dimensions_are_named() -> None:
    check = next(c for c in examine("half the dimensions dead", 0).checks if c.name == "dead dimensions")
    assert (check.value, check.lower, check.upper) == (4.0, 4.0, 4.0)
    assert "4 of 8 dimensions are dead, z[4-7]" in check.message


def test_an_answer_is_given_at_a_threshold_once_the_sentences_are_many() -> None:
    """The true rate is the threshold: at 100 sentences that may hang, at 500 it is decided, one way or the other."""
    scores = at_rate(0.1).scores(0)
    few = {name: each.select(torch.arange(100)) for name, each in scores.items()}
    assert diagnose(few.pop("own"), **few).overall == "underpowered"
    assert diagnose(scores.pop("own"), **scores).overall != "underpowered"


# ------------------------------------------------------------------------------------------- the clinic's own numbers


def test_the_language_s_probabilities_sum_to_one() -> None:
    """Every sequence of function words and every length of it, summed; BINS^meanings content words are uniform."""
    drawn = draw_sentences(4000, 2, torch.Generator().manual_seed(0))
    own = FOUR._decoded(draw_sentences(4000, 8, torch.Generator().manual_seed(0)), torch.zeros(4000, 8))
    assert torch.allclose(own["log_p_dec"][0], own["log_p_dec_token"].sum(1))
    # E 1/P(y) over draws is the number of sentences: 3^n of n = 2 to 7 function words.
    count = mean_with_error((-drawn.end.sum(1)).exp())
    assert count.value == pytest.approx(sum(3**n for n in range(2, 8)), abs=4 * count.se)


def test_the_decoder_is_a_distribution_and_bayes_own() -> None:
    """Over the BINS words of a place it sums to 1; it is P(b) q(z|b), normalised by the sum over b."""
    model = Patient("healthy", (0.8,), (0.6,), meanings=1, shift=(0.3,))
    z, values = torch.full((BINS, 1), 0.7, dtype=torch.float64), clinic.bin_values()
    every = clinic.Sentences(torch.arange(BINS)[:, None], torch.zeros(BINS, 8, dtype=torch.float64), torch.ones(BINS))
    p = model._decoded(every, z)["log_p_dec_token"][:, 0].exp()
    joint = torch.exp(-((0.7 - 0.3 - 0.8 * values) ** 2) / (2 * 0.36))
    assert torch.allclose(p, joint / joint.sum(), atol=1e-12)
    assert values.mean().item() == pytest.approx(0.0, abs=1e-12)
    assert values.square().mean().item() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["healthy at 4 nats", "half the dimensions dead", "a prior fitted to the aggregate"])
def test_the_rate_is_the_one_it_was_made_with(name: str) -> None:
    rate = mean_with_error(visit(name, 0)["own"].rate())
    assert PATIENTS[name].rate() == pytest.approx(4.0)
    assert rate.value == pytest.approx(4.0, abs=4 * rate.se)
    drawn = visit(name, 0)["own"]
    sampled = mean_with_error((drawn.need("log_p_enc") - drawn.need("log_p_pri"))[0])
    assert sampled.value == pytest.approx(4.0, abs=4 * sampled.se)


def test_the_information_of_a_fitted_prior_is_the_rate() -> None:
    """The aggregate is the prior up to the bins, so rate = information (closed form, nats)."""
    found = diagnose(at_rate(2.0).scores(0)["own"]).information
    assert found is not None
    assert found.lower.value - 4 * found.lower.se < 2.0 < found.upper.value + 4 * found.upper.se


# ------------------------------------------------------------------------------------------------------ it can fail


@pytest.mark.parametrize(
    ("name", "thresholds"),
    [
        ("a rate of 0.01", {"negligible": 0.0}),
        ("a constant mean that has drifted a little", {"faint": 0.0}),
        ("a constant mean away from the prior", {"faint": 9.0}),
        ("a deaf decoder", {"negligible": -0.1, "deaf_share": -1.0}),
        ("a constant mean away from the prior", {"mismatch_share": 2.0}),
        ("an informative aggregate far from the prior", {"mismatch_share": 2.0}),
        ("the first words only", {"beyond_share": -1.0}),
        ("half the dimensions dead", {"dead_variance": -1.0}),
        ("half the dimensions dead, short of the rate asked for", {"target_tolerance": 0.9}),
        ("too few sentences", {"floor": 2}),
        ("a hundred sentences, one in fifty awake", {"enough": 100}),
        ("healthy at 4 nats", {"dead_variance": 2.0}),
        ("healthy at 4 nats", {"beyond_share": 1.0}),
        ("healthy at 2 nats", {"mismatch_share": -1.0, "negligible": -9.0}),
        ("a decoder that hears half", {"deaf_share": 5.0}),
    ],
)
def test_a_threshold_turned_off_is_caught(name: str, thresholds: dict[str, float]) -> None:
    assert mistake(PATIENTS[name], examine(name, 0)) == ""
    assert mistake(PATIENTS[name], examine(name, 0, **thresholds)) != ""


@pytest.mark.parametrize("name", PATIENTS)
def test_a_wrong_expectation_is_caught(name: str) -> None:
    found = examine(name, 0)
    for other in set(VERDICTS) - {PATIENTS[name].verdict}:
        assert mistake(replace(PATIENTS[name], verdict=other), found) != ""
    assert mistake(replace(PATIENTS[name], note="no such words"), found) != ""


def _caught(names: list[str]) -> set[str]:
    return {name for name in names if mistake(PATIENTS[name], examine(name, 0))}


def test_a_mutated_precedence_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "CHECKS", tuple(reversed(checks.CHECKS)))
    names = ["a constant encoder", "a constant mean away from the prior", "a deaf decoder and a prior far away"]
    assert _caught(names) == set(names)


def test_a_mismatch_that_rests_on_the_saturated_point_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = checks.mismatch_interval

    def point(*args: object) -> checks.Interval:
        value, se, _, _ = whole(*args)  # type: ignore[arg-type]
        return checks.Interval(value, se, value, value)

    monkeypatch.setattr(checks, "mismatch_interval", point)
    assert _caught(["healthy at 2 nats", "healthy at 20 nats"]) == {"healthy at 20 nats"}


def test_an_ear_test_that_asks_for_a_rate_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the question whether z says anything, a constant mean would be called ignored."""
    monkeypatch.setattr(checks.Interval, "side", _deaf_to_information(checks.Interval.side))
    assert "a constant mean away from the prior" in _caught(["a constant mean away from the prior"])


def _deaf_to_information(side):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    def mutated(self: checks.Interval, threshold: float, *, ill_below: bool, decide: bool) -> bool | None:
        if not ill_below and math.isclose(threshold, 0.1):  # "does z speak?"
            return True
        return side(self, threshold, ill_below=ill_below, decide=decide)

    return mutated
