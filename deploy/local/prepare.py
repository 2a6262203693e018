"""Bring database, model and static files up to date, in one process: starting Django three times would cost seconds."""

import fcntl
import os
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command


def main() -> None:
    """Migrate, register the bundle that ships, and collect the static files if any has changed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("register_bundle")
    root = Path(settings.STATIC_ROOT)
    root.parent.mkdir(parents=True, exist_ok=True)
    with root.with_suffix(".lock").open("w") as lock:  # tests may start two services at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _static_files_have_changed():
            call_command("collectstatic", interactive=False, verbosity=0)


def _static_files_have_changed() -> bool:
    """Whether a static file is newer than the collected ones: collecting compresses them all, which takes seconds."""
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    if not manifest.exists():
        return True
    collected = manifest.stat().st_mtime
    return any(
        Path(storage.path(path)).stat().st_mtime > collected
        for finder in get_finders()
        for path, storage in finder.list(None)
    )


if __name__ == "__main__":
    main()
