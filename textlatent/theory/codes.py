"""T7 and T8: what moves the codes of a vector quantiser, and the encoder before it."""

import torch
from torch import Tensor

from textlatent.encoder.codebook import Codebook
from textlatent.encoder.kmeans import lloyd, nearest
from textlatent.gradient.codes import GRADIENT_RULES, CodeRule, code_penalty, straight_through
from textlatent.theory.example import farthest
from textlatent.theory.row import Check, Figure, Row

_BETA, _ETA = 0.3, 1.7


class _Setting:
    """24 vectors of the encoder in the plane, 3 codes at their cluster means, a decoder that is not linear."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(5)
        centres = torch.tensor([[0.0, 1.2], [-1.1, -0.5], [1.2, -0.6]], dtype=torch.float64)
        noise = torch.randn(24, 2, generator=random, dtype=torch.float64)
        self.latents = centres.repeat(8, 1) + 0.45 * noise
        self.target = torch.randn(24, 2, generator=random, dtype=torch.float64)
        self.mix = torch.randn(2, 2, generator=random, dtype=torch.float64)
        self.codes = centres
        for _ in range(20):
            self.codes = lloyd(self.latents, self.codes)
        self.chosen = nearest(self.latents, self.codes)

    def distortion(self, vectors: Tensor) -> Tensor:
        return (torch.tanh(vectors @ self.mix) - self.target).square().sum()

    def gradients(self, rule: str) -> tuple[Tensor, Tensor]:
        """L.grad and C.grad of distortion + penalty under a rule."""
        latents, codes = self.latents.clone().requires_grad_(), self.codes.clone().requires_grad_()
        chosen = codes[self.chosen]
        penalty = code_penalty(latents, chosen, gradient_rule=rule, commitment=_BETA, codebook_lr_factor=_ETA)
        loss = self.distortion(straight_through(latents, chosen, gradient_rule=rule)) + penalty.sum()
        found = torch.autograd.grad(loss, (latents, codes), allow_unused=True)
        return found[0], torch.zeros_like(codes) if found[1] is None else found[1]

    def g(self) -> Tensor:
        """Lhat.grad of the distortion."""
        vectors = self.codes[self.chosen].clone().requires_grad_()
        return torch.autograd.grad(self.distortion(vectors), vectors)[0]

    def formula(self, rule: str) -> tuple[Tensor, Tensor]:
        """The two gradients as the theory states them."""
        g, apart = self.g(), self.latents - self.codes[self.chosen]
        beta = 0.0 if rule == "end_to_end" else _BETA
        code = {"end_to_end": g, "published": -_ETA * apart, "both": g - _BETA * apart}[rule]
        return g + beta * apart, torch.zeros_like(self.codes).index_add(0, self.chosen, code)


def three_rules() -> Row:
    """T7."""
    setting = _Setting()
    found = {rule: setting.gradients(rule) for rule in GRADIENT_RULES}
    rows = []
    for rule in GRADIENT_RULES:
        for side, (name, formula) in enumerate((("L", _LATENT[rule]), ("C", _CODE[rule]))):
            pair = farthest(found[rule][side], setting.formula(rule)[side])
            rows.append(Check(f"{rule}: {name}.grad (the worst entry)", pair[0], formula, pair[1], unit=""))
    rest = {rule: float(found[rule][1].norm()) for rule in GRADIENT_RULES}
    book = Codebook(3, 2, rule=CodeRule("published"), revive=None).double()
    with torch.no_grad():
        book.vectors.copy_(setting.codes)
        passed = book(setting.latents)
    value = farthest(passed.vectors, setting.codes[setting.chosen])
    return Row(
        "T7",
        "Three ways to train a codebook",
        "The encoder's vector $L$ is replaced by its nearest code. How the loss reaches $L$ and $C$ is a choice, and "
        "there are three. Only the published one, in which the codes never see the distortion, has the cluster means "
        "as its resting place for every decoder.",
        r"k = argmin_k \| C_k - L \|, \quad g = \frac{\partial \, distortion}{\partial \hat{L}}, \quad \hat{L} = C_k",
        (
            *rows,
            Check(
                "published: C.grad at the cluster means, its norm",
                rest["published"],
                "0: at rest",
                0.0,
                tolerance=1e-12,
                unit="",
            ),
            Check("both: the same", rest["both"], "not at rest", 0.1, relation=">=", tolerance=0.0, unit=""),
            Check(
                "end_to_end: the same", rest["end_to_end"], "not at rest", 0.1, relation=">=", tolerance=0.0, unit=""
            ),
            Check(
                "value that the decoder gets (the worst entry)",
                value[0],
                r"$C_k$ to the bit",
                value[1],
                tolerance=0.0,
                unit="",
            ),
        ),
        Figure("rules", _arrows(setting, found)),
    )


_LATENT = {
    "published": r"$g + \beta (L - \hat{L})$",
    "both": r"$g + \beta (L - \hat{L})$",
    "end_to_end": "$g$",
}
_CODE = {
    "published": r"$\sum \eta (C_k - L)$, no $g$",
    "both": r"$\sum g + \beta (C_k - L)$",
    "end_to_end": r"$\sum g$",
}


def _arrows(setting: _Setting, found: dict[str, tuple[Tensor, Tensor]]) -> dict[str, object]:
    """Where everything stands, and where each rule pushes it: minus its gradient."""
    return {
        "latents": setting.latents.tolist(),
        "codes": setting.codes.tolist(),
        "chosen": setting.chosen.tolist(),
        "pushes": {
            rule: {"latents": (-latent).tolist(), "codes": (-code).tolist()} for rule, (latent, code) in found.items()
        },
    }


def rolling_average() -> Row:
    """T8."""
    random = torch.Generator().manual_seed(1)
    start, hit = torch.randn(2, 4, 3, generator=random, dtype=torch.float64)
    h = 0.05
    moved = _after(start, start + 0.01 * hit, torch.arange(3), decay=1.0 - 2.0 * h)
    step = (1.0 - 2.0 * h) * start + 2.0 * h * (start + 0.01 * hit)
    points = torch.randn(40, 3, generator=random, dtype=torch.float64)
    codes = nearest(points, start)
    at_once = _after(start, points, codes, decay=0.0, given=codes)
    means = lloyd(points, start)
    rolled, n = start.clone(), torch.ones(4, dtype=torch.float64)
    number = torch.bincount(codes, minlength=4).double()
    total = torch.zeros_like(start).index_add(0, codes, points)
    rolled = (0.9 * rolled + 0.1 * total) / (0.9 * n + 0.1 * number)[:, None]
    many = _after(start, points, codes, decay=0.9, given=codes)
    hits = number > 0
    pairs = farthest(moved[:3], step[:3]), farthest(at_once, means), farthest(many[hits], rolled[hits])
    return Row(
        "T8",
        "A rolling average is gradient descent",
        "A step of size $h$ on $\\| L - e \\|^2$ moves the code a share $2h$ of the way: a rolling average that "
        "forgets $2h$ each time. With $decay = 0$ it is one step of Lloyd's algorithm. A code that nothing chose does "
        "not move.",
        r"e \leftarrow (1 - 2h) \, e + 2h \, L, \quad decay = 1 - 2h; \quad"
        r" N_k \leftarrow decay \, N_k + (1 - decay) \, n_k, \quad e_k = m_k / N_k",
        (
            Check(
                "codes hit once, decay 0.9 (the worst entry)",
                pairs[0][0],
                r"$(1 - 2h) e + 2h L$, $h = 0.05$",
                pairs[0][1],
                unit="",
            ),
            Check(
                "40 vectors, decay 0 (the worst entry)", pairs[1][0], "the clusters' means: Lloyd", pairs[1][1], unit=""
            ),
            Check(
                "40 vectors, decay 0.9 (the worst entry)", pairs[2][0], r"$m / N$, both rolled", pairs[2][1], unit=""
            ),
            Check(
                "a code that was not hit: its change",
                float((moved[3] - start[3]).abs().max()),
                "0, to the bit",
                0.0,
                tolerance=0.0,
                unit="",
            ),
        ),
    )


def _after(start: Tensor, points: Tensor, rows: Tensor, *, decay: float, given: Tensor | None = None) -> Tensor:
    """The codes after one step: of row i of `points` for each code in `rows`, or of all points with `given` codes."""
    book = Codebook(
        len(start), start.shape[1], rule=CodeRule("published", rolling=True), decay=decay, revive=None
    ).double()
    with torch.no_grad():
        book.vectors.copy_(start)
        book.sums.copy_(start)
    book.observe(points[rows] if given is None else points, rows if given is None else given)
    book.settle()
    return book.vectors
