"""Celery workers: `celery -A workers worker -Q <queue>`. Importing this registers every task."""

import gc
import os
from typing import Any

import django
from celery.signals import worker_before_create_process

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django.setup()

from webapp.queue import app  # noqa: E402
from workers import delivery, inference, intake, training, upkeep, webhooks  # noqa: E402

__all__ = ["app", "delivery", "inference", "intake", "training", "upkeep", "webhooks"]


@worker_before_create_process.connect
def _keep_shared(**_: Any) -> None:
    """A forked process shares what was imported before, until a garbage collection there writes to each object."""
    gc.collect()
    gc.freeze()
