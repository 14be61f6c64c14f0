"""T9: encoder, decoder and codebook as players, and where they rest."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from textlatent.diagnostics.players import GradientSums
from textlatent.encoder.kmeans import nearest
from textlatent.gradient.codes import code_penalty, straight_through
from textlatent.theory.row import Check, Row

_BETA, _ETA = 0.5, 2.0
_SHAPES = {"encoder": (2, 2), "codebook": (3, 2), "decoder": (2,)}


class _Game:
    """24 points in three groups, a linear encoder, 3 codes, a decoder tanh(2 Lhat) + b, under the published rule."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(2)
        centres = torch.tensor([[0.1, 0.8], [-0.7, -0.5], [0.7, -0.4]], dtype=torch.float64)
        self.x = centres.repeat(8, 1) + 0.25 * torch.randn(24, 2, generator=random, dtype=torch.float64)
        eye = torch.eye(2, dtype=torch.float64)
        self.moves = {
            "encoder": eye.clone(),
            "codebook": centres.clone(),
            "decoder": torch.zeros(2, dtype=torch.float64),
        }
        self.chosen = nearest(self.x, centres)

    def distortion(self, vectors: Tensor, decoder: Tensor, rows: slice = slice(None)) -> Tensor:
        return 0.5 * (torch.tanh(2.0 * vectors) + decoder - self.x[rows]).square().sum()

    def own_gradients(self, moves: dict[str, Tensor], rows: slice = slice(None)) -> dict[str, Tensor]:
        """Each player's gradient of its own objective, a sentence: stop-gradients keep the others' out."""
        leaves = {name: move.detach().clone().requires_grad_() for name, move in moves.items()}
        latents, chosen = self.x[rows] @ leaves["encoder"], leaves["codebook"][self.chosen[rows]]
        penalty = code_penalty(latents, chosen, gradient_rule="published", commitment=_BETA, codebook_lr_factor=_ETA)
        vectors = straight_through(latents, chosen, gradient_rule="published")
        loss = self.distortion(vectors, leaves["decoder"], rows) + penalty.sum()
        found = torch.autograd.grad(loss / len(latents), list(leaves.values()))
        return dict(zip(leaves, found, strict=True))

    def rest(self) -> dict[str, Tensor]:
        """Where all three gradients vanish, by Newton's method on the field of gradients."""
        flat = torch.cat([move.flatten() for move in self.moves.values()])
        for _ in range(600):
            flat = flat - 0.3 * self._field(flat)
        for _ in range(6):
            flat = (
                flat
                - torch.linalg.lstsq(self._jacobian(flat), self._field(flat)[:, None], driver="gelsd").solution[:, 0]
            )
        return self._split(flat)

    def _field(self, flat: Tensor) -> Tensor:
        return torch.cat([g.flatten() for g in self.own_gradients(self._split(flat)).values()])

    def _jacobian(self, flat: Tensor, h: float = 1e-5) -> Tensor:
        steps = h * torch.eye(len(flat), dtype=flat.dtype)
        return torch.stack([(self._field(flat + s) - self._field(flat - s)) / (2.0 * h) for s in steps], 1)

    def _split(self, flat: Tensor) -> dict[str, Tensor]:
        parts = flat.split([math.prod(shape) for shape in _SHAPES.values()])
        return {name: part.view(shape) for (name, shape), part in zip(_SHAPES.items(), parts, strict=True)}

    def objectives(self, at: dict[str, Tensor]) -> dict[str, Callable[[Tensor], Tensor]]:
        """Each player's own objective as a function of its own move, the others' moves and g held."""
        chosen = at["codebook"][self.chosen]
        held = chosen.clone().requires_grad_()
        g = torch.autograd.grad(self.distortion(held, at["decoder"]), held)[0]

        def encoder(move: Tensor) -> Tensor:
            latents = self.x @ move
            return (g * latents).sum() + 0.5 * _BETA * (latents - chosen).square().sum()

        def codebook(move: Tensor) -> Tensor:
            return 0.5 * _ETA * (self.x @ at["encoder"] - move[self.chosen]).square().sum()

        return {
            "encoder": encoder,
            "codebook": codebook,
            "decoder": lambda move: self.distortion(chosen, move),
        }


def players() -> Row:
    """T9."""
    game = _Game()
    at = game.rest()
    norms = {}
    for name in _SHAPES:
        sums = GradientSums(name)
        for rows in (slice(0, 12), slice(12, 24)):
            sums.add([game.own_gradients(at, rows)[name]])
        norms[name] = sums.close()
    gains = {name: _largest_gain(objective, at[name]) for name, objective in game.objectives(at).items()}
    codes = at["codebook"].clone().requires_grad_()
    shared = torch.autograd.grad(game.distortion(codes[game.chosen], at["decoder"]), codes)[0] / len(game.x)
    written = game.x @ at["encoder"]
    means = torch.stack([written[game.chosen == k].mean(0) for k in range(3)])
    return Row(
        "T9",
        "A game of three players",
        "Stop-gradients give encoder, codebook and decoder an objective each. Training follows three gradients at "
        "once, which are not the gradient of any one loss. Where each player's own gradient is zero none of them "
        "gains by moving alone: a Nash equilibrium. It is no minimum of the distortion that they share.",
        r"\nabla_{enc} \mathcal{L}_{enc} = 0, \quad \nabla_{C} \mathcal{L}_{C} = 0, \quad"
        r" \nabla_{dec} \mathcal{L}_{dec} = 0",
        (
            *(
                Check(f"{name}: norm of its own gradient at rest", p.norm, "0", 0.0, tolerance=1e-10, unit="")
                for name, p in norms.items()
            ),
            *(
                Check(
                    f"{name}: the most it gains by any of 400 moves of its own",
                    gain,
                    "nothing",
                    0.0,
                    relation="<=",
                    tolerance=1e-12,
                    unit="",
                )
                for name, gain in gains.items()
            ),
            Check(
                "codes at rest (the worst entry against its cluster's mean)",
                float((at["codebook"] - means).abs().max()),
                "the cluster means",
                0.0,
                tolerance=1e-10,
                unit="",
            ),
            Check(
                "the shared distortion's gradient in the codes there, its norm",
                float(shared.norm()),
                "not 0",
                1e-3,
                relation=">=",
                unit="",
            ),
        ),
    )


def _largest_gain(objective: Callable[[Tensor], Tensor], move: Tensor) -> float:
    """By how much the objective falls at best, over 400 random moves of lengths from 0.001 to 1."""
    random = torch.Generator().manual_seed(0)
    here = float(objective(move))
    gains = []
    for i in range(400):
        direction = torch.randn(move.shape, generator=random, dtype=torch.float64)
        gains.append(here - float(objective(move + 10.0 ** (-3 * (i % 4) / 3) * direction / direction.norm())))
    return max(gains)
