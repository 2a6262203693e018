"""A Postgres data folder whose database is up to date: made once for these migrations, and copied by whoever starts a
server for tests. Making one takes ten seconds of a processor, and a run of all tests starts seven.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from deploy.local.postgres import embedded_postgres
from deploy.local.stack import ROOT, STATE

KEPT = STATE / "migrated"


def copy_migrated(folder: Path) -> Path:
    """Makes `folder` a data folder to start a server on. What is newer than the copy, `migrate` adds."""
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / _version()
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _make(kept)
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", kept, folder], check=True)  # noqa: S607  # with its owner, whom Postgres runs as
    return folder


def _version() -> str:
    """Of all that says what the tables are like."""
    written = [*ROOT.glob("webapp/*/migrations/*.py"), ROOT / "webapp" / "settings.py", ROOT / "constraints.txt"]
    return sha256(b"".join(path.name.encode() + path.read_bytes() for path in sorted(written))).hexdigest()[:16]


def _make(kept: Path) -> None:
    for older in KEPT.glob("*/"):
        shutil.rmtree(older)
    with tempfile.TemporaryDirectory(prefix="lesionlens-migrated-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres may run as another user
        with embedded_postgres(folder / "postgres", log=folder / "log", durable=False) as server:
            migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
            environment = {**os.environ, "LOCAL": "1", "DATABASE_URL": server.url}
            subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        subprocess.run(["cp", "-a", folder / "postgres", KEPT / "arriving"], check=True)  # noqa: S607
    (KEPT / "arriving").rename(kept)
