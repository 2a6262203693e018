"""What the worker that sends letters does."""

from webapp.notify.delivery import claim_message
from workers.delivery import send


def go_out() -> None:
    """Send what is due, as the worker does."""
    while claimed := claim_message():
        token, message = claimed
        send(message, token)
