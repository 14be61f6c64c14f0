"""The three rules of vector quantisation against the formulas of THEORY T7, term by term, in float64."""

import pytest
import torch
from torch import Tensor

from textlatent.gradient.codes import GRADIENT_RULES, CodeRule, code_penalty, rotated, straight_through

BETA, ETA = 0.7, 1.9
CODES = torch.tensor([0, 2, 2, 0, 2])  # code 1 is not hit


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Problem:
    """Inputs x, encoder L = x E, codes C, decoder Dist[p] = a . tanh(D Lhat[p] - t[p]), and its g by hand."""

    def __init__(self) -> None:
        self.x, self.a, self.t = drawn(5, 3, seed=0), drawn(4, seed=1), drawn(5, 4, seed=2)
        self.encoder = drawn(3, 2, seed=3).requires_grad_()
        self.codes = drawn(3, 2, seed=4).requires_grad_()
        self.decoder = drawn(4, 2, seed=5).requires_grad_()
        self.latents = self.x @ self.encoder
        self.latents.retain_grad()
        self.chosen = self.codes[CODES]

    def distortion(self, vectors: Tensor) -> Tensor:
        return torch.tanh(vectors @ self.decoder.T - self.t) @ self.a

    @property
    def slope(self) -> Tensor:
        """a (1 - tanh^2): the derivative by what goes into tanh, [p, 4]."""
        return self.a * (1.0 - torch.tanh(self.chosen @ self.decoder.T - self.t).square()).detach()

    @property
    def g(self) -> Tensor:
        """Lhat.grad of the distortion, [p, 2]."""
        return self.slope @ self.decoder.detach()

    def backward(self, rule: str, *, beta: float = BETA, eta: float = ETA) -> "Problem":
        value = straight_through(self.latents, self.chosen, gradient_rule=rule)
        penalty = code_penalty(self.latents, self.chosen, gradient_rule=rule, commitment=beta, codebook_lr_factor=eta)
        (self.distortion(value).sum() + penalty.sum()).backward()
        return self


def by_code(rows: Tensor) -> Tensor:
    """The sums over the p with k[p] = k."""
    return torch.stack([rows[CODES == k].sum(0) for k in range(3)])


def close(a: Tensor | None, b: Tensor) -> None:
    assert a is not None
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", GRADIENT_RULES)
def test_every_gradient_is_the_formula_s(rule: str) -> None:
    """T7's table for L and C[k]; the encoder's by the chain rule; the decoder's is that of the distortion at Lhat."""
    problem = Problem().backward(rule)
    latents, chosen, g = problem.latents.detach(), problem.chosen.detach(), problem.g
    of_latents = {
        "end_to_end": g,
        "published": g + BETA * (latents - chosen),
        "both": g + BETA * (latents - chosen),
    }[rule]
    of_codes = {
        "end_to_end": by_code(g),
        "published": by_code(ETA * (chosen - latents)),
        "both": by_code(g + BETA * (chosen - latents)),
    }[rule]
    close(problem.latents.grad, of_latents)
    close(problem.encoder.grad, problem.x.T @ of_latents)
    close(problem.codes.grad, of_codes)
    close(problem.decoder.grad, problem.slope.T @ chosen)
    assert problem.codes.grad is not None
    assert not problem.codes.grad[1].any()


@pytest.mark.parametrize("rule", GRADIENT_RULES)
def test_the_codes_gradient_is_that_of_finite_differences(rule: str) -> None:
    """Of the loss each rule has for the codes: what stop-gradients leave of it, the codes chosen being held."""
    problem = Problem().backward(rule)
    latents = problem.latents.detach()

    def loss(codes: Tensor) -> Tensor:
        square = (latents - codes[CODES]).square().sum()
        distortion = problem.distortion(codes[CODES]).sum()
        own = {"end_to_end": distortion, "published": 0.5 * ETA * square, "both": distortion + 0.5 * BETA * square}
        return own[rule]

    step = 1e-6
    for place in range(6):
        change = torch.zeros(6, dtype=torch.float64).index_fill_(0, torch.tensor([place]), step).view(3, 2)
        slope = (loss(problem.codes + change) - loss(problem.codes - change)) / (2 * step)
        assert problem.codes.grad is not None
        assert problem.codes.grad.flatten()[place].item() == pytest.approx(slope.item(), abs=1e-8)


