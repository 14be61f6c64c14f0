"""The ledger of a linear-Gaussian model whose every nat is known, of a model by hand, and of records with blanks."""

import json
import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.ledger_rows import ledger_rows
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.scores import Scores

CELLS = [
    "rate_nats", "distortion_nats", "cross_entropy_prior_nats", "posterior_entropy_nats", "neg_elbo_nats",
    "iw_nll_nats", "information_nats", "mismatch_nats", "gap_nats",
    "active_units", "perplexity_per_token", "perplexity_per_word", "bits_per_character", "exact_entropy_nats",
    "excess_nats",
]  # fmt: skip
ENCODERS_OWN = ("information_nats", "active_units", "exact_entropy_nats")
"""What needs neither a rate nor a distortion."""
ENTROPIES = ("cross_entropy_prior_nats", "posterior_entropy_nats")
"""Rows of a ledger whose encoder was held, and of no other."""


@dataclass(frozen=True)
class LinearGaussian:
    """The model z ~ N(0, 1), y = gain z + N(0, 1) in each dimension, and an encoder `wide` times wider than Bayes'.

    Closed forms per sentence, nats (the oracle): a product over dimensions of one-dimensional Gaussian channels.
    """

    gain: tuple[float, ...] = (2.0, 0.7, 0.0)
    wide: float = 1.2

    def scores(self, count: int, draws: int, *, seed: int = 0) -> tuple[Scores, Tensor]:
        """Scores of `count` random y and their exact -ln P(y)."""
        generator = torch.Generator().manual_seed(seed)
        gain = torch.tensor(self.gain, dtype=torch.float64)
        total, zero = gain.square() + 1.0, torch.zeros(count, len(gain), dtype=torch.float64)
        y = total.sqrt() * torch.randn(count, len(gain), generator=generator, dtype=torch.float64)
        enc = DiagonalGaussian(gain * y / total, (self.wide**2 / total).log().expand(count, -1))
        pri = DiagonalGaussian(zero[0], zero[0])
        z = enc.sample(torch.randn(draws, count, len(gain), generator=generator, dtype=torch.float64))
        words = torch.randint(1, 30, (count,), generator=generator)
        scores = Scores(
            log_p_enc=enc.log_prob(z), log_p_pri=pri.log_prob(z),
            log_p_dec=DiagonalGaussian(gain * z, zero).log_prob(y),
            kl=kl_per_dimension(enc, pri), z=z[:1], posterior_mean=enc.mean, posterior_log_variance=enc.log_variance,
            prior_mean=pri.mean, prior_log_variance=pri.log_variance,
            tokens=words + 3, words=words, characters=5 * words, index=torch.arange(count),
        )  # fmt: skip
        return scores, -DiagonalGaussian(zero, total.log().expand(count, -1)).log_prob(y)

    def truth(self) -> dict[str, float]:
        """Expectations over y of what the ledger estimates."""
        total = [g**2 + 1 for g in self.gain]
        aggregate = [(g**2 + self.wide**2) / t for g, t in zip(self.gain, total, strict=True)]
        gap = [0.5 * (self.wide**2 - 1) - math.log(self.wide) for _ in total]
        entropy = [0.5 * math.log(2 * math.pi * math.e * t) for t in total]
        information = [0.5 * math.log(1 + (g / self.wide) ** 2) for g in self.gain]
        mismatch = [0.5 * (a - 1 - math.log(a)) for a in aggregate]
        rate = sum(information) + sum(mismatch)
        return {
            "rate_nats": rate,
            "distortion_nats": sum(entropy) + sum(gap) - rate,
            "neg_elbo_nats": sum(entropy) + sum(gap),
            "information_nats": sum(information),
            "mismatch_nats": sum(mismatch),
            "gap_nats": sum(gap),
            "exact_entropy_nats": sum(entropy),
            "excess_nats": 0.0,
        }


@pytest.fixture(scope="module")
def linear() -> dict:
    scores, exact = LinearGaussian().scores(1500, 200)
    entropy = LinearGaussian().truth()["exact_entropy_nats"]
    return build_ledger(scores, ladder=(1, 10, 100), exact_nll=exact, exact_entropy=entropy, context={"split": "test"})


