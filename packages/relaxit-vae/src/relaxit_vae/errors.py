"""The exceptions that users are meant to read, each in one line that says why."""


class InputError(ValueError):
    """An option, data file or checkpoint that cannot be used."""


class TrainingError(ArithmeticError):
    """Training that cannot go on."""
