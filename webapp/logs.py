"""Structured logs: one JSON object a line, ids and counts only, never a name, an address or a finding."""

import logging
import logging.config
import re
from typing import Any

import structlog
from structlog.typing import EventDict

LEVELS = ("DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL", "NOTSET")  # as logging knows them
# A link's token in an address: to a result, to where a file goes, to a new password.
SECRET = re.compile(r"(/(?:results|uploads|account/password/reset/key)/)[^/\s?]{20,}")

# What Postgres adds to an error: the key or the whole row that it was about.
ROW = re.compile(r"DETAIL: .*?(?=\n\n(?:The above exception|During handling)|\Z)", re.DOTALL)


def hide_tokens(_: Any, __: str, event: EventDict) -> EventDict:
    """Keep the secret part of an address out of every record, as Django's own of refused requests."""
    return {name: SECRET.sub(r"\1…", said) if isinstance(said, str) else said for name, said in event.items()}


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
        hide_tokens,
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
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
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
