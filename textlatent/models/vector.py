"""The autoencoder of real vectors: any feature matrix, or sentence embeddings, through a noisy channel or a point."""

import math
from typing import Any

import torch
from huggingface_hub.dataclasses import strict
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init

from textlatent.decoder.vector import VectorDecoder
from textlatent.encoder.vector import VectorEncoder, VectorPoint
from textlatent.gradient.pathwise import reparameterise
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.nats.mixture import GaussianMixture
from textlatent.nats.noise import PRIOR_COMPONENT, PRIOR_DRAW, normal, uniform
from textlatent.prior.gaussian import LearnedGaussian, StandardNormal
from textlatent.prior.mixture import MIXTURE_COMPONENTS, MixturePrior
from textlatent.prior.prior import Prior
from textlatent.scores import Scores

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "tanh": nn.Tanh}
ENCODERS = ("gaussian", "point")
PRIORS = ("standard", "learned", "mixture")
NO_DENSITY = "the encoder gives points, which have no density: there is no rate and no prior to draw from"


@strict
class VectorAutoencoderConfig(PreTrainedConfig):
    """The parts of a vector autoencoder.

    Attributes:
        size: n, components of a vector.
        latent_size: D.
        encoder: "gaussian" (the noisy channel) or "point" (the plain autoencoder).
        encoder_hidden: widths of the encoder's hidden layers; none makes it linear.
        decoder_hidden: widths of the decoder's hidden layers; none makes it linear.
        activation: of hidden layers: "gelu", "relu" or "tanh".
        variance: the posterior's, "row" or "shared" (encoder/vector.py).
        log_variance_bias: the log-variance the posterior starts from.
        prior: "standard", "learned" or "mixture".
        components: of a mixture prior; 10 if not given.
        distortion: "l2" or "l1" (decoder/vector.py).
        lam: nats that a unit of Dist costs: 1 / (2c) of the Gaussian density, 1 / b of the Laplace one.
        centre: the mean of each component in training; 0 if not given.
        scale: the deviation of each; 1 if not given. Both are coordinates for the networks; nats and Dist stay in the
            vectors' own.
    """

    model_type = "textlatent_vector"

    size: int = 1
    latent_size: int = 8
    encoder: str = "gaussian"
    encoder_hidden: list | None = None
    decoder_hidden: list | None = None
    activation: str = "gelu"
    variance: str = "row"
    log_variance_bias: float | int = 0.0
    prior: str = "standard"
    components: int | None = None
    distortion: str = "l2"
    lam: float | int = 1.0
    centre: list | None = None
    scale: list | None = None

    def validate_parts(self) -> None:
        """Refuse an unknown encoder, prior or activation, and a z of no dimensions."""
        for name, known in (("encoder", ENCODERS), ("prior", PRIORS), ("activation", tuple(ACTIVATIONS))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}.")
        if self.latent_size < 1:
            raise ValueError(f"latent_size must be >= 1, got {self.latent_size}.")


