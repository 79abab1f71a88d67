"""Keeps the figures of every epoch, in the checkpoints and in files for people."""

import csv
import io
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

from relaxit_vae.errors import TrainingError
from relaxit_vae.files import write_text
from relaxit_vae.module import VAE

Row = dict[str, float | None]


class History(Callback):
    """Writes a row of figures for each epoch, and a log with a line for every start and resumption.

    The rows are part of each checkpoint. So `metrics.csv` has each epoch once after a resumption.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self.start = self.stop = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch:
            self.note(f"resumed after epoch {trainer.current_epoch} at step {trainer.global_step}")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.note(f"epoch {trainer.current_epoch + 1} starts at step {trainer.global_step}")
        self.start = time.perf_counter()

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.stop = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, VAE)
        training, test = pl_module.training_means(), pl_module.validation_means()
        figures = {
            f"{split}/{name}": term.item()
            for split, terms in [("train", training), ("test", test)]
            for name, term in terms._asdict().items()
        }
        temperature = pl_module.temperature
        if temperature is not None:
            figures["temperature"] = temperature
        pl_module.log_dict(figures, rank_zero_only=True)
        pl_module.log("test", figures["test/elbo"], prog_bar=True, logger=False)
        if not all(abs(figure) < float("inf") for figure in figures.values()):  # nor NaN
            raise TrainingError(
                f"loss must be finite, but got {-figures['train/elbo']} in training and "
                f"{-figures['test/elbo']} in evaluation at step {trainer.global_step}, "
                f"temperature {temperature}: {_culprit(pl_module)}"
            )
        row: Row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        self.rows.append(row | figures | {"seconds": self.stop - self.start})
        self._write()
        self.note(f"epoch {trainer.current_epoch + 1} done: test ELBO {figures['test/elbo']:.3f}")

    @rank_zero_only
    def note(self, text: str) -> None:
        """Adds a line with the time to the log."""
        with (self.folder / "run.log").open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    @rank_zero_only
    def _write(self) -> None:
        file = io.StringIO()
        writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.folder / "metrics.csv", file.getvalue())


def _culprit(model: VAE) -> str:
    for name, part in model.named_children():
        if not all(parameter.isfinite().all() for parameter in part.parameters()):
            return f"the parameters of the {name} are not finite; try a smaller --learning-rate"
    return "all parameters are finite"
