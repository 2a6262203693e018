"""Celery workers: `celery -A workers worker -Q <queue>`. Importing this registers every task."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django.setup()

from webapp.queue import app  # noqa: E402
from workers import delivery, inference, intake, training, upkeep, webhooks  # noqa: E402

__all__ = ["app", "delivery", "inference", "intake", "training", "upkeep", "webhooks"]
