"""Temperatures that go down in training."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from relaxit_torch.core import constraints
from relaxit_torch.core.parameters import check_count, check_number

Curve = Literal["exponential", "linear", "cosine"]


class TemperatureSchedule:
    r"""A temperature that goes from `start` to `end` in a number of steps, and stays there.

    With $r = \min(t / T, 1)$ after $t$ of $T$ steps,

    $$\tau_t = \begin{cases}
      \text{start}\,(\text{end} / \text{start})^r & \text{exponential} \\
      \text{start} + (\text{end} - \text{start})\,r & \text{linear} \\
      \text{end} + \frac{1}{2} (\text{start} - \text{end}) (1 + \cos \pi r) & \text{cosine.}
      \end{cases}$$

    It is used as the schedulers of `torch.optim.lr_scheduler`: `step()` after every update or
    epoch, `get_last_temperature()` for the value that holds now, `state_dict()` and
    `load_state_dict()` to go on with it later. Temperatures are Python numbers.

    Args:
        curve: `exponential`, `linear` or `cosine`.
        start: the temperature before the first step, positive.
        end: the temperature after the last, positive.
        steps: how many there are.

    Raises:
        TypeError, ValueError: an argument is none of these.

    Example:
        >>> import relaxit_torch as rt
        >>> schedule = rt.nn.TemperatureSchedule("exponential", start=1.0, end=0.25, steps=2)
        >>> temperatures = []
        >>> for _ in range(4):
        ...     temperatures.append(schedule.get_last_temperature())
        ...     schedule.step()
        >>> temperatures
        [1.0, 0.5, 0.25, 0.25]

    References:
        Jang, Gu, Poole (2017), Categorical Reparameterization with Gumbel-Softmax (exponential);
        Loshchilov, Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts (cosine).
    """

    def __init__(self, curve: Curve, *, start: float, end: float, steps: int) -> None:
        if curve not in get_args(Curve):
            raise ValueError(
                f"curve must be one of {', '.join(get_args(Curve))}, but got {curve!r}"
            )
        self.curve: Curve = curve
        self.start = check_number("start", start, constraints.positive)
        self.end = check_number("end", end, constraints.positive)
        self.steps = check_count("steps", steps)
        self.last_step = 0

    def step(self) -> None:
        """Goes one step on."""
        self.last_step += 1

    def get_last_temperature(self) -> float:
        """The temperature after the steps until now."""
        share = min(self.last_step / self.steps, 1.0)
        if self.curve == "exponential":
            return self.start * (self.end / self.start) ** share
        if self.curve == "linear":
            return self.start + (self.end - self.start) * share
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2

    def state_dict(self) -> dict[str, Any]:
        """Everything that the schedule is made of, in numbers and strings."""
        return dict(vars(self))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Makes it the schedule that `state_dict()` was called on.

        Raises:
            TypeError, ValueError: a state of something else.
        """
        if state_dict.keys() != vars(self).keys():
            raise ValueError(
                f"state_dict must have the entries {', '.join(vars(self))}, "
                f"but got {', '.join(map(str, state_dict)) or 'none'}"
            )
        last_step = state_dict["last_step"]
        if last_step != 0:
            check_count("last_step", last_step)
        arguments = {name: state_dict[name] for name in ("curve", "start", "end", "steps")}
        vars(self).update(vars(TemperatureSchedule(**arguments)), last_step=last_step)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.curve!r}, start={self.start}, end={self.end}, "
            f"steps={self.steps})"
        )
