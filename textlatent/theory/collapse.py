"""T16: why a rate falls to zero, and what stops it."""

import math

import torch
from torch import Tensor

from textlatent.diagnostics.verdict import diagnose
from textlatent.nats.channel import rate_split
from textlatent.nats.discrete import entropy
from textlatent.nats.gaussian import kl_per_dimension
from textlatent.nats.water_filling import reverse_water_filling
from textlatent.objective.objective import Objective
from textlatent.scores import Scores
from textlatent.theory.example import gauss_hermite, table, vector_model
from textlatent.theory.row import Check, Figure, Row
from textlatent.theory.vectors import exact_terms


def collapse() -> Row:
    """T16."""
    world, encoder, prior = table(6, seed=1), table(6, 3, seed=2, power=3.0), table(3, seed=3)
    h = float(entropy(world))
    same = rate_split(prior.expand(6, 3), world, prior).rate + h
    others = min(rate_split(table(6, 3, seed=s, power=2.0), world, prior).rate + h for s in range(100))
    weak, strong = _trained_rate(lam=2.0), _trained_rate(lam=0.4)
    truth = float(reverse_water_filling(torch.ones(1).double(), lam=2.0).rate)
    pull, spared = _pull(0.0), _pull(0.5)
    verdict = diagnose(_record(0.0), other=_record(0.0), prior_draw=_record(0.0)).overall
    assert encoder.shape == (6, 3)
    return Row(
        "T16",
        "Collapse",
        "A decoder that can model $y$ alone gains nothing from $z$, while every nat of rate is paid: the posterior "
        "goes to the prior and $z$ says nothing. It is a threshold, not a mishap: below it no code is worth its "
        "price. Free nats, a target rate, a weaker decoder, a better-trained encoder or discrete codes are ways "
        "around it.",
        r"P_{dec}(y|z) = Pop(y) \; \Rightarrow \; -ELBO = rate + H(y), \quad \min \; at \; rate = 0",
        (
            Check("a decoder that knows the population, posterior = prior: -ELBO", same, r"$H(y)$", h),
            Check(
                "the lowest of 100 encoders that say something",
                others,
                r"above $H(y)$",
                h,
                relation=">=",
                tolerance=0.0,
            ),
            Check(
                r"linear VAE trained at $\lambda s^2 = 0.4$: rate",
                strong,
                r"0, for $\lambda s^2 \leq 1/2$",
                0.0,
                tolerance=1e-6,
            ),
            Check(r"the same at $\lambda s^2 = 2$", weak, r"$\frac{1}{2} \ln (2 \lambda s^2)$", truth, tolerance=1e-6),
            Check("what the loss pulls a rate of 0.2 nats down by", pull, "1 nat for each nat", 1.0),
            Check("the same with 0.5 nats free", spared, "0: the pull is gone", 0.0, tolerance=0.0),
            Check(
                "`diagnose` on a record whose posteriors are the prior",
                float(verdict == "collapsed"),
                "says collapsed",
                1.0,
                tolerance=0.0,
                unit="",
            ),
        ),
        Figure("collapse", {}),
    )


def _trained_rate(*, lam: float) -> float:
    """Rate of a linear VAE of y ~ N(0, 1) after minimising its exact loss."""
    model = vector_model(size=1, latent_size=1, variance="shared", lam=lam)
    with torch.no_grad():
        model.encoder.point.network[0].weight.fill_(0.7)
        model.decoder.network[0].weight.fill_(0.7)
    unit, log_weight = gauss_hermite(3)
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=300, line_search_fn="strong_wolfe", tolerance_grad=1e-12, tolerance_change=1e-16
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        rate, distortion = exact_terms(model, unit[:, None], log_weight.exp(), unit, log_weight.exp())
        loss = rate + lam * distortion
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        each = kl_per_dimension(model.posterior(unit[:, None]), model.prior_distribution())
    return float(log_weight.exp() @ each.sum(1))


def _pull(free: float) -> float:
    """d loss / d rate of a sentence whose one dimension has a rate of 0.2 nats."""
    kl = torch.tensor([[0.2]], dtype=torch.float64, requires_grad=True)
    scores = Scores(kl=kl, log_p_dec=torch.zeros(1, 1, dtype=torch.float64))
    loss = Objective(free_nats=free)(scores, 0).loss
    return float(torch.autograd.grad(loss, kl)[0])


def _record(rate: float) -> Scores:
    """400 sentences of 5 tokens whose posteriors are the prior."""
    random = torch.Generator().manual_seed(0)
    z = torch.randn(1, 400, 2, generator=random, dtype=torch.float64)
    token = -math.log(3.0) + 0.1 * torch.randn(400, 5, generator=random, dtype=torch.float64)
    zeros = torch.zeros(400, 2, dtype=torch.float64)
    return Scores(
        log_p_dec=token.sum(1)[None],
        log_p_dec_token=token,
        kl=zeros + rate,
        z=z,
        posterior_mean=zeros,
        posterior_log_variance=zeros,
        prior_mean=zeros[0],
        prior_log_variance=zeros[0],
        tokens=torch.full((400,), 5),
        index=torch.arange(400),
    )
