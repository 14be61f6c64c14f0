"""T11: what codes cost, under a uniform prior and under one that knows them."""

import itertools
import math

import torch
from torch import Tensor

from textlatent.models.configuration import SentenceVQConfig
from textlatent.models.vq import SentenceVQ
from textlatent.nats.discrete import entropy
from textlatent.prior.autoregressive import AutoregressivePrior
from textlatent.theory.example import DECODER, ENCODER, every_sentence, farthest, louder, table
from textlatent.theory.row import Check, Row

_CODES, _POSITIONS = 4, 2


def rate_of_codes() -> Row:
    """T11."""
    model, (tokens, lengths) = _model(), every_sentence()
    with torch.no_grad():
        scores = model(tokens, lengths, torch.arange(len(tokens)))
        log_marginal = model.log_marginal(tokens, lengths)
        log_joint = _all_codes(model, tokens, lengths)
    own = (scores.need("codes")[0] * torch.tensor([_CODES, 1])).sum(1)
    log_posterior = log_joint.log_softmax(1).gather(1, own[:, None])[:, 0]
    bound = scores.neg_elbo()
    gap = farthest(bound + log_marginal, -log_posterior)
    uniform = farthest(scores.rate(), torch.tensor(_POSITIONS * math.log(_CODES), dtype=torch.float64))
    share = table(_CODES**_POSITIONS, seed=3, power=4.0)  # how often each pair of codes comes
    truth, started, fitted, mass = _fit(share)
    return Row(
        "T11",
        "What codes cost",
        "The number of codes sets the rate: under a uniform prior each position costs $\\ln K$. A prior fitted to "
        "codes afterwards costs no less than their entropy and no more than the uniform one, and makes generation "
        "possible: codes from the prior, words from the codes. The encoder is deterministic, so the bound's gap is "
        "$-\\ln P(k|y)$.",
        r"H(k) \leq E [ -\ln P_{pri}(k) ] \leq P \ln K, \quad"
        r" -\ln P_{pri}(k) - \ln P_{dec}(y|k) = -\ln P(y) - \ln P(k|y)",
        (
            Check("rate of a VQ model, 4 codes at 2 positions (the worst of 21)", uniform[0], r"$P \ln K$", uniform[1]),
            Check(
                "bound minus the exact $-\\ln P(y)$ (the worst of 21)",
                gap[0],
                r"$-\ln P(k|y)$, all 16 codes summed",
                gap[1],
                tolerance=1e-5,
            ),
            Check(
                "the smallest such gap",
                float((bound + log_marginal).min()),
                "at least 0",
                0.0,
                relation=">=",
                tolerance=1e-6,
            ),
            Check(
                "autoregressive prior, untrained: its rate",
                started,
                r"$P \ln K$",
                _POSITIONS * math.log(_CODES),
                tolerance=1e-6,
            ),
            Check(
                "the same fitted to correlated codes",
                fitted,
                r"no less than $H(k)$",
                truth,
                relation=">=",
                tolerance=1e-6,
            ),
            Check("what it costs above the entropy", fitted - truth, "fitted well: below 0.01", 0.01, relation="<="),
            Check("its mass over all 16 codes", mass, "1", 1.0, tolerance=1e-6, unit=""),
        ),
    )


def _model() -> SentenceVQ:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        config = SentenceVQConfig(
            encoder=dict(ENCODER), decoder=dict(DECODER), positions=_POSITIONS, codes=_CODES, size=3
        )
        return louder(SentenceVQ(config).double().eval())


def _every_code() -> Tensor:
    return torch.tensor(list(itertools.product(range(_CODES), repeat=_POSITIONS)))


def _all_codes(model: SentenceVQ, tokens: Tensor, lengths: Tensor) -> Tensor:
    """Ln P_pri(k) P_dec(y|k) of each sentence and code, one pass of the decoder for each code, [N, K^P]."""
    columns = []
    for code in _every_code():
        z = model.encoder.look_up(code[None]).expand(len(tokens), -1)
        columns.append(model.log_prob_token(tokens, lengths, z).sum(1) - _POSITIONS * math.log(_CODES))
    return torch.stack(columns, 1)


def _fit(share: Tensor) -> tuple[float, float, float, float]:
    """Entropy of the codes; the autoregressive prior's rate before and after it was fitted; its mass."""
    every = _every_code()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = AutoregressivePrior(_CODES, _POSITIONS, size=16, layers=1, heads=2, dropout=0.0)
    optimiser = torch.optim.Adam(prior.parameters(), lr=0.02)
    started = -(share @ prior.log_prob(every).sum(1)).item()
    for _ in range(250):
        optimiser.zero_grad()
        loss = -(share @ prior.log_prob(every).sum(1))
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        log_prob = prior.log_prob(every).sum(1)
    return float(entropy(share)), started, float(-(share @ log_prob)), float(log_prob.exp().sum())
