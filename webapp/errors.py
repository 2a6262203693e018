"""Errors that a person or a program can meet: a stable code, a sentence that says what to do, an HTTP status."""


class Problem(Exception):
    """A request that cannot be done as asked. Pages show the sentence; the API renders it as RFC 9457."""

    def __init__(self, code: str, message: str, *, status: int = 409, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details
