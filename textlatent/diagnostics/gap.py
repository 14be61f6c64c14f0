"""What an encoder leaves of the likelihood, where that is known exactly: -ELBO - (-ln P(y)) = KL(enc || Bayes)."""

from textlatent.diagnostics.comparison import Comparison
from textlatent.diagnostics.contender import Contender
from textlatent.diagnostics.table import Cell, Table
from textlatent.nats.montecarlo import mean_with_error


def gap_table(comparison: Comparison) -> Table:
    """NLL, -ELBO and gap of the contenders whose -ln P(y) is a sum over every z; no rows where there are none.

    Exact EM is the VAE whose gap is 0 (THEORY T2, T12).
    """
    known = [each for each in comparison.contenders if each.exact]
    rows = tuple(_row(each) for each in known)
    caption = (
        "Nats per sentence: -ln P(y) summed over every z, -ELBO, and their difference, KL(enc || Bayes), "
        "± standard error over sentences."
    )
    return Table(("run", "NLL", "-ELBO", "gap"), rows, caption)


def _row(each: Contender) -> tuple[Cell, ...]:
    nll, neg_elbo = each.per_sentence("nll"), each.per_sentence("neg_elbo")
    gap = mean_with_error(neg_elbo - nll)
    cells = [Cell(f"{found.value:.4f} ± {found.se:.4f}") for found in map(mean_with_error, (nll, neg_elbo))]
    return Cell(each.name), *cells, Cell(f"{gap.value:z.2g} ± {gap.se:.1g}")