@pytest.mark.parametrize("rule", GRADIENT_RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_straight_through_is_lhat_and_passes_g_bit_for_bit(rule: str, dtype: torch.dtype) -> None:
    """The value is Lhat, L's gradient is g and C's rows are g's, to the bit; far from the codes too."""
    latents = (1e3 * drawn(50, 3, seed=0)).to(dtype).requires_grad_()
    chosen, g = drawn(50, 3, seed=1).to(dtype).requires_grad_(), drawn(50, 3, seed=2).to(dtype)
    value = straight_through(latents, chosen, gradient_rule=rule)
    assert torch.equal(value, chosen)
    value.backward(g)
    assert torch.equal(latents.grad, g)
    assert chosen.grad is None if rule == "published" else torch.equal(chosen.grad, g)
    assert not torch.equal(latents + (chosen - latents).detach(), chosen)  # the usual form rounds


def test_the_penalty_is_summed_over_components_and_never_averaged() -> None:
    """By hand: |L - Lhat|^2 = 3^2 + 4^2 at one position and 1 at the other."""
    latents, chosen = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.zeros(2, 2)
    expected = {"published": (0.5 + 1.5) / 2, "both": 0.5 / 2, "end_to_end": 0.0}
    for rule, weight in expected.items():
        penalty = code_penalty(latents, chosen, gradient_rule=rule, commitment=0.5, codebook_lr_factor=1.5)
        assert penalty.tolist() == [25 * weight, weight]


def test_van_den_oord_s_loss_is_eta_2_and_beta_a_half() -> None:
    ours, his = Problem().backward("published", beta=0.5, eta=2.0), Problem()
    squares = (his.latents.detach() - his.chosen).square() + 0.25 * (his.latents - his.chosen.detach()).square()
    value = his.latents + (his.chosen - his.latents).detach()
    (his.distortion(value).sum() + squares.sum()).backward()
    for own, other in ((ours.latents, his.latents), (ours.codes, his.codes), (ours.decoder, his.decoder)):
        assert other.grad is not None
        close(own.grad, other.grad)


def test_commitment_weighs_the_encoder_s_pull_and_the_factor_the_codes() -> None:
    """`published`: beta moves L's gradient alone, eta C's alone. Swapped, this fails."""
    base, more_beta, more_eta = (
        Problem().backward("published", beta=beta, eta=eta) for beta, eta in ((0.5, 1.0), (1.0, 1.0), (0.5, 2.0))
    )
    assert torch.equal(base.codes.grad, more_beta.codes.grad)
    assert torch.equal(base.latents.grad, more_eta.latents.grad)
    close(more_eta.codes.grad, 2.0 * base.codes.grad)
    close(more_beta.latents.grad - base.g, 2.0 * (base.latents.grad - base.g))


@pytest.mark.parametrize("rule", GRADIENT_RULES)
def test_a_rule_as_one_call(rule: str) -> None:
    """CodeRule gives what the two functions give, beta 0.5 where none is said."""
    problem = Problem()
    value, penalty = CodeRule(rule)(problem.latents, problem.chosen)
    assert torch.equal(value, problem.chosen)
    own = code_penalty(problem.latents, problem.chosen, gradient_rule=rule, commitment=0.5)
    assert torch.equal(penalty, own)


def test_under_a_rolling_average_no_gradient_reaches_the_codes() -> None:
    problem = Problem()
    value, penalty = CodeRule("published", commitment=BETA, rolling=True)(problem.latents, problem.chosen)
    (problem.distortion(value).sum() + penalty.sum()).backward()
    assert problem.codes.grad is None
    close(problem.latents.grad, problem.g + BETA * (problem.latents - problem.chosen).detach())


def test_a_rotated_gradient_in_the_plane_by_hand() -> None:
    """L = (2, 0), Lhat = (0, 3): R turns by 90 degrees, s = 3/2; s R^T g of g = (1, 5) is 3/2 (5, -1)."""
    latents = torch.tensor([[2.0, 0.0]], dtype=torch.float64, requires_grad=True)
    value = rotated(latents, torch.tensor([[0.0, 3.0]], dtype=torch.float64))
    value.backward(torch.tensor([[1.0, 5.0]], dtype=torch.float64))
    close(latents.grad, 1.5 * torch.tensor([[5.0, -1.0]], dtype=torch.float64))


def test_a_rotated_gradient_keeps_its_angle_and_the_value_its_bits() -> None:
    """cos(L, L.grad) = cos(Lhat, g) and |L.grad| = |g| |Lhat| / |L|; Jacobian s R with R^T R = 1 and s R L = Lhat."""
    latents, chosen, g = (drawn(50, 4, seed=seed) for seed in range(3))
    leaf = latents.clone().requires_grad_()
    value = rotated(leaf, chosen)
    assert torch.equal(value, chosen)
    value.backward(g)
    assert leaf.grad is not None
    scale = chosen.norm(dim=1) / latents.norm(dim=1)
    close(leaf.grad.norm(dim=1), scale * g.norm(dim=1))
    close((latents * leaf.grad).sum(1) / latents.norm(dim=1) / scale, (chosen * g).sum(1) / chosen.norm(dim=1))
    for row in range(5):
        hit = chosen[row : row + 1]
        jacobian = torch.autograd.functional.jacobian(lambda x, hit=hit: rotated(x[None], hit)[0], latents[row])
        close(jacobian @ latents[row], chosen[row])
        close(jacobian.T @ jacobian, scale[row] ** 2 * torch.eye(4, dtype=torch.float64))


def test_a_rule_with_rotation_has_the_rotated_value_and_the_published_penalty() -> None:
    plain, turned = CodeRule(), CodeRule(rotation=True)
    latents, chosen, g = drawn(6, 3, seed=0).requires_grad_(), drawn(6, 3, seed=1).requires_grad_(), drawn(6, 3, seed=2)
    value, penalty = turned(latents, chosen)
    assert torch.equal(penalty, plain(latents, chosen)[1])
    value.backward(g)
    assert chosen.grad is None
    assert latents.grad is not None
    assert not torch.equal(latents.grad, g)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gradient_rule": "full"}, "gradient_rule must be one of published, both, end_to_end, got 'full'"),
        ({"gradient_rule": "end_to_end", "commitment": 0.5}, "end_to_end has no commitment; leave it out"),
        ({"commitment": -1.0}, "commitment must be >= 0, got -1.0"),
        ({"commitment": float("nan")}, "commitment must be >= 0, got nan"),
        ({"gradient_rule": "both", "rotation": True}, "rotation keeps g from the codes, and both sends it"),
        ({"gradient_rule": "both", "rolling": True}, "moves the codes without a gradient, and both sends them one"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CodeRule(**arguments)
