"""What can go wrong with an export."""


class ExportError(Exception):
    """A bundle that cannot be exported so; the message says why and what to do."""
