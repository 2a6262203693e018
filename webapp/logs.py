"""Structured logs: one JSON object a line, ids and counts only, never a name, an address or a finding."""

import logging
import logging.config
import re
from typing import Any

import structlog
from structlog.typing import EventDict

SECRET = re.compile(r"(/(?:results|uploads)/)[^/\s?]{20,}")  # a link's token in an address

# What Postgres adds to an error: the key or the whole row that it was about.
ROW = re.compile(r"DETAIL: .*?(?=\n\n(?:The above exception|During handling)|\Z)", re.DOTALL)


class HideTokens(logging.Filter):
    """Keeps the secret part of an address out of Django's own records of refused requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(SECRET.sub(r"\1…", part) if isinstance(part, str) else part for part in record.args)
        return True


def hide_rows(_: Any, __: str, event: EventDict) -> EventDict:
    """Keep rows of the database out of tracebacks: they hold names and notes."""
    if "exception" in event:
        event["exception"] = ROW.sub("DETAIL: (hidden)", event["exception"])
    return event


def logging_config(*, json: bool, level: str) -> None:
    """Send the standard library's and structlog's records through one formatter to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_rows,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer()
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                    "foreign_pre_chain": shared,
                }
            },
            "filters": {"hide_tokens": {"()": HideTokens}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                "django.request": {"filters": ["hide_tokens"]},
                "django.server": {"filters": ["hide_tokens"]},
                "celery.app.trace": {"level": "WARNING"},
                "botocore": {"level": "WARNING"},
                "httpx": {"level": "WARNING"},  # it logs addresses, and an upload address is a secret
                "kombu": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
