"""The exceptions for users. Each has a message of one line."""


class InputError(ValueError):
    """An option, data file or checkpoint that cannot be used."""


class TrainingError(ArithmeticError):
    """Training that cannot go on."""
