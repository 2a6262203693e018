"""What LesionLens consists of: one command for each process, the same on one machine and in docker-compose.yml.

Where a process listens, and how many workers gunicorn has, come from GUNICORN_CMD_ARGS and WEB_CONCURRENCY.
"""

from dataclasses import dataclass

_WORKER = "celery -A workers worker --loglevel INFO --without-gossip --without-mingle --prefetch-multiplier 1"


@dataclass(frozen=True)
class Command:
    """A process: what runs, as `python -m …` takes it, and what it writes once it is ready (nothing: ask it)."""

    line: str
    ready: str = ""


COMMANDS = {
    "web": Command("gunicorn webapp.wsgi:application --worker-class gthread --threads 16 --no-control-socket"),
    "worker-cpu": Command(f"{_WORKER} -n worker-cpu@%h -Q default --pool threads --concurrency 2", " ready."),
    # One process for each device: the model is loaded once, and the threads share it.
    "worker-inference": Command(
        f"{_WORKER} -n worker-inference@%h -Q inference --pool threads --concurrency 1", " ready."
    ),
    # A fresh process for each run gives back all memory that training took.
    "worker-training": Command(
        f"{_WORKER} -n worker-training@%h -Q training --pool prefork --concurrency 1 --max-tasks-per-child 1", " ready."
    ),
    "scheduler": Command("celery -A workers beat --loglevel INFO --schedule {schedule}", "beat: Starting"),
}
