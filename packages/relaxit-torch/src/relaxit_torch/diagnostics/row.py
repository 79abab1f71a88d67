"""The measurements of one estimator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GradientRow:
    """The measurements of one estimator at one temperature.

    The gradients of all logits of the batch are treated as one vector: the gradient of the sum of
    `f`.
    """

    estimator: str
    temperature: float | None
    """None for an estimator without a temperature, or with a tensor of several."""
    bias_squared: float
    """The squared distance between the mean draw and the exact gradient. The expected contribution
    of noise is subtracted, so it may be slightly negative."""
    bias_squared_stderr: float
    """The standard error of `bias_squared`."""
    variance: float
    """The sum of the variances of all entries of a draw."""
    mean_squared_error: float
    """The mean squared distance between a draw and the exact gradient."""
    cosine_of_mean: float
    """The cosine between the mean draw and the exact gradient."""
    mean_cosine: float
    """The mean of the cosines between a draw and the exact gradient; 0 for a draw that is 0."""
    evaluations: float
    """The number of samples on which `f` is called, per draw and batch element."""
    seconds: float
    """The time of a draw, forward and backward, when many are drawn at once."""

    @property
    def has_bias(self) -> bool:
        """Whether a bias was found: `bias_squared` is above two standard errors."""
        return self.bias_squared > 2 * self.bias_squared_stderr
