"""The ledger's cells that only codes have, and what importance samples are where there is one code for a sentence."""

from typing import Any

from textlatent.diagnostics.cell import Cell, blank, cell
from textlatent.diagnostics.codes import Alphabet, code_usage
from textlatent.diagnostics.likelihood import importance_ladder
from textlatent.nats.draws import drawn_collision, drawn_entropy, whole
from textlatent.nats.montecarlo import mean_with_error
from textlatent.scores import Scores

ONE_CODE = "= -ELBO at every K: a sentence has one code, so more draws say the same"
UNKNOWN_GAP = (
    "-ELBO - NLL of a deterministic encoder is -ln P(k|y), which only the sum over all K^P codes would tell; it is "
    "taken where there are few enough of them."
)
NO_ALPHABET = "it needs the size of the codebook."


def code_cells(scores: Scores, *, alphabet: Alphabet | None) -> dict[str, Cell]:
    """uniform_rate_nats, codes_used, code_perplexity and marginal_nll_nats of Scores with codes.

    Args:
        scores: of a deterministic encoder over codes; with log_marginal where it could be summed over every code.
        alphabet: what codes there are.
    """
    nll = blank("there are too many codes, K^P for every sentence, to sum over.")
    if scores.log_marginal is not None:
        nll = cell(mean_with_error(-scores.log_marginal))
    return {**_usage_cells(scores, alphabet), "marginal_nll_nats": nll}


def _usage_cells(scores: Scores, alphabet: Alphabet | None) -> dict[str, Cell]:
    codes = scores.need("codes")[0]
    names = ("uniform_rate_nats", "codes_used", "code_perplexity")
    if alphabet is None:
        return {name: blank(NO_ALPHABET) for name in names}
    uniform = {"value": alphabet.uniform_nats(codes.shape[1]), "se": 0.0}
    uniform |= {"positions": codes.shape[1], "codes": alphabet.codes}
    if len(codes) < 2:
        return {"uniform_rate_nats": uniform} | {name: blank("it needs at least 2 sentences.") for name in names[1:]}
    usage = code_usage(codes, alphabet)
    unseen = [alphabet.name(symbol) for symbol in usage.unseen]
    return {
        "uniform_rate_nats": uniform,
        "codes_used": cell(usage.used, of=alphabet.size, alive=cell(usage.alive), unseen=unseen),
        "code_perplexity": cell(usage.perplexity, of=alphabet.size),
    }


def one_code_cell(scores: Scores) -> Cell:
    """IW-NLL of a deterministic encoder, whose one weight is P_pri(k) P_dec(y|k) at every draw: its bound at any K."""
    weights = scores.log_weights()
    rung = importance_ladder(weights[:1], ladder=(1,))[0]
    alike = float(len(weights))  # weights that are equal are all effective
    draws = {"samples": len(weights), "ess": alike, "ess_worst_decile": alike}
    found = cell(rung.estimate, **draws)
    return found | {"ladder": [found], "converged": True, "drop": None, "message": ONE_CODE}


def collision_cell(scores: Scores) -> dict[str, Any]:
    """-ln of the chance that two sentences have the same codes, nats, with a bound that holds at 95 %: both <= H(k).

    Beside them plug_in, the entropy of the counts, which is the information's value where the bound is not above it.
    """
    together = whole(scores.need("codes")[0])
    found = drawn_collision(together.squeeze(1))
    known = {"value": None, "se": None} if found.estimate is None else cell(found.estimate.plain)
    return known | {"lower": found.bound, "plug_in": drawn_entropy(together).value}
