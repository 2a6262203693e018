"""Bundles from object storage onto this machine's disk."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage

from ml import bundle
from ml.runtime.arriving import ARRIVING, forget_broken_off
from webapp import storage
from webapp.registry.models import ModelRelease


def fetch_bundle(release: ModelRelease) -> Path:
    """The release's bundle as a folder on this machine, downloaded once and checked against its hash.

    Raises `ml.bundle.BundleError` if what arrived is not what the registry names, FileNotFoundError if nothing did,
    StorageAway.
    """
    folder = Path(settings.BUNDLE_FOLDER) / release.bundle_sha256
    forget_broken_off(folder.parent)
    if _is_bundle_of(release, folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=ARRIVING, dir=folder.parent) as arriving:
        with storage.asked():
            _, names = default_storage.listdir(release.key)
        for name in names:
            (Path(arriving) / name).write_bytes(storage.read(f"{release.key}/{name}"))
        if not _is_bundle_of(release, Path(arriving)):
            raise bundle.BundleError(f"{release.key} in storage is not the bundle of release {release.name}.")
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process of this machine was quicker
            Path(arriving).rename(folder)
    if not _is_bundle_of(release, folder):
        raise bundle.BundleError(f"{folder} is not the bundle of release {release.name}: delete it and try again.")
    return folder


def _is_bundle_of(release: ModelRelease, folder: Path) -> bool:
    return folder.is_dir() and bundle.digest(folder) == release.bundle_sha256
