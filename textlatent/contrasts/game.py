"""The bigram GAN as a game: whose loss is what, given real sentences and noise; training/adversarial.py plays it."""

from dataclasses import dataclass

from torch import Tensor, nn

from textlatent.contrasts.bigram_gan import BigramGAN
from textlatent.contrasts.estimators import Noise, Reduce, generator_loss
from textlatent.contrasts.losses import discriminator_loss


@dataclass(frozen=True)
class BigramGame:
    """Generator against discriminator.

    Attributes:
        model: both.
        estimator: how the generator's gradient is had (estimators.ESTIMATORS).
        cost: what the generator loses (losses.COSTS).
        temperature: of a relaxed word.
        centred: take the mean cost of a word off every word (losses.cost_of).
    """

    model: BigramGAN
    estimator: str = "leave_one_out"
    cost: str = "log_ratio"
    temperature: float = 1.0
    centred: bool = False

    def player(self, name: str) -> nn.Module:
        """The generator or the discriminator."""
        return getattr(self.model, name)

    def loss(
        self,
        name: str,
        real: dict[str, Tensor] | None,
        noise: Noise,
        *,
        shares: tuple[float, float] = (1.0, 1.0),
        reduce: Reduce = lambda total: total,
        count: int | None = None,
    ) -> tuple[Tensor, float]:
        """This process's part of a number whose gradient in a player is its own, and of the player's loss, nats.

        Args:
            name: "discriminator" or "generator".
            real: tokens and lengths of sentences of the corpus, for the discriminator.
            noise: of the sentences to write.
            shares: of all processes' real and written sentences that these are.
            reduce: the sum over processes.
            count: sentences written over all processes.
        """
        if name == "generator":
            loss, mean = generator_loss(
                self.model,
                noise,
                estimator=self.estimator,
                cost=self.cost,
                temperature=self.temperature,
                centred=self.centred,
                reduce=reduce,
                count=count,
            )
            return shares[1] * loss, shares[1] * float(mean)
        assert real is not None
        shown = self.model.present(real["tokens"], real["lengths"])
        written = self.model.write(noise((self.model.config.words,), 0))
        loss = discriminator_loss(self.model.discriminator, shown, written, shares=shares)
        return loss, float(loss.detach())
