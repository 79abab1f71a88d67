"""What an examination found."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One way in which a candidate differs from the reference.

    Attributes:
        check: the sentence that is not true of the candidate.
        message: where the check fails, and what the fault looks like.
        reproduction: a script that prints what the reference returns for such an input.
    """

    check: str
    message: str
    reproduction: str

    def __str__(self) -> str:
        script = textwrap.indent(self.reproduction, "    ")
        return f"{self.check}: it does not.\n{self.message}\nThe reference's answer:\n{script}"


@dataclass(frozen=True)
class Report:
    """The outcome of `check_distribution`, which is true if the candidate passed.

    Attributes:
        subject: the distribution that the candidate was compared with.
        checks: the sentences that were checked, in order.
        differences: the sentences that are not true, with their faults.
    """

    subject: str
    checks: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        """Whether the candidate passed every check."""
        return not self.differences

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        held = len(self.checks) - len(self.differences)
        lines = [f"{self.subject}: {held} of {len(self.checks)} checks held."]
        lines += [f"\n{i}. {difference}" for i, difference in enumerate(self.differences, 1)]
        return "\n".join(lines)

    def raise_for_differences(self) -> None:
        """Raises AssertionError with the whole report if there is a difference."""
        if self.differences:
            raise AssertionError(str(self))
