"""What a process of the site does once for all its requests."""

import subprocess
import sys

SITE = """
import gc
from webapp.wsgi import application
from django.urls import reverse
reverse("cases:batches")
print(len(gc.get_objects()))
"""


def test_a_garbage_collection_does_not_look_at_what_the_site_consists_of() -> None:
    """It would hold up every request of the process, the longer the more there is."""
    ended = subprocess.run([sys.executable, "-c", SITE], capture_output=True, text=True, check=True, timeout=120)
    assert int(ended.stdout) < 10_000