@pytest.mark.parametrize("key", LinearGaussian().truth())
def test_every_nat_is_the_closed_form(linear: dict, key: str) -> None:
    cell, truth = linear[key], LinearGaussian().truth()[key]
    assert abs(cell["value"] - truth) <= 4 * cell["se"]
    if key not in ("exact_entropy_nats", "information_nats"):  # a bound's own bias is the next test's
        assert 0 < cell["se"] < 0.1


def test_the_information_lies_between_its_bounds(linear: dict) -> None:
    cell, truth = linear["information_nats"], LinearGaussian().truth()["information_nats"]
    assert cell["lower"] - 4 * cell["lower_se"] < truth < cell["upper"] + 4 * cell["upper_se"]
    assert cell["value"] == cell["lower"] <= cell["cap"] == math.log(1500)
    assert cell["upper"] - cell["lower"] < 0.1


def test_the_ledger_adds_up(linear: dict) -> None:
    value = {key: linear[key]["value"] for key in CELLS}
    assert value["rate_nats"] + value["distortion_nats"] == pytest.approx(value["neg_elbo_nats"], abs=1e-12)
    assert value["information_nats"] + value["mismatch_nats"] == pytest.approx(value["rate_nats"], abs=1e-12)
    assert value["iw_nll_nats"] + value["gap_nats"] == pytest.approx(value["neg_elbo_nats"], abs=1e-12)
    entropy = linear["exact_entropy_nats"]["these_sentences"]["value"]
    assert value["iw_nll_nats"] - entropy == pytest.approx(value["excess_nats"], abs=1e-12)
    assert sum(cell["value"] for cell in linear["rate_nats"]["per_dimension"]) == pytest.approx(value["rate_nats"])
    mismatch, information = linear["mismatch_nats"], linear["information_nats"]
    assert mismatch["lower"] == pytest.approx(value["rate_nats"] - information["upper"], abs=1e-12)
    assert mismatch["upper"] == pytest.approx(value["rate_nats"] - information["lower"], abs=1e-12)


def test_the_importance_ladder_is_in_it(linear: dict) -> None:
    cell = linear["iw_nll_nats"]
    assert [step["samples"] for step in cell["ladder"]] == [1, 10, 100, 200]
    assert cell["samples"] == 200
    assert cell["value"] == cell["ladder"][-1]["value"]
    assert cell["converged"] is True
    assert 1 < cell["ess_worst_decile"] < cell["ess"] < 200
    values = [step["value"] for step in cell["ladder"]]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_on_the_same_draws_iw_nll_never_exceeds_the_sampled_neg_elbo(seed: int) -> None:
    scores, _ = LinearGaussian(wide=1.01).scores(20, 64, seed=seed)
    sampled = build_ledger(replace(scores, kl=None))
    assert sampled["iw_nll_nats"]["samples"] == 64
    assert sampled["gap_nats"]["value"] > 0
    assert sampled["rate_nats"]["value"] != build_ledger(scores)["rate_nats"]["value"]
    assert sampled["rate_nats"]["per_dimension"] is None


def test_the_errors_are_the_spread_over_repeated_corpora() -> None:
    """Paired errors too: the gap, the excess and the mismatch are far more certain than what they are made of."""
    repeats = 300
    model = LinearGaussian()
    entropy = model.truth()["exact_entropy_nats"]
    ledgers = []
    for seed in range(repeats):
        scores, exact = model.scores(80, 12, seed=seed)
        ledgers.append(build_ledger(scores, ladder=(1, 4), exact_nll=exact, exact_entropy=entropy))
    for key in CELLS:
        if key in ("active_units", "exact_entropy_nats"):
            continue
        spread = torch.tensor([b[key]["value"] for b in ledgers], dtype=torch.float64).std().item()
        error = torch.tensor([b[key]["se"] for b in ledgers], dtype=torch.float64).square().mean().sqrt().item()
        # 4 errors of a standard deviation from R values (more for products of Gaussians), and 1 / N for the ratios.
        assert error == pytest.approx(spread, rel=5 / math.sqrt(2 * repeats) + 1 / 80), key
    assert ledgers[0]["excess_nats"]["se"] < 0.3 * ledgers[0]["iw_nll_nats"]["se"]


