r"""The bias, variance and cost of gradient estimators, measured against the exact gradient.

Example:
    >>> import torch
    >>> from torch.distributions import OneHotCategorical
    >>> from relaxit_torch.diagnostics import gradient_report
    >>> from relaxit_torch.estimators import reinmax, score_function, straight_through
    >>> distribution = OneHotCategorical(logits=torch.tensor([1.0, 0.0, -1.0]))
    >>> report = gradient_report(
    ...     [score_function, straight_through, reinmax],
    ...     distribution,
    ...     lambda z: (z @ torch.tensor([1.0, -1.0, 2.0])) ** 2,
    ...     samples=1000,
    ... )
    >>> [row.estimator for row in report.rows]
    ['score_function', 'straight_through', 'reinmax']
    >>> report.rows[1].bias_squared > report.rows[2].bias_squared
    True
    >>> print(report)  # doctest: +ELLIPSIS
    estimator         temperature  bias_squared ...
"""

from .report import gradient_report as gradient_report
from .row import GradientRow as GradientRow
from .table import GradientReport as GradientReport
