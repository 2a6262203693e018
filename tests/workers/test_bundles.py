"""What a worker keeps of bundles on its disk."""

import os
import time
from pathlib import Path

import pytest
from pytest_django import Settings

from ml.runtime.arriving import ARRIVING, BROKEN_OFF_SECONDS
from tests.ml.tiny_bundle import make_tiny_bundle
from webapp.registry.bundles import store_bundle
from webapp.registry.services import register_release
from workers.bundles import fetch_bundle


@pytest.mark.django_db
def test_what_a_worker_that_died_has_half_downloaded_is_deleted_and_what_another_downloads_is_not(
    settings: Settings, tmp_path: Path, storage_folder: Path
) -> None:
    settings.BUNDLE_FOLDER = str(tmp_path / "bundles")
    bundle = store_bundle(make_tiny_bundle(tmp_path / "tiny"))
    release = register_release(bundle_sha256=bundle.hash, manifest=dict(bundle.manifest))
    folder = fetch_bundle(release)
    broken_off, arriving = (folder.with_name(f"{ARRIVING}{name}") for name in ("died", "alive"))
    for half in (broken_off, arriving):
        half.mkdir()
        (half / "manifest.json").write_bytes(b"{")
    long_ago = time.time() - BROKEN_OFF_SECONDS - 1
    os.utime(broken_off, (long_ago, long_ago))

    assert fetch_bundle(release) == folder

    assert {path.name for path in folder.parent.iterdir()} == {folder.name, arriving.name}
