"""What is wrong with data, for a person and a program."""


class DataError(Exception):
    """A data set that cannot be used. `code` is stable; the message says what is wrong and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
