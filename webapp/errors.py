"""Errors that a person or a program can meet: a stable code, a sentence that says what to do, an HTTP status."""


class Problem(Exception):
    """A request that cannot be done as asked. Pages show the sentence; the API renders it as RFC 9457."""

    def __init__(self, code: str, message: str, *, status: int = 409, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer: when to come back, where that is known."""
        seconds = self.details.get("retry_after")
        return {} if seconds is None else {"Retry-After": str(seconds)}
