import subprocess
from pathlib import Path

import pytest

from ml import version


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a repository with one file, `code.py`, whose version is asked for."""
    monkeypatch.delenv("LESIONLENS_CODE_VERSION", raising=False)
    monkeypatch.setattr(version, "__file__", str(tmp_path / "code.py"))
    (tmp_path / "code.py").write_text("1\n")
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "Begin"], ["tag", "v1"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)  # noqa: S607
    told = subprocess.run(["git", "-C", str(tmp_path), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)  # noqa: S607
    return told.stdout.strip()


def test_the_version_is_the_commit(commit: str) -> None:
    assert version.code_version() == commit


def test_code_that_was_not_committed_is_told(commit: str, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("2\n")
    assert version.code_version() == f"{commit}-dirty"