def test_two_sentences_by_hand() -> None:
    """One draw each; rates 1 and 3, distortions 5 and 9 nats; 2 and 4 tokens, 1 and 2 words, 6 and 8 characters."""
    scores = Scores(
        log_p_enc=torch.tensor([[-1.0, -2.0]]), log_p_pri=torch.tensor([[-2.0, -5.0]]),
        log_p_dec=torch.tensor([[-5.0, -9.0]]), tokens=torch.tensor([2, 4]), words=torch.tensor([1, 2]),
        characters=torch.tensor([6, 8]),
    )  # fmt: skip
    ledger = build_ledger(scores, exact_nll=torch.tensor([5.5, 11.0]), exact_entropy=8.0)
    value = {key: ledger[key]["value"] for key in CELLS}
    assert (value["rate_nats"], value["distortion_nats"], value["neg_elbo_nats"]) == (2.0, 7.0, 9.0)
    assert (value["iw_nll_nats"], value["gap_nats"], value["excess_nats"]) == (9.0, 0.0, 0.75)
    assert ledger["rate_nats"]["se"] == 1.0
    assert ledger["excess_nats"]["se"] == 0.25
    assert ledger["excess_nats"]["fraction"] == 0.75 / 8.0
    these = ledger["exact_entropy_nats"].pop("these_sentences")
    assert ledger["exact_entropy_nats"] == {"value": 8.0, "se": 0.0}
    assert these == pytest.approx({"value": 8.25, "se": 2.75})
    assert value["perplexity_per_token"] == pytest.approx(math.exp(18 / 6))
    assert value["perplexity_per_word"] == pytest.approx(math.exp(18 / 5))
    assert value["bits_per_character"] == pytest.approx(18 / 16 / math.log(2))
    assert ledger["perplexity_per_word"]["of"] == "iw_nll_nats"
    assert ledger["perplexity_per_word"]["samples"] == 1
    assert ledger["perplexity_per_word"]["neg_elbo"]["value"] == pytest.approx(math.exp(18 / 5))
    assert [ledger[k] for k in ("sentences", "tokens", "words", "characters")] == [2, 6, 3, 14]
    assert ledger["iw_nll_nats"]["converged"] is None


def test_active_units_are_counted_in_the_priors_own_scale() -> None:
    scores, _ = LinearGaussian(gain=(3.0, 1.0, 0.0)).scores(500, 1)
    wide = replace(scores, prior_log_variance=torch.tensor([1.0, 9.0, 0.0], dtype=torch.float64))
    assert build_ledger(scores)["active_units"]["value"] == 2
    cell = build_ledger(wide)["active_units"]
    assert (cell["value"], cell["of"], cell["threshold"]) == (1, 3, 0.01)
    assert scores.posterior_mean is not None
    assert wide.prior_log_variance is not None
    expected = scores.posterior_mean.var(0) / wide.prior_log_variance.exp()
    assert cell["spectrum"] == pytest.approx(expected.sort(descending=True).values.tolist())


def test_float32_scores_are_summed_in_float64() -> None:
    scores, _ = LinearGaussian().scores(400, 20)
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in scores.to_dict().items()}
    narrow, wide = build_ledger(Scores.from_dict(tensors)), build_ledger(
        Scores.from_dict({name: t.double() if t.is_floating_point() else t for name, t in tensors.items()})
    )  # fmt: skip
    assert narrow == wide


def test_a_record_with_a_graph_is_read_without_it() -> None:
    scores, _ = LinearGaussian().scores(10, 3)
    assert scores.log_p_dec is not None
    graph = replace(scores, log_p_dec=scores.log_p_dec.requires_grad_())
    assert build_ledger(graph) == build_ledger(scores)


@pytest.mark.parametrize(
    ("missing", "blank"),
    [
        (("kl", "log_p_enc"), {*CELLS} - {*ENCODERS_OWN, "distortion_nats"}),
        (("log_p_dec",), {*CELLS} - {*ENCODERS_OWN, *ENTROPIES, "rate_nats", "mismatch_nats"}),
        (("z",), {"information_nats", "mismatch_nats"}),
        (("posterior_mean",), {"information_nats", "mismatch_nats", "active_units"}),
        (("prior_log_variance",), {"active_units"}),
        (("words",), {"perplexity_per_word"}),
        (("characters", "tokens"), {"bits_per_character", "perplexity_per_token"}),
    ],
)  # fmt: skip
def test_what_the_record_cannot_say_is_blank_with_a_reason(missing: tuple[str, ...], blank: set[str]) -> None:
    scores, exact = LinearGaussian().scores(10, 3)
    ledger = build_ledger(replace(scores, **dict.fromkeys(missing)), exact_nll=exact, exact_entropy=4.0)
    assert {key for key in CELLS if ledger[key]["value"] is None} == blank
    for key in blank:
        assert ledger[key].keys() == {"value", "why"}
        assert ledger[key]["why"].endswith((".", ")."))


