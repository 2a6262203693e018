"""Virtual environments of their own for what a bench needs and the service must not have."""

import subprocess
import sys
import venv
from pathlib import Path

from deploy.local.stack import STATE


def python_with(requirements: Path) -> Path:
    """The Python of an environment that has these requirements, and after them what is installed here.

    It is made where there is none yet, with what is pinned in the file, from PyPI.
    """
    folder = STATE / "bench-environments" / requirements.stem
    python, done = folder / "bin" / "python", folder / "done"
    if done.exists() and done.read_text() == requirements.read_text():
        return python
    venv.create(folder, clear=True, with_pip=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "lesionlens.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", requirements], check=True)
    done.write_text(requirements.read_text())
    return python
