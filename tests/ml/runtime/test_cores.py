import os
from pathlib import Path

import pytest

from ml.runtime.cores import cores

MACHINE = 64


@pytest.fixture(autouse=True)
def _large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MACHINE)))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("400000 100000", 4),
        ("150000 100000", 2),
        ("5000 100000", 1),
        ("9900000 100000", MACHINE),
        ("max 100000", MACHINE),
    ],
)
def test_a_container_counts_its_quota(tmp_path: Path, said: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{said}\n")
    assert cores(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("400000", 4), ("-1", MACHINE)])
def test_older_kernels_say_it_in_two_files(tmp_path: Path, quota: str, expected: int) -> None:
    folder = tmp_path / "cpu"
    folder.mkdir()
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert cores(tmp_path) == expected


def test_without_control_groups_the_machine_counts(tmp_path: Path) -> None:
    assert cores(tmp_path) == MACHINE
