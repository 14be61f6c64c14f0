"""What a game of two players is to the trainer: who plays, what each loses, and the numbers of the game."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

PLAYERS = ("discriminator", "generator")
Noise = Callable[[tuple[int, ...], int], Tensor]
Reduce = Callable[[Tensor], Tensor]


class Game(Protocol):
    """Two players and what each of them loses."""

    @property
    def model(self) -> Any:
        """Both players, and sentences to Scores."""

    def player(self, name: str) -> nn.Module:
        """The one of PLAYERS called so."""

    def loss(
        self,
        name: str,
        real: dict[str, Tensor] | None,
        noise: Noise,
        *,
        shares: tuple[float, float],
        reduce: Reduce,
        count: int,
    ) -> tuple[Tensor, float]:
        """This process's part of a number whose gradient in the player is its own, and of the player's loss, nats.

        Args:
            name: whose.
            real: sentences of the corpus, for the discriminator.
            noise: of the sentences to write.
            shares: of all processes' real and written sentences that these are.
            reduce: the sum over processes.
            count: sentences written over all processes.
        """


@dataclass(frozen=True)
class AdversarialOptions:
    """The numbers of the game.

    Attributes:
        steps: rounds.
        sentences_per_step: real sentences of an update of the discriminator, over all processes.
        samples: sentences written for each update, over all processes.
        discriminator_updates: in a round, before the generator's one.
        learning_rate: the generator's peak step size.
        discriminator_learning_rate: the discriminator's.
        weight_decay: decay of both players' matrices; 0, for a decay moves tables that no gradient moves.
        scheduler: "cosine" or "linear" fall to 0 at the end, or "constant".
        betas: AdamW's averaging rates.
        log_every: rounds between lines of metrics.jsonl.
        validate_every: rounds between validations.
        sample_every: rounds between looks at samples; 0 for none.
        save_every: rounds between checkpoints.
        keep_checkpoints: how many of the newest stay.
    """

    steps: int = 2000
    sentences_per_step: int = 512
    samples: int = 512
    discriminator_updates: int = 1
    learning_rate: float = 0.03
    discriminator_learning_rate: float = 0.05
    weight_decay: float = 0.0
    scheduler: str = "cosine"
    betas: tuple[float, float] = (0.9, 0.99)
    log_every: int = 20
    validate_every: int = 250
    sample_every: int = 0
    save_every: int = 500
    keep_checkpoints: int = 2
