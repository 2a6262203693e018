"""The broker has to prove who it is before it is told the password."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAY = "from webapp.queue import app; print(app.connection_for_write().ssl)"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rediss://:secret@redis.example/0", "CERT_REQUIRED"),
        ("rediss://:secret@redis.example/0?ssl_cert_reqs=none", "CERT_NONE"),
        ("redis://redis.example/0", "None"),
    ],
)
def test_a_broker_by_tls_is_believed_with_its_certificate_alone(url: str, said: str) -> None:
    environment = {
        "LOCAL": "1",
        "REDIS_URL": url,
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "PATH": os.environ["PATH"],
    }
    root = Path(__file__).parents[2]
    printed = subprocess.check_output([sys.executable, "-c", SAY], env=environment, cwd=root, text=True)
    assert said in printed
