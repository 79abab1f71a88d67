"""The model: an encoder, a latent and a decoder, with the objective that training maximises."""

from typing import Any

import torch
from torch import Tensor, nn

from relaxit_torch import RelaxedDistribution
from relaxit_vae.config import Config
from relaxit_vae.data import PIXELS
from relaxit_vae.errors import InputError
from relaxit_vae.estimation import Estimator, as_one_event, chosen_estimator
from relaxit_vae.latents import Latent, readable
from relaxit_vae.networks import mlp
from relaxit_vae.objective import Terms, closed_form_kl, elbo, kl_at_sample, log_likelihood
from relaxit_vae.seeds import drawn_from

MISSING = {
    "closed-form": "its relaxed distributions have no divergence in closed form",
    "relaxed": "the divergence of its relaxed distributions is infinite for any prior",
    "discrete": "it has no discrete distributions whose divergence has a closed form",
}
"""Why a latent may lack a divergence."""


class Autoencoder(nn.Module):
    """Encoder, latent and decoder as the options say.

    Images are grey levels in [0, 1] of shape `(batch, 784)`.

    Raises:
        InputError: the latent cannot be built, or does not suit another option.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.latent = Latent.from_config(config)
        self.encoder = mlp([PIXELS, *config.hidden, self.latent.parameter_size])
        self.decoder = mlp([self.latent.code_shape.numel(), *reversed(config.hidden), PIXELS])
        self.estimator = chosen_estimator(config)
        if config.final_temperature and not self.temperature:
            raise InputError(
                f"--final-temperature must be an option of the latent, but {config.latent} has none"
            )
        divergences = self.latent.divergences
        self.kl = config.kl or ("discrete" if self.estimator else divergences[0])
        if self.kl not in divergences:
            raise InputError(
                f"--kl must be a divergence that the latent has, one of {', '.join(divergences)}, "
                f"but got {self.kl} with {config.latent}: {MISSING[self.kl]}"
            )
        self._check_estimator()

    @property
    def temperature(self) -> float | None:
        """The temperature of the gradients: the estimator's if it has one, or the latent's."""
        return self._tempered.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._tempered.temperature = value

    @property
    def _tempered(self) -> Estimator | Latent:
        if self.estimator and self.estimator.temperature is not None:
            return self.estimator
        return self.latent

    @property
    def begins_at_mean(self) -> bool:
        """Whether `match_mean` helps: the divergence is discrete and has a closed form."""
        return self.kl == "discrete" and self.latent.code(self.latent.prior()).has_closed_form_kl

    @property
    def has_relaxed_model(self) -> bool:
        """Whether a relaxed model was trained, besides the one whose latent is the code."""
        return self.latent.has_relaxed_model and self.estimator is None

    @torch.no_grad()
    def match_mean(self, images: Tensor) -> None:
        """Sets the decoder's bias such that it begins with the mean of these images.

        Otherwise the codes that darken all pixels pay first, for every image. A posterior may then
        be certain of one code before the codes tell the images apart, and the gradient vanishes:
        for discrete codes, and for closed gates of stochastic times smooth. Mnih and Gregor (2014)
        begin in the same way. With a relaxed divergence, or one that is estimated at a sample,
        models that begin at the mean may end at the prior instead.
        """
        mean = (images.sum(dim=0, dtype=torch.float64) + 0.5) / (len(images) + 1)
        output: Any = self.decoder[-1]
        output.bias.copy_(mean.logit())

    def encode(self, images: Tensor) -> Tensor:
        """Returns unconstrained parameters of the posterior, `(batch, parameter_size)`."""
        encoded: Tensor = self.encoder(images).to(images.dtype)  # autocast may return half of it
        return encoded

    def posterior(self, images: Tensor) -> RelaxedDistribution:
        """Returns the approximate posterior of the images. For its shape see `Latent`."""
        return self.latent.posterior(self.encode(images))

    def decode(self, code: Tensor) -> Tensor:
        """Returns pixel logits `(*batch, 784)` for a code `(*batch, *code_shape)`."""
        flat = code.flatten(start_dim=-len(self.latent.code_shape))
        pixel_logits: Tensor = self.decoder(flat).to(code.dtype)
        return pixel_logits

    def objective(self, images: Tensor) -> Terms:
        """Returns what training maximises.

        The decoder reads samples of the posterior. With an estimator it reads discrete codes, and
        the estimator makes the gradient of the reconstruction.
        """
        encoded = self.encode(images)
        if self.estimator:
            return self._estimated(images, encoded, self.estimator)
        posterior = self.latent.posterior(encoded, log_space=self.kl == "relaxed")
        value = posterior.rsample()
        pixel_logits = self.decode(readable(posterior, value).to(images.dtype))
        return elbo(images, pixel_logits, self._divergence(value, posterior).to(images.dtype))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Returns pixel means `(batch, 784)` of codes drawn from the posterior."""
        return self.decode(self.code(images)).sigmoid()

    def code(self, images: Tensor) -> Tensor:
        """Returns codes `(batch, *code_shape)` drawn from the posterior of the evaluated model."""
        code = self.latent.code(self.posterior(images))
        return code.read(code.distribution.sample()).to(images.dtype)

    def generate(self, count: int) -> Tensor:
        """Returns pixel means `(count, 784)` of codes drawn from the prior."""
        code = self.latent.code(self.latent.prior())
        return self.decode(code.read(code.distribution.sample((count,)))).sigmoid()

    def _estimated(self, images: Tensor, encoded: Tensor, estimator: Estimator) -> Terms:
        code, prior = self.latent.code(self.latent.posterior(encoded)), self.latent.code_prior()

        def likelihood(code: Tensor) -> Tensor:
            return log_likelihood(images, self.decode(code.to(images.dtype)))

        reconstruction = estimator(as_one_event(code.distribution, prior), likelihood)
        kl = closed_form_kl(code.distribution, prior)
        return Terms(reconstruction - kl, reconstruction, kl)

    def _divergence(self, value: Tensor, posterior: RelaxedDistribution) -> Tensor:
        match self.kl:
            case "relaxed":
                return kl_at_sample(value, posterior, self.latent.prior(log_space=True))
            case "closed-form":
                return closed_form_kl(posterior, self.latent.prior())
            case "discrete":
                return self.latent.code(posterior).kl(self.latent.code_prior(), value)

    def _check_estimator(self) -> None:
        """Estimates once. Only the estimator knows which distributions and options suit it."""
        if not self.estimator:
            return
        if self.kl != "discrete":
            raise InputError(f"--kl must be discrete with an --estimator, but got {self.kl}")
        size = self.latent.parameter_size
        try:
            with drawn_from("example"), torch.enable_grad(), torch.inference_mode(False):
                encoded = torch.zeros(1, size, requires_grad=True)
                self._estimated(torch.zeros(1, PIXELS), encoded, self.estimator)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise InputError(
                f"--estimator must suit the latent, but got {self.config.estimator} with "
                f"{self.config.latent}: {error}"
            ) from error
