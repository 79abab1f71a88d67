"""Temperatures that decrease in training."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from relaxit_torch.core import constraints
from relaxit_torch.core.parameters import check_count, check_number

Curve = Literal["exponential", "linear", "cosine"]


class TemperatureSchedule:
    r"""A temperature that moves from `start` to `end` in a number of steps, and then stays there.

    With $r = \min(t / T, 1)$ after $t$ of $T$ steps,

    $$\tau_t = \begin{cases}
      \text{start}\,(\text{end} / \text{start})^r & \text{exponential} \\
      \text{start} + (\text{end} - \text{start})\,r & \text{linear} \\
      \text{end} + \frac{1}{2} (\text{start} - \text{end}) (1 + \cos \pi r) & \text{cosine.}
      \end{cases}$$

    Use it like a scheduler of `torch.optim.lr_scheduler`: call `step()` after every update or
    epoch. `get_last_temperature()` returns the current temperature, a Python number.

    Args:
        curve: `"exponential"`, `"linear"` or `"cosine"`.
        start: The temperature before the first step, positive.
        end: The temperature after the last step, positive.
        steps: The number of steps $T$.

    Raises:
        TypeError: `start` or `end` is not a number.
        ValueError: `curve` has another value, `start` or `end` is not positive and finite, or
            `steps` is not a positive integer.

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
        """Advances by one step."""
        self.last_step += 1

    def get_last_temperature(self) -> float:
        """The current temperature."""
        share = min(self.last_step / self.steps, 1.0)
        if self.curve == "exponential":
            return self.start * (self.end / self.start) ** share
        if self.curve == "linear":
            return self.start + (self.end - self.start) * share
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2

    def state_dict(self) -> dict[str, Any]:
        """The arguments and the last step, as numbers and strings."""
        return dict(vars(self))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict()` returned.

        Raises:
            TypeError, ValueError: `state_dict` is not the state of a schedule. Nothing is changed.
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