class VectorAutoencoder(PreTrainedModel):
    """N(mu(y), sigma(y)^2) or a point x N(0, I) or another prior x a density around yhat(z) (THEORY T1, T6c, T6d)."""

    config_class = VectorAutoencoderConfig
    base_model_prefix = ""
    main_input_name = "vectors"
    calibrates = False
    """Nothing of it is to be told what reference rows look like."""

    def __init__(self, config: VectorAutoencoderConfig) -> None:
        super().__init__(config)
        size, latent, known = config.size, config.latent_size, (config.centre, config.scale)
        centre, scale = (None if each is None else torch.tensor(each, dtype=torch.float32) for each in known)
        outputs = 2 * latent if config.encoder == "gaussian" and config.variance == "row" else latent
        network = _network([size, *(config.encoder_hidden or []), outputs], config.activation)
        point = VectorPoint(network, size=size, centre=centre, scale=scale)
        self.encoder: VectorPoint | VectorEncoder = point
        if config.encoder == "gaussian":
            self.encoder = VectorEncoder(
                point, latent_size=latent, variance=config.variance, log_variance_bias=config.log_variance_bias
            )
        self.prior = self._new_prior(config)
        self.decoder = VectorDecoder(
            _network([latent, *(config.decoder_hidden or []), size], config.activation),
            size=size,
            distortion=config.distortion,
            lam=config.lam,
            centre=centre,
            scale=scale,
        )
        self.post_init()

    def _new_prior(self, config: VectorAutoencoderConfig) -> Prior:
        if config.prior == "learned":
            return LearnedGaussian(config.latent_size)
        if config.prior == "mixture":
            return MixturePrior(config.latent_size, components=config.components or MIXTURE_COMPONENTS)
        return StandardNormal(config.latent_size)

    def _init_weights(self, module: nn.Module) -> None:
        """A linear map as torch has it: transformers' deviation of 0.02 starts two of them near a saddle at 0."""
        if isinstance(module, nn.Linear):
            init.kaiming_uniform_(module.weight, a=math.sqrt(5.0))
            init.zeros_(module.bias)

    @property
    def has_density(self) -> bool:
        """Whether P_enc(z|y) is a density, so that a rate is defined."""
        return isinstance(self.encoder, VectorEncoder)

    def posterior(self, vectors: Float[Tensor, "B n"]) -> DiagonalGaussian:
        """P_enc(z|y) of each row.

        Raises:
            ValueError: the encoder gives points.
        """
        if not isinstance(self.encoder, VectorEncoder):
            raise ValueError(f"{NO_DENSITY}; `encode` gives the points.")
        return self.encoder(vectors)

    def prior_distribution(self) -> DiagonalGaussian | GaussianMixture:
        """P_pri(z): a Gaussian [D], or a mixture of them; its `mean` is E_pri z."""
        return self.prior()

    def forward(
        self,
        vectors: Float[Tensor, "B n"],
        index: Int[Tensor, " B"],
        *,
        label: Int[Tensor, " B"] | None = None,
        seed: int = 0,
        epoch: int = 0,
        samples: int = 1,
        first_sample: int = 0,
        densities: bool = True,
        keep_latents: bool = False,
    ) -> Scores:
        """What the model says of rows, nats each; arguments as in `Autoencoder.forward`, whose tokens are vectors here.

        A point encoder leaves log_p_enc, log_p_pri and kl blank, and its `samples` are one z over again.
        """
        if not isinstance(self.encoder, VectorEncoder):
            z = self.encoder(vectors)[None]
            dec = self.decoder.log_prob(vectors, z).expand(samples, -1)
            return Scores(log_p_dec=dec, z=z if keep_latents else None, index=index, label=label)
        enc, pri = self.encoder(vectors), self.prior_distribution()
        gaussian = pri if isinstance(pri, DiagonalGaussian) else None
        size = self.config.latent_size
        noise = normal(index, seed=seed, epoch=epoch, shape=(size,), samples=samples, first_sample=first_sample)
        z = reparameterise(enc, noise.to(enc.mean))  # [S, B, D]
        densities = densities or gaussian is None  # else there would be no rate
        return Scores(
            log_p_enc=enc.double().log_prob(z.double()) if densities else None,
            log_p_pri=pri.double().log_prob(z.double()) if densities else None,
            log_p_dec=self.decoder.log_prob(vectors, z),
            kl=None if gaussian is None else kl_per_dimension(enc.double(), gaussian.double()),
            z=z[:1] if keep_latents else None,
            posterior_mean=enc.mean if keep_latents else None,
            posterior_log_variance=enc.log_variance if keep_latents else None,
            prior_mean=gaussian.mean if keep_latents and gaussian else None,
            prior_log_variance=gaussian.log_variance if keep_latents and gaussian else None,
            index=index,
            label=label,
        )

    def loss(self, **batch: Any) -> Float[Tensor, ""]:
        """The mean -ELBO of a batch, nats per row; the mean distortion where the encoder gives points."""
        scores = self(**batch)
        return (scores.neg_elbo() if self.has_density else scores.distortion()).mean()

    @torch.no_grad()
    def encode(self, vectors: Float[Tensor, "N n"]) -> DiagonalGaussian | Float[Tensor, "N D"]:
        """P_enc(z|y) of each row, or its point, on the CPU."""
        found = self.encoder(vectors.to(self.device, self.dtype))
        if isinstance(found, DiagonalGaussian):
            return DiagonalGaussian(found.mean.cpu(), found.log_variance.cpu())
        return found.cpu()

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N n"]:
        """yhat(z) of each row, in the data's own units, on the CPU."""
        return self.decoder(z.to(self.device, self.dtype)).cpu()

    @torch.no_grad()
    def sample_prior(self, draws: int | Int[Tensor, " n"], *, seed: int) -> Float[Tensor, "n D"]:
        """z ~ P_pri, on the model's device; a draw's number and the seed decide it.

        Raises:
            ValueError: the encoder gives points, so that no prior was fitted to them.
        """
        if not self.has_density:
            raise ValueError(f"{NO_DENSITY}. A gaussian encoder has one.")
        index = torch.arange(draws) if isinstance(draws, int) else draws.cpu()
        prior = self.prior_distribution()
        noise = normal(index, seed=seed, shape=(self.config.latent_size,), stream=PRIOR_DRAW)[0]
        part = prior.part(uniform(index, seed=seed, shape=(), stream=PRIOR_COMPONENT)[0].to(prior.mean.device))
        return part.sample(noise.to(prior.mean))


def _network(sizes: list[int], activation: str) -> nn.Sequential:
    """Linear maps with the activation between them; of two sizes one linear map."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [ACTIVATIONS[activation](), nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers[1:])