def test_an_unknown_language_has_no_excess() -> None:
    scores, exact = LinearGaussian().scores(10, 3)
    ledger = build_ledger(scores)
    assert ledger["exact_entropy_nats"]["value"] is None
    assert ledger["excess_nats"]["value"] is None
    assert "fraction" not in build_ledger(scores, exact_nll=exact)["excess_nats"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_sentences_make_a_ledger_that_json_holds(count: int) -> None:
    scores, exact = LinearGaussian().scores(count, 5)
    ledger = build_ledger(scores, exact_nll=exact, exact_entropy=4.0)
    assert json.loads(json.dumps(ledger, allow_nan=False)) == ledger
    assert (ledger["rate_nats"]["se"] is None) == (count == 1)
    assert (ledger["information_nats"]["value"] is None) == (count < 3)
    assert (ledger["active_units"]["value"] is None) == (count < 2)
    assert len(ledger_rows(ledger)) == len(CELLS) - len(ENTROPIES) + (1 if count < 3 else 3)


def test_the_keys_are_the_interface(linear: dict) -> None:
    assert list(linear) == [*CELLS, "sentences", "tokens", "words", "characters", "split"]
    assert json.loads(json.dumps(linear, allow_nan=False)) == linear
    assert all({"value", "se"} <= linear[key].keys() for key in CELLS)


def test_the_rows_follow_the_equation(linear: dict) -> None:
    rows = ledger_rows(linear)
    assert [row.name for row in rows] == [
        "rate", "information", "prior mismatch", "  total correlation", "  sum over dimensions", "distortion",
        "-ELBO", "IW-NLL, K = 1", "IW-NLL, K = 10", "IW-NLL, K = 100", "IW-NLL, K = 200", "gap", "exact entropy",
        "excess", "perplexity per token", "perplexity per word", "bits per character", "active units",
    ]  # fmt: skip
    by_name = {row.name: row for row in rows}
    assert by_name["IW-NLL, K = 10"].value == linear["iw_nll_nats"]["ladder"][1]["value"]
    assert by_name["IW-NLL, K = 200"].remark.endswith(linear["iw_nll_nats"]["message"])
    low, high = linear["information_nats"]["interval"]
    assert by_name["information"].remark == f"95 % {low:.2f} to {high:.2f}; cap ln 1500 = {math.log(1500):.2f}"
    assert by_name["  sum over dimensions"].value == linear["mismatch_nats"]["dimensions"]["value"]
    assert by_name["active units"].remark.startswith("of 3, variance above 0.01; by dimension 0.8")
    assert {row.unit for row in rows[:14]} == {"nats"}
    assert all(row.se is not None for row in rows)


def test_a_blank_row_says_why() -> None:
    scores, _ = LinearGaussian().scores(10, 3)
    rows = {row.name: row for row in ledger_rows(build_ledger(replace(scores, kl=None, log_p_enc=None)))}
    assert rows["rate"].value is None
    assert "no density" in rows["rate"].remark


def test_a_number_that_is_not_finite_is_an_error() -> None:
    scores, _ = LinearGaussian().scores(10, 3)
    for name in ("kl", "log_p_dec", "posterior_mean"):
        broken = getattr(scores, name).clone()
        broken[1, 2] = math.nan
        with pytest.raises(ValueError, match="finite"):
            build_ledger(replace(scores, **{name: broken}))


def test_faults_of_the_caller_are_named() -> None:
    scores, exact = LinearGaussian().scores(10, 3)
    with pytest.raises(ValueError, match="at least one sentence"):
        build_ledger(Scores())
    with pytest.raises(ValueError, match="exact_nll must hold 10 finite numbers"):
        build_ledger(scores, exact_nll=exact[:9])
    with pytest.raises(ValueError, match="exact_nll must hold 10 finite numbers"):
        build_ledger(scores, exact_nll=exact + math.inf)
    with pytest.raises(ValueError, match="got rate_nats, tokens; rename"):
        build_ledger(scores, context={"tokens": 3, "rate_nats": 1, "seed": 0})
