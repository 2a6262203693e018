"""A migrated Postgres of a bench's own, for what asks Django in the bench's own process."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import prepare
from deploy.local.databases import databases
from deploy.local.stack import settings_for


@contextmanager
def own_database() -> Iterator[None]:
    """Servers in a folder that is removed at the end, named by this process's environment; Django is set up."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the embedded Postgres runs as another user
        with databases(folder, isolated=True, durable=False) as servers:
            os.environ |= settings_for(folder, isolated=True) | servers.environment
            prepare.main()
            yield
