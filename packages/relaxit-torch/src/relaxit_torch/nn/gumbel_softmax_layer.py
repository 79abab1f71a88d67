"""A layer that chooses a category."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from relaxit_torch.core import constraints
from relaxit_torch.core.parameters import check_number
from relaxit_torch.functional import gumbel_softmax
from relaxit_torch.nn.temperature_schedule import TemperatureSchedule
from relaxit_torch.numerics.kernels import hardmax


class GumbelSoftmaxLayer(nn.Module):
    r"""A layer from logits to a choice: random in training, the likeliest category in evaluation.

    In training, the output is `functional.gumbel_softmax(logits, temperature, hard, dim)` at the
    schedule's current temperature. In evaluation, it is the one-hot argmax of the logits.

    The `state_dict` contains the schedule and its last step, so resumed training continues at the
    same temperature. The layer does not call `schedule.step()`.

    Args:
        temperature: $\tau > 0$: a number, or a schedule, which layers may share.
        hard: Whether samples are one-hot, with the gradient of relaxed samples (straight-through).
        dim: The dimension of the categories.

    Raises:
        TypeError: `temperature` is neither a number nor a schedule.
        ValueError: `temperature` is not positive and finite.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> schedule = rt.nn.TemperatureSchedule("linear", start=1.0, end=0.1, steps=100)
        >>> layer = rt.nn.GumbelSoftmaxLayer(schedule)
        >>> layer(torch.randn(8, 5)).shape
        torch.Size([8, 5])
        >>> schedule.step()
        >>> layer.eval()(torch.tensor([0.5, 2.0, 1.0]))
        tensor([0., 1., 0.])

    References:
        Jang, Gu, Poole (2017), Categorical Reparameterization with Gumbel-Softmax.
    """

    def __init__(
        self,
        temperature: float | TemperatureSchedule = 1.0,
        *,
        hard: bool = False,
        dim: int = -1,
    ) -> None:
        super().__init__()
        if not isinstance(temperature, TemperatureSchedule):
            temperature = check_number("temperature", temperature, constraints.positive)
            temperature = TemperatureSchedule("linear", start=temperature, end=temperature, steps=1)
        self.schedule, self.hard, self.dim = temperature, hard, dim

    @property
    def temperature(self) -> float:
        """The temperature of the next sample."""
        return self.schedule.get_last_temperature()

    def forward(self, logits: Tensor) -> Tensor:
        """Relaxed or one-hot vectors along `dim`, with the shape and dtype of `logits`.

        Raises:
            TypeError: `logits` are not floating-point, in training.
        """
        if self.training:
            return gumbel_softmax(logits, self.temperature, self.hard, self.dim)
        return hardmax(logits, self.dim)

    def get_extra_state(self) -> dict[str, Any]:
        return self.schedule.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Loads the state of the schedule. See `TemperatureSchedule.load_state_dict`."""
        self.schedule.load_state_dict(state)

    def extra_repr(self) -> str:
        return f"{self.schedule}, hard={self.hard}, dim={self.dim}"
