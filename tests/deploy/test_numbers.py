"""What the environment may say: a number that cannot be read, or that some work could not live with, ends the start."""

import os
import re
import runpy
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.deploy.manifests import ROOT

SETTINGS = ROOT / "webapp" / "settings.py"
BOUNDS = {
    "TRUSTED_PROXIES": (0, 100),
    "UPLOAD_URL_SECONDS": (1, 604_800),  # S3 signs no address for longer
    "UPLOAD_EXPIRES_HOURS": (1, 876_000),
    "LEASE_SECONDS": (1, 3600),  # a trainer extends its half hour once in a quarter of it
    "MAX_ATTEMPTS": (1, 1000),
    "INFERENCE_BATCH": (0, 4096),
    "IMPORT_MAX_BYTES": (1, 1024**4),
    "RETRAIN_AFTER_LABELS": (1, 10**9),
    "RETRAIN_EPOCHS": (1, 1000),
    "TRAINING_SECONDS": (1, 31_536_000),
    "TRAINING_NICENESS": (0, 19),
    "GATE_MIN_LESIONS": (1, 10**6),
    "RESULT_LINK_DAYS": (1, 36_500),
    "WEBHOOK_KEEP_DAYS": (1, 36_500),
}


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("which", ["below", "above", "three", "1.5", ""])
def test_a_whole_number_that_is_none_or_out_of_bounds_is_named_with_them(
    name: str, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    least, most = BOUNDS[name]
    said = {"below": str(least - 1), "above": str(most + 1)}.get(which, which)
    monkeypatch.setenv(name, said)
    whole = re.escape(f"{name} is {said!r}. Set it to a whole number from {least} to {most}.")
    with pytest.raises(ImproperlyConfigured, match=whole):
        runpy.run_path(str(SETTINGS))


@pytest.mark.parametrize("said", ["0", "1", "5%", "nan", ""])
def test_a_share_that_is_none_is_named(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_MARGIN", said)
    with pytest.raises(ImproperlyConfigured, match=r"GATE_MARGIN is .*between 0 and 1, such as 0\.05\."):
        runpy.run_path(str(SETTINGS))


@pytest.mark.parametrize("end", [0, 1])
def test_what_is_at_the_bounds_starts(end: int) -> None:
    """With a level of the log in small letters."""
    environment = {**os.environ, "LOCAL": "1", "LOG_LEVEL": "warning"}
    environment |= {name: str(bounds[end]) for name, bounds in BOUNDS.items()}
    argv = [sys.executable, "manage.py", "check"]
    said = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def test_every_number_has_its_bounds() -> None:
    read = SETTINGS.read_text()
    assert set(re.findall(r'env\.whole\("(\w+)"', read)) == set(BOUNDS)
    assert not re.search(r"env\.(int|float)\(", read)
