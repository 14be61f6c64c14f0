"""The verbs that need a posterior with a density, and what they say to a model that has none."""

from textlatent.models import Autoencoder, SentenceVAE


def with_posterior(model: Autoencoder, *, what: str) -> SentenceVAE:
    """The model, where P_enc(z|y) is a Gaussian over numbers.

    Args:
        model: of any type.
        what: that needs it, for the message.

    Raises:
        ValueError: its z are codes, or points.
    """
    if isinstance(model, SentenceVAE):
        return model
    has = "codes" if model.quantiser is not None else "points"
    raise ValueError(
        f"{what} needs Gaussian posteriors, and this model's z are {has}; take a run of model.type gaussian."
    )
