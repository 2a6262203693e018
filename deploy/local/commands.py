"""What LesionLens consists of: one command for each process, the same on one machine and in docker-compose.yml.

Where gunicorn listens comes from GUNICORN_CMD_ARGS. It is one process of many threads, whose counters /metrics gives.
"""

from dataclasses import dataclass

_WORKER = "celery -A workers worker --loglevel INFO --without-gossip --without-mingle --prefetch-multiplier 1"


@dataclass(frozen=True)
class Command:
    """A process: what runs, as `python -m …` takes it, what it writes once it is ready (nothing: ask it), and its share
    of a busy processor, as `set_niceness` takes it.
    """

    line: str
    ready: str = ""
    niceness: int = 0


COMMANDS = {
    # Idle connections are kept for longer than clients and proxies keep them (Caddy: two minutes), so that none is
    # closed here at the moment when a request comes on it.
    "web": Command(
        "gunicorn webapp.wsgi:application --worker-class gthread --threads 32 --keep-alive 150 --no-control-socket"
    ),
    # Intake, messages and the sweep: several, so that none waits for another; processes, so that a file that hangs or
    # crashes a decoder is ended by its time limit and takes nothing with it. One that has held 450 MB gives them back.
    "worker-cpu": Command(
        f"{_WORKER} -n worker-cpu@%h -Q default --pool prefork --concurrency 4 --max-memory-per-child 450000", " ready."
    ),
    # One process for each device, so that the model is loaded once. It has three times the share of the others, or what
    # arrives would keep a slow model from answering what is there.
    "worker-inference": Command(
        f"{_WORKER} -n worker-inference@%h -Q inference --pool threads --concurrency 1", " ready.", niceness=-5
    ),
    "worker-training": Command(
        f"{_WORKER} -n worker-training@%h -Q training --pool threads --concurrency 1", " ready."
    ),
    "scheduler": Command("celery -A webapp.queue beat --loglevel INFO --schedule {schedule}", "beat: Starting"),
}
