"""The bias, variance and cost of gradient estimators, measured against the exact gradient."""

from .report import gradient_report as gradient_report
from .row import GradientRow as GradientRow
from .table import GradientReport as GradientReport
