"""What an examination found."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One way in which a candidate differs from the reference.

    Attributes:
        check: the sentence that does not hold.
        message: where it does not hold, and what the fault looks like.
        reproduction: a script that prints what the reference returns at the worst input.
    """

    check: str
    message: str
    reproduction: str

    def __str__(self) -> str:
        script = textwrap.indent(self.reproduction, "    ")
        return f"{self.check}: it does not.\n{self.message}\nThe reference's answer:\n{script}"


@dataclass(frozen=True)
class Report:
    """The outcome of `check_distribution`; true where the candidate passed.

    Attributes:
        subject: the distribution that the candidate was compared with.
        checks: the sentences that were examined, in order.
        differences: those that do not hold.
    """

    subject: str
    checks: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        """Whether every check held."""
        return not self.differences

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        held = len(self.checks) - len(self.differences)
        lines = [f"{self.subject}: {held} of {len(self.checks)} checks held."]
        lines += [f"\n{i}. {difference}" for i, difference in enumerate(self.differences, 1)]
        return "\n".join(lines)

    def raise_for_differences(self) -> None:
        """Raises an `AssertionError` that holds the whole report unless the candidate passed."""
        if self.differences:
            raise AssertionError(str(self))
