"""The variational autoencoder as a LightningModule."""

from pathlib import Path

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from relaxit_torch import RelaxedDistribution
from relaxit_vae.config import Binarize, Config
from relaxit_vae.data import PIXELS
from relaxit_vae.errors import InputError
from relaxit_vae.latents import Latent
from relaxit_vae.networks import mlp
from relaxit_vae.objective import Terms, discrete_kl, elbo


class VAE(LightningModule):
    """Encoder, latent and decoder as the options say.

    Images are grey levels in [0, 1] of shape `(batch, 784)`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.save_hyperparameters(config.plain())
        self.latent = Latent.from_config(config)
        self.encoder = mlp([PIXELS, *config.hidden, self.latent.parameter_size])
        self.decoder = mlp([self.latent.code_size, *reversed(config.hidden), PIXELS])

    @classmethod
    def load(cls, checkpoint: Path) -> "VAE":
        """The model in a checkpoint, on the CPU.

        Raises `InputError` when the file is absent, damaged or something else.
        """
        try:
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
            model = cls(Config.from_plain(state["hyper_parameters"]))
            model.load_state_dict(state["state_dict"])
        except FileNotFoundError:
            raise InputError(
                f"--checkpoint must be a file, but {checkpoint} does not exist"
            ) from None
        except Exception as error:
            raise InputError(
                "--checkpoint must be written by `relaxit-vae train`, "
                f"but {checkpoint} is something else or damaged"
            ) from error
        return model.eval()

    def posterior(self, images: Tensor) -> RelaxedDistribution:
        """The approximate posterior, of batch shape `(batch, variables)`."""
        return self.latent.posterior(self.encoder(images))

    def decode(self, code: Tensor) -> Tensor:
        """Pixel logits `(batch, 784)` for a code `(batch, variables, *event)`."""
        pixel_logits: Tensor = self.decoder(code.flatten(start_dim=1))
        return pixel_logits

    def objective(self, images: Tensor) -> Terms:
        """What training maximises: the decoder reads the relaxed code."""
        posterior = self.posterior(images)
        return elbo(images, self.decode(posterior.rsample()), discrete_kl(posterior))

    def bound(self, images: Tensor) -> Terms:
        """The one-sample lower bound of the discrete model: the decoder reads the hardened code."""
        posterior = self.posterior(images)
        code = posterior.harden(posterior.rsample())
        return elbo(images, self.decode(code), discrete_kl(posterior))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Pixel means `(batch, 784)` of discrete codes drawn from the posterior."""
        posterior = self.posterior(images)
        return self.decode(posterior.harden(posterior.rsample())).sigmoid()

    def generate(self, count: int) -> Tensor:
        """Pixel means `(count, 784)` of codes drawn from the prior."""
        return self.decode(self.latent.prior().sample((count,))).sigmoid()

    def training_step(self, batch: Tensor) -> Tensor:
        terms = self.objective(binarized(batch, self.config.binarize))
        self._log("train", terms)
        return -terms.elbo.mean()

    def validation_step(self, batch: Tensor) -> None:
        self._log("test", self.bound(binarized(batch, self.config.binarize)))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.config.learning_rate, fused=True)

    def _log(self, split: str, terms: Terms) -> None:
        for name, term in terms._asdict().items():
            self.log(
                f"{split}/{name}",
                term.mean(),
                on_step=False,
                on_epoch=True,
                prog_bar=name == "elbo",
                batch_size=len(term),
            )


def binarized(images: Tensor, how: Binarize) -> Tensor:
    """Grey levels as they are, compared with 1/2, or as the means of fresh Bernoulli draws."""
    match how:
        case "none":
            return images
        case "threshold":
            return (images > 0.5).to(images.dtype)
        case "dynamic":
            return torch.bernoulli(images)
