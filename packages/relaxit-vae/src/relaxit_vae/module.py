"""The variational autoencoder as a LightningModule: how it is trained, tested and saved."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from relaxit_vae.autoencoder import Autoencoder
from relaxit_vae.checkpoints import load_checkpoint
from relaxit_vae.config import Config
from relaxit_vae.data import Batch, Piece
from relaxit_vae.errors import InputError, TrainingError
from relaxit_vae.evaluation import Evaluation, binarized, moments, summarised
from relaxit_vae.objective import Terms
from relaxit_vae.seeds import draw_from


class VAE(Autoencoder, LightningModule):
    """The model of `Config`, with its training and its evaluation.

    Images are grey levels in [0, 1] of shape `(batch, 784)`.

    Raises:
        InputError: the latent cannot be built, or does not suit another option.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.save_hyperparameters(config.plain())
        self.first_temperature = self.temperature
        self.importance_samples, self.evaluation_seed = 0, config.seed
        self.training_sums = torch.zeros(0)
        self.evaluation_sums: dict[str, Tensor] = {}

    @classmethod
    def load(cls, checkpoint: Path) -> "VAE":
        """Returns the model in a checkpoint, on the CPU.

        Raises:
            InputError: the file is absent, damaged or something else.
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

    # -- training ---------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        if self.config.compile:
            self.encoder.compile(dynamic=True)
            self.decoder.compile(dynamic=True)

    def on_train_epoch_start(self) -> None:
        self.training_sums = torch.zeros(len(Terms._fields) + 1, dtype=torch.float64)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if self.config.final_temperature:
            self.temperature = self.temperature_at(
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
        # Lightning averages the gradients of the processes. Their shares may differ in size.
        loss = -terms.elbo.sum() * (self.trainer.world_size / batch.total)
        if not loss.isfinite():
            raise self._not_finite(loss)
        return loss

    def temperature_at(self, progress: float) -> float:
        """Returns the temperature when this fraction of the training, from 0 to 1, is done."""
        first, last = self.first_temperature, self.config.final_temperature
        if not first or not last:
            raise InputError("--final-temperature is not set")
        if self.config.annealing == "linear":
            return first + (last - first) * progress
        return float(first * (last / first) ** progress)

    def training_means(self) -> Terms:
        """Returns means over the images of this epoch so far, in all processes."""
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
        checkpoint["temperature"] = self.temperature

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if checkpoint["temperature"] is not None:
            self.temperature = checkpoint["temperature"]

    def _not_finite(self, loss: Tensor) -> TrainingError:
        """Returns an error that names the first group of parameters that is to blame."""
        groups = self.trainer.optimizers[0].param_groups
        parameters = {group["name"]: group["params"] for group in groups}
        gradients = {
            name: torch.autograd.grad(loss, tensors, retain_graph=True, materialize_grads=True)
            for name, tensors in parameters.items()
        }
        where = (
            f"loss must be finite, but got {loss.item()} at step {self.global_step}, "
            f"temperature {self.temperature}"
        )
        for what, tensors_by_name in (("parameters", parameters), ("gradients", gradients)):
            for name, tensors in tensors_by_name.items():
                if not all(tensor.isfinite().all() for tensor in tensors):
                    return TrainingError(
                        f"{where}: the {what} of the {name} are not finite; "
                        "try a smaller --learning-rate"
                    )
        return TrainingError(f"{where}; all parameters are finite")

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
        """Returns the one-sample bound of the evaluated model on the test images."""
        sums = {name: self._reduced(sums) for name, sums in self.evaluation_sums.items()}
        return Terms(*(sums[name][0] / sums["images"] for name in Terms._fields))

    def evaluation(self) -> Evaluation:
        """Returns all figures, after a test."""
        sums = {name: self._reduced(sums) for name, sums in self.evaluation_sums.items()}
        return summarised(sums, self, self.importance_samples)

    def _reduced(self, sums: Tensor) -> Tensor:
        total = self.trainer.strategy.reduce(sums.to(self.device), reduce_op="sum")
        assert isinstance(total, Tensor)
        return total
