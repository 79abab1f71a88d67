"""The one exception that users are meant to read."""


class InputError(ValueError):
    """An option, data file or checkpoint that cannot be used, in one line that says why."""
