"""The variational autoencoder as a LightningModule."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch import RelaxedDistribution
from relaxit_vae.checkpoints import load_checkpoint
from relaxit_vae.codes import Code
from relaxit_vae.config import Config
from relaxit_vae.data import PIXELS, Batch, Piece
from relaxit_vae.errors import InputError, TrainingError
from relaxit_vae.estimation import as_one_event, chosen_estimator, own_temperature
from relaxit_vae.evaluation import Evaluation, binarized, moments, summarised
from relaxit_vae.latents import Latent, readable
from relaxit_vae.networks import mlp
from relaxit_vae.objective import (
    Terms,
    closed_form_kl,
    elbo,
    law_kl,
    log_likelihood,
    relaxed_kl,
)
from relaxit_vae.seeds import draw_from, drawn_from


class VAE(LightningModule):
    """Encoder, latent and decoder as the options say.

    Images are grey levels in [0, 1] of shape `(batch, 784)`. Raises `InputError` when the latent
    cannot be built, or has not the divergence that is asked for.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.save_hyperparameters(config.plain())
        self.latent = Latent.from_config(config)
        self.encoder = mlp([PIXELS, *config.hidden, self.latent.parameter_size])
        self.decoder = mlp([self.latent.code_size, *reversed(config.hidden), PIXELS])
        self.estimator = chosen_estimator(config)
        if self.estimator and self.latent.temperature and not config.temperature:
            self.latent.temperature = own_temperature(self.estimator) or self.latent.temperature
        self.first_temperature = self.latent.temperature
        if config.final_temperature and not self.first_temperature:
            raise InputError(
                f"--final-temperature must be an option of the latent, but {config.latent} has none"
            )
        self.kl = config.kl or ("discrete" if self.estimator else self.latent.default_kl())
        self._check_divergence()
        self._check_estimator()
        self.importance_samples, self.evaluation_seed = 0, config.seed
        self.training_sums = torch.zeros(0)
        self.evaluation_sums: dict[str, Tensor] = {}

    @property
    def begins_at_mean(self) -> bool:
        """Whether `match_mean` helps: the divergence is of discrete laws, in closed form."""
        if self.kl != "discrete":
            return False
        try:
            law_kl(Code.of(self.latent.prior()).law, self.latent.code_prior())
        except NotImplementedError:
            return False
        return True

    @property
    def is_relaxed(self) -> bool:
        """Whether it was trained as a relaxed model, besides the one with the latent `Code`."""
        return self.latent.is_relaxed and self.estimator is None

    @torch.no_grad()
    def match_mean(self, images: Tensor) -> None:
        """Let the decoder begin with the mean of these images, whatever the code.

        Otherwise it is first of all the codes that darken all pixels which pay, for every image,
        and a posterior may be certain of one of them before they tell the images apart: then
        discrete codes have no gradient any more, nor have the closed gates of stochastic times
        smooth. Mnih and Gregor (2014) begin so. Where the divergence is of relaxed laws, or
        estimated at a sample, models that are given the mean may end at the prior instead.
        """
        mean = (images.sum(dim=0, dtype=torch.float64) + 0.5) / (len(images) + 1)
        output: Any = self.decoder[-1]
        output.bias.copy_(mean.logit())

    @classmethod
    def load(cls, checkpoint: Path) -> "VAE":
        """The model in a checkpoint, on the CPU.

        Raises `InputError` when the file is absent, damaged or something else.
        """
        state = load_checkpoint(checkpoint)
        try:
            model = cls(Config.from_plain(state["hyper_parameters"]))
            model.load_state_dict(state["state_dict"])
            model.on_load_checkpoint(state)
        except Exception as error:
            raise InputError(
                "--checkpoint must be written by `relaxit-vae train`, "
                f"but {checkpoint} is something else or damaged"
            ) from error
        return model.eval()

    # -- the model --------------------------------------------------------------------------------

    def encode(self, images: Tensor) -> Tensor:
        """Unconstrained parameters of the posterior, `(batch, parameter_size)`."""
        encoded: Tensor = self.encoder(images).to(images.dtype)  # autocast may return half of it
        return encoded

    def posterior(self, images: Tensor) -> RelaxedDistribution:
        """The approximate posterior: batch shape `(batch, variables)`, or `(batch,)` if joint."""
        return self.latent.posterior(self.encode(images))

    def decode(self, code: Tensor) -> Tensor:
        """Pixel logits `(*batch, 784)` for a code `(*batch, *code_shape)`."""
        flat = code.flatten(start_dim=-len(self.latent.code_shape))
        pixel_logits: Tensor = self.decoder(flat).to(code.dtype)
        return pixel_logits

    def objective(self, images: Tensor) -> Terms:
        """What training maximises: the decoder reads the relaxed code.

        With an estimator it reads discrete codes, and the gradient of the reconstruction is what
        the estimator makes of them.
        """
        encoded = self.encode(images)
        if self.estimator:
            return self._estimated(images, self.latent.posterior(encoded))
        posterior = self.latent.posterior(encoded, log_space=self.kl == "relaxed")
        value = posterior.rsample()
        code = readable(posterior, value).to(images.dtype)
        kl = self._divergence(value, posterior).to(images.dtype)
        return elbo(images, self.decode(code), kl)

    def _estimated(self, images: Tensor, posterior: RelaxedDistribution) -> Terms:
        law, prior = Code.of(posterior).law, self.latent.code_prior()

        def likelihood(code: Tensor) -> Tensor:
            return log_likelihood(images, self.decode(code.to(images.dtype)))

        reconstruction = self.estimate(as_one_event(law, prior), likelihood)
        kl = law_kl(law, prior)
        return Terms(reconstruction - kl, reconstruction, kl)

    def estimate(self, law: Distribution, f: Callable[[Tensor], Tensor]) -> Tensor:
        """`E f` by the estimator, at the temperature now where both it and the latent have one."""
        assert self.estimator
        if own_temperature(self.estimator) and self.latent.temperature:
            return self.estimator(law, f, temperature=self.latent.temperature)
        return self.estimator(law, f)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Pixel means `(batch, 784)` of codes drawn from the posterior of the evaluated model."""
        return self.decode(self.code(images)).sigmoid()

    def code(self, images: Tensor) -> Tensor:
        """Codes `(batch, *code_shape)` drawn from the posterior of the evaluated model."""
        code = Code.of(self.posterior(images))
        return code.read(code.law.sample()).to(images.dtype)

    def generate(self, count: int) -> Tensor:
        """Pixel means `(count, 784)` of codes drawn from its prior."""
        prior = self.latent.code_prior()
        code = Code.of(self.latent.prior()).read(prior.sample((count,)))
        return self.decode(code.to(self.dtype)).sigmoid()

    def _divergence(self, value: Tensor, posterior: RelaxedDistribution) -> Tensor:
        match self.kl:
            case "relaxed":
                return relaxed_kl(value, posterior, self.latent.prior(log_space=True))
            case "closed-form":
                return closed_form_kl(posterior, self.latent.prior())
        try:
            return law_kl(Code.of(posterior).law, self.latent.code_prior())
        except NotImplementedError:
            if not posterior.hard:
                raise
            return relaxed_kl(value, posterior, self.latent.prior())

    def _check_divergence(self) -> None:
        with torch.no_grad():
            posterior = self.latent.posterior(torch.zeros(1, self.latent.parameter_size))
            try:
                if self.kl != "relaxed":
                    self._divergence(posterior.sample(), posterior)
                elif not self.latent.is_finite:
                    raise NotImplementedError("it is infinite for any prior")
                if self.kl == "discrete" and self.latent.code_kind == "relaxed":
                    raise NotImplementedError("it relaxes no discrete variable")
            except NotImplementedError as error:
                raise InputError(
                    f"--kl must be a divergence that the latent has, but {self.kl} of "
                    f"{self.config.latent}: {error}"
                ) from error

    def _check_estimator(self) -> None:
        if not self.estimator:
            return
        if self.kl != "discrete":
            raise InputError(f"--kl must be discrete with an --estimator, but got {self.kl}")
        size = self.latent.parameter_size
        try:
            with drawn_from("example"), torch.enable_grad(), torch.inference_mode(False):
                posterior = self.latent.posterior(torch.zeros(1, size, requires_grad=True))
                self._estimated(torch.zeros(1, PIXELS), posterior)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise InputError(
                f"--estimator must suit the latent, but got {self.config.estimator} with "
                f"{self.config.latent}: {error}"
            ) from error

    # -- training ---------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        if self.config.compile:
            self.encoder.compile(dynamic=True)
            self.decoder.compile(dynamic=True)

    def on_train_epoch_start(self) -> None:
        self.training_sums = torch.zeros(len(Terms._fields) + 1, dtype=torch.float64)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if self.config.final_temperature:
            self.latent.temperature = self.temperature_at(
                self.global_step / max(self.trainer.estimated_stepping_batches - 1, 1)
            )
        place = self.global_step, self.global_rank
        draw_from("training", self.config.seed, *place, device=self.device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images = binarized(batch.images.to(self.dtype), self.config.binarize)
        terms = self.objective(images)
        sums = torch.stack([term.detach().double().sum() for term in terms])
        counted = torch.cat([sums, sums.new_tensor([len(images)])])
        self.training_sums = self.training_sums.to(counted.device) + counted
        # Processes average their gradients: shares of different size must count as such.
        loss = -terms.elbo.sum() * (self.trainer.world_size / batch.total)
        if not loss.isfinite():
            raise self._divergence_error(loss)
        return loss

    def temperature_at(self, progress: float) -> float:
        """The temperature when so much of the training, from 0 to 1, is done."""
        first, last = self.first_temperature, self.config.final_temperature
        if not first or not last:
            raise InputError("--final-temperature is not set")
        if self.config.annealing == "linear":
            return first + (last - first) * progress
        return float(first * (last / first) ** progress)

    def training_means(self) -> Terms:
        """Means over the images of this epoch so far, in all processes."""
        sums = self._reduced(self.training_sums)
        return Terms(*(sums[:-1] / sums[-1]).unbind())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        names = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
        groups = [
            {"name": name, "params": parameters}
            for name, part in self.named_children()
            if (parameters := [p for p in part.parameters() if p.requires_grad])
        ]
        method: Any = names[self.config.optimizer]
        optimizer: torch.optim.Optimizer = method(groups, lr=self.config.learning_rate, fused=True)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["temperature"] = self.latent.temperature

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if checkpoint["temperature"] is not None:
            self.latent.temperature = checkpoint["temperature"]

    def _divergence_error(self, loss: Tensor) -> TrainingError:
        """Names the first group of parameters that is to blame."""
        groups = self.trainer.optimizers[0].param_groups
        for what, tensors in [
            ("parameters", {group["name"]: group["params"] for group in groups}),
            (
                "gradients",
                {
                    group["name"]: torch.autograd.grad(
                        loss, group["params"], retain_graph=True, materialize_grads=True
                    )
                    for group in groups
                },
            ),
        ]:
            for name, group in tensors.items():
                if not all(tensor.isfinite().all() for tensor in group):
                    return TrainingError(
                        f"loss must be finite, but got {loss.item()} at step {self.global_step}, "
                        f"temperature {self.latent.temperature}: the {what} of the {name} "
                        "are not finite; try a smaller --learning-rate"
                    )
        return TrainingError(
            f"loss must be finite, but got {loss.item()} at step {self.global_step}, "
            f"temperature {self.latent.temperature}; all parameters are finite"
        )

    # -- evaluation -------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self.evaluation_sums = {}

    def validation_step(self, batch: Piece, batch_idx: int) -> None:
        self._add_moments(batch, 0)

    def on_test_epoch_start(self) -> None:
        self.evaluation_sums = {}

    def test_step(self, batch: Piece, batch_idx: int) -> None:
        self._add_moments(batch, self.importance_samples)

    def _add_moments(self, batch: Piece, importance_samples: int) -> None:
        if batch.start == batch.stop:
            return
        batch = batch._replace(images=batch.images.to(self.dtype))
        found = moments(
            self, batch, seed=self.evaluation_seed, importance_samples=importance_samples
        )
        for name, sums in found.items():
            self.evaluation_sums[name] = self.evaluation_sums.get(name, 0) + sums

    def validation_means(self) -> Terms:
        """The one-sample bound of the evaluated model on the test images."""
        sums = {name: self._reduced(sums) for name, sums in self.evaluation_sums.items()}
        return Terms(*(sums[name][0] / sums["images"] for name in Terms._fields))

    def evaluation(self) -> Evaluation:
        """All figures, after a test."""
        sums = {name: self._reduced(sums) for name, sums in self.evaluation_sums.items()}
        return summarised(sums, self, self.importance_samples)

    def _reduced(self, sums: Tensor) -> Tensor:
        total = self.trainer.strategy.reduce(sums.to(self.device), reduce_op="sum")
        assert isinstance(total, Tensor)
        return total
