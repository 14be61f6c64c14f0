"""T7 and T8: what moves the codes of a vector quantiser, and the encoder before it."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from textlatent.encoder.codebook import Codebook
from textlatent.encoder.kmeans import lloyd, nearest
from textlatent.gradient.codes import GRADIENT_RULES, CodeRule
from textlatent.gradient.stationary import Rest, come_to_rest, gradients
from textlatent.theory.example import farthest
from textlatent.theory.row import Check, Figure, Row

_BETA, _ETA = 2.0, 1.5


class _Setting:
    """24 vectors of the encoder in the plane, 3 codes at their cluster means, a decoder that is not linear."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(5)
        centres = torch.tensor([[0.0, 1.4], [-1.2, -0.7], [1.2, -0.7]], dtype=torch.float64)
        self.latents = centres.repeat(8, 1) + 0.35 * torch.randn(24, 2, generator=random, dtype=torch.float64)
        self.codes = centres
        for _ in range(20):
            self.codes = lloyd(self.latents, self.codes)
        self.chosen = nearest(self.latents, self.codes)
        self.away = 0.9 * self.codes

    def distortion(self, vectors: Tensor) -> Tensor:
        """1/2 |sinh Lhat - sinh L|^2 of each position, L held: the decoder is sinh, under L2."""
        return 0.5 * (vectors.sinh() - self.latents.sinh()).square().sum(1)

    def g(self, vectors: Tensor) -> Tensor:
        """Lhat.grad of the distortion at some Lhat."""
        leaf = vectors.clone().requires_grad_()
        return torch.autograd.grad(self.distortion(leaf).sum(), leaf)[0]

    def found(self, rule: str, codes: Tensor) -> tuple[Tensor, Tensor]:
        """L.grad and C.grad of distortion + penalty under a rule."""
        return gradients(self.latents, codes, self.distortion, gradient_rule=rule, **_WEIGHTS)[:2]

    def formula(self, rule: str, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The two gradients as the theory states them."""
        chosen = nearest(self.latents, codes)
        g, apart = self.g(codes[chosen]), self.latents - codes[chosen]
        beta = 0.0 if rule == "end_to_end" else _BETA
        code = {"end_to_end": g, "published": -_ETA * apart, "both": g - _BETA * apart}[rule]
        return g + beta * apart, torch.zeros_like(codes).index_add(0, chosen, code)

    def rest(self, rule: str, *, free: bool = False, steps: int = 1000) -> Rest:
        """Where descent ends that starts away from the means, the encoder held or every vector free."""
        weights = _WEIGHTS | {"free": free, "steps": steps}
        return come_to_rest(self.latents, self.away, self.distortion, gradient_rule=rule, **weights)

    def means(self, values: Tensor, chosen: Tensor) -> Tensor:
        """The mean of each code's own rows."""
        return torch.stack([values[chosen == k].mean(0) for k in range(len(self.codes))])


_WEIGHTS: dict[str, Any] = {"commitment": _BETA, "codebook_lr_factor": _ETA}


def three_rules() -> Row:
    """T7."""
    setting = _Setting()
    found = {rule: setting.found(rule, setting.codes) for rule in GRADIENT_RULES}
    rows = []
    for rule in GRADIENT_RULES:
        away = setting.found(rule, setting.away), setting.formula(rule, setting.away)
        for side, (name, formula) in enumerate((("L", _LATENT[rule]), ("C", _CODE[rule]))):
            pair = farthest(away[0][side], away[1][side])
            rows.append(Check(f"{rule}: {name}.grad (the worst entry)", pair[0], formula, pair[1], unit=""))
    book = Codebook(3, 2, rule=CodeRule("published"), revive=None).double()
    with torch.no_grad():
        book.vectors.copy_(setting.codes)
        passed = book(setting.latents)
    value = farthest(passed.vectors, setting.codes[setting.chosen])
    through = "value that the decoder gets (the worst entry)"
    return Row(
        "T7",
        "Three ways to train a codebook",
        "The encoder's vector $L$ is replaced by its nearest code. How the loss reaches $L$ and $C$ is a choice, and "
        "there are three. While the encoder is held, only the published one, in which the codes never see the "
        "distortion, has the cluster means as its resting place for every decoder. Where every vector is free to move "
        "by itself, both ends at the means too, and end_to_end does not rest.",
        r"k = argmin_k \| C_k - L \|, \quad g = \frac{\partial \, distortion}{\partial \hat{L}}, \quad \hat{L} = C_k",
        (
            *rows,
            Check(through, value[0], r"$C_k$ to the bit", value[1], tolerance=0.0, unit=""),
            *_encoder_held(setting, found),
            *_vectors_free(setting),
        ),
        Figure("rules", _arrows(setting, found)),
    )


def _encoder_held(setting: _Setting, found: dict[str, tuple[Tensor, Tensor]]) -> Iterator[Check]:
    """What still moves codes at the cluster means, and where each rule has them rest instead."""
    at = {rule: float(each[1].abs().max()) for rule, each in found.items()}
    still = "encoder held, published: C.grad at the cluster means"
    yield Check(still, at["published"], "0: at rest", 0.0, unit="")
    for rule in ("both", "end_to_end"):
        yield _more(f"encoder held, {rule}: the same", at[rule], "not at rest", 0.1)
    rest = {rule: setting.rest(rule) for rule in GRADIENT_RULES}
    mean = {rule: setting.means(setting.latents, each.chosen) for rule, each in rest.items()}
    both = rest["both"]
    pull = setting.means(setting.g(both.codes[both.chosen]), both.chosen)
    decoded = setting.means(setting.latents.sinh(), rest["end_to_end"].chosen).asinh()
    for rule, formula, expected in (
        ("published", "the means of their $L$", mean["published"]),
        ("both", r"means of $L - g / \beta$", mean["both"] - pull / _BETA),
        ("end_to_end", "$asinh$ of the means of $sinh L$: $\\sum g = 0$", decoded),
    ):
        pair = farthest(rest[rule].codes, expected)
        what = f"encoder held, {rule}: where codes come to rest (the worst entry)"
        yield Check(what, pair[0], formula, pair[1], tolerance=1e-9, unit="")
    for rule in ("both", "end_to_end"):
        yield _more(f"encoder held, {rule}: how far that is from the means", rest[rule].from_means, "not there", 0.02)


def _vectors_free(setting: _Setting) -> Iterator[Check]:
    """Every L[p] moves along its own gradient as well."""
    for rule in ("published", "both"):
        rest = setting.rest(rule, free=True)
        pair = farthest(rest.codes, setting.means(rest.latents, rest.chosen))
        what = f"every L free, {rule}: where codes come to rest (the worst entry)"
        yield Check(what, pair[0], "the means of their $L$", pair[1], tolerance=1e-9, unit="")
        hit = rest.codes[rest.chosen]
        pair = farthest(rest.latents, hit - setting.g(hit) / _BETA)
        what = f"every L free, {rule}: where L does (the worst entry)"
        yield Check(what, pair[0], r"$\hat{L} - g / \beta$", pair[1], tolerance=1e-9, unit="")
    left = setting.rest("end_to_end", free=True, steps=300).residual
    yield _more("every L free, end_to_end: its largest gradient after 300 steps", left, "never at rest", 0.1)


def _more(what: str, computed: float, why: str, least: float) -> Check:
    """A number without a unit that is at least some other."""
    return Check(what, computed, why, least, tolerance=0.0, relation=">=", unit="")


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
