"""Whatever dies on the way, every image ends with exactly one result and no message goes out twice."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.clinic import Clinic
from deploy.local.samples import read_synthetic
from deploy.local.stack import running_stack
from tests.e2e.conftest import QUICK
from tests.e2e.faults import break_everything
from tests.migrated import copy_migrated
from tests.ml.tiny_bundle import make_tiny_bundle

IMAGES = 60


@pytest.fixture
def own_state() -> Iterator[Path]:
    """Servers of this test's own: they are about to be broken."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-faults-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_kills_a_flush_and_a_restart_lose_and_double_nothing(own_state: Path) -> None:
    environment = {
        **QUICK,
        "INFERENCE_BATCH": "1",  # slow enough to be struck in the middle
        "BUNDLE": str(make_tiny_bundle(own_state / "tiny")),
    }
    copy_migrated(own_state / "postgres")
    with running_stack(own_state, isolated=True, environment=environment) as stack:
        clinic = Clinic(stack.base_url, json.loads(stack.manage("demo_accounts"))["api_key"])
        report = break_everything(stack, clinic, read_synthetic(own_state / "synthetic", IMAGES), timeout=240)
        clinic.close()

    assert report.nothing_lost_or_doubled, report
    assert report.refused < IMAGES / 10, report
    assert report.struck_at[-1] < IMAGES, f"the last fault came too late to matter: {report}"
