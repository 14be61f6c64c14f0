"""T4 and T10: where a gradient passes a latent variable, and where it cannot."""

import torch
from torch import Tensor

from textlatent.encoder.codebook import Codebook
from textlatent.gradient.codes import CodeRule
from textlatent.gradient.pathwise import reparameterise
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.theory.example import every_sentence, farthest, gauss_hermite, sentence_vae
from textlatent.theory.row import Check, Row


def reparameterisation() -> Row:
    """T4."""
    model, (tokens, lengths) = sentence_vae(), every_sentence()
    token, length = tokens[7:8], lengths[7:8]
    unit, log_weight = gauss_hermite(160)

    def log_dec(z: Tensor) -> Tensor:
        return model.log_prob_token(token.expand(len(z), -1), length.expand(len(z)), z).sum(1)

    mean, log_variance = torch.tensor([0.4]).double(), torch.tensor([-1.0]).double()
    mean.requires_grad_(), log_variance.requires_grad_()
    enc = DiagonalGaussian(mean, log_variance)
    z = reparameterise(enc, unit[:, None, None])[:, 0]  # [n, 1]
    values = log_dec(z)
    expected = log_weight.exp() @ values
    pathwise = torch.autograd.grad(expected, (mean, log_variance), retain_graph=True)
    at_z = torch.autograd.grad(values.sum(), z)[0]
    with torch.no_grad():
        h = 1e-5
        slope = (log_dec(z + h) - log_dec(z - h)) / (2 * h)
        score = log_weight.exp() @ (values * unit) / enc.std  # E f(z) d ln q / d mu
        score_variance = log_weight.exp() @ (values * (unit.square() - 1.0)) / 2.0  # d ln sigma^2
    some = slice(40, 120)  # the nodes that carry weight
    worst = farthest(at_z[some, 0], slope[some])
    return Row(
        "T4",
        "A discrete sentence is no obstacle",
        "Noise is added outside of the parameters: $z = \\mu(y) + \\sigma(y) \\epsilon$. The words of $s$ are "
        "discrete, yet $\\ln P_{dec}(s|z)$ is smooth in $z$, so $z$ has a gradient and hands it to the encoder. A GAN "
        "over words has no such path (T13).",
        r"z = \mu(y) + \sigma(y) \epsilon, \quad \epsilon \sim N(0, I), \quad"
        r" \frac{\partial z}{\partial \mu} = 1, \quad \frac{\partial z}{\partial \sigma} = \epsilon",
        (
            Check(
                r"z.grad of $\ln P_{dec}(s|z)$ by autograd (the worst of 80 $z$)",
                worst[0],
                "central differences",
                worst[1],
                tolerance=1e-7,
            ),
            Check(
                r"$d/d\mu \; E \ln P_{dec}$ along the path",
                float(pathwise[0]),
                r"$E [ \ln P_{dec} \; \epsilon / \sigma ]$: the score's, no path needed",
                float(score),
                tolerance=1e-8,
            ),
            Check(
                r"$d/d \ln \sigma^2$ along the path",
                float(pathwise[1]),
                r"$E [ \ln P_{dec} \; (\epsilon^2 - 1) / 2 ]$",
                float(score_variance),
                tolerance=1e-8,
            ),
        ),
    )


def no_gradient_through_codes() -> Row:
    """T10."""
    random = torch.Generator().manual_seed(0)
    book = Codebook(8, 3, rule=CodeRule("published"), revive=None).double()
    weight = torch.randn(3, 3, generator=random, dtype=torch.float64, requires_grad=True)
    inputs, target = (torch.randn(256, 3, generator=random, dtype=torch.float64) for _ in range(2))
    with torch.no_grad():
        book.vectors.copy_(torch.randn(8, 3, generator=random, dtype=torch.float64))

    def loss(matrix: Tensor, *, through: bool) -> Tensor:
        quantised = book(inputs @ matrix)
        vectors = quantised.vectors if through else book.look_up(quantised.codes)
        return (vectors.tanh() - target).square().sum()

    without = torch.autograd.grad(loss(weight, through=False), weight, allow_unused=True)[0]
    through = torch.autograd.grad(loss(weight, through=True), weight)[0]
    with torch.no_grad():
        moved = [
            abs(float(loss(weight + step * torch.ones_like(weight), through=False) - loss(weight, through=False)))
            for step in (1e-9, -1e-9)
        ]
        passed = book(inputs @ weight)
        chosen = book.look_up(passed.codes)
        exact = inputs.T @ (2.0 * (chosen.tanh() - target) * (1.0 - chosen.tanh().square()))
    pair = farthest(through, exact)
    return Row(
        "T10",
        "A discrete z has no gradient of its own",
        "A small change of the encoder does not change which code is nearest, so the loss does not change either: the "
        "derivative is 0 wherever it exists. That is so whatever $s$ is; a discrete $s$ is never the problem. A "
        "straight-through rule supplies a gradient by pretending that the code is the encoder's vector.",
        r"k = argmin_k \| C_k - L \|, \quad \frac{\partial k}{\partial L} = 0 \quad almost \; everywhere",
        (
            Check(
                "norm of the encoder's gradient without a rule",
                0.0 if without is None else float(without.norm()),
                "0: codes are constant between borders",
                0.0,
                tolerance=0.0,
                unit="",
            ),
            Check(
                "change of the loss when every weight moves by 1e-9",
                max(moved),
                "0, not merely small",
                0.0,
                tolerance=0.0,
                unit="",
            ),
            Check(
                "straight through: the encoder's gradient (the worst of 9)",
                pair[0],
                r"$x^T g$, $g$ the distortion's own at $C_k$",
                pair[1],
                tolerance=1e-11,
                unit="",
            ),
            Check("its norm", float(through.norm()), "above 1", 1.0, relation=">=", unit=""),
        ),
    )
