"""`make` installs what is not installed yet, and only that."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.manifests import ROOT

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "constraints.txt")
PIP = '#!/bin/sh\necho "$@" >> pip.log\ntest ! -e broken\n'


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], int]:
    """Makes a goal in a checkout whose .venv is there, with a `python` that only notes what it is to install."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in REQUIREMENTS:
        (tmp_path / name).write_text(f"# {name}\n")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PIP)
    python.chmod(0o755)
    (tmp_path / ".venv" / ".made").touch()
    return lambda goal: (
        subprocess.run([str(shutil.which("make")), goal], cwd=tmp_path, capture_output=True, check=False).returncode
    )


def installed(folder: Path) -> list[str]:
    """The files that were given to pip, one run after the other."""
    log = folder / "pip.log"
    return [line.split()[-1] for line in log.read_text().splitlines()] if log.exists() else []


def test_what_is_installed_is_not_installed_again_where_a_checkout_makes_files_newer(
    tmp_path: Path, make: Callable[[str], int]
) -> None:
    assert make("setup") == 0
    assert installed(tmp_path) == ["requirements.txt"]
    for name in REQUIREMENTS:
        newer = (tmp_path / name).stat().st_mtime + 3600
        os.utime(tmp_path / name, (newer, newer))
    assert make("setup") == 0
    assert installed(tmp_path) == ["requirements.txt"]
    (tmp_path / "requirements.txt").write_text("another==1\n")
    assert make("setup") == 0
    assert installed(tmp_path) == ["requirements.txt", "requirements.txt"]


def test_an_installation_that_broke_off_is_taken_up_again(tmp_path: Path, make: Callable[[str], int]) -> None:
    (tmp_path / "broken").touch()
    assert make("setup") != 0
    (tmp_path / "broken").unlink()
    assert make("setup") == 0
    assert installed(tmp_path) == ["requirements.txt", "requirements.txt"]


def test_who_has_what_developers_need_has_what_it_runs_on(tmp_path: Path, make: Callable[[str], int]) -> None:
    assert make("developer-tools") == 0
    assert make("setup") == 0
    assert installed(tmp_path) == ["requirements-dev.txt"]


@pytest.mark.parametrize("failing", [None, "ruff", "lint-imports", "check-jsonschema", "mypy", "pytest"])
def test_whatever_check_fails_fails_the_whole_and_is_told(
    tmp_path: Path, make: Callable[[str], int], failing: str | None
) -> None:
    tools = ["ruff", "lint-imports", "check-jsonschema", "mypy", "pytest"]
    (tmp_path / "deploy").mkdir()
    for program in (tmp_path / "deploy" / "system-packages.sh", *(tmp_path / ".venv" / "bin" / name for name in tools)):
        program.write_text(f'#!/bin/sh\necho "{program.name} was here"\ntest {program.name} != "{failing}"\n')
        program.chmod(0o755)
    done = subprocess.run(
        [str(shutil.which("make")), "test"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (failing is None)
    assert f"{failing or 'mypy'} was here" in done.stdout
