"""Bundles between object storage and this machine's disk."""

from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage

from ml import bundle
from webapp import storage
from webapp.registry.models import ModelRelease


def store_bundle(folder: Path) -> str:
    """Put a bundle's files into object storage under its hash; gives the hash. Twice is no harm."""
    sha256 = bundle.load(folder).hash
    for path in sorted(folder.iterdir()):
        storage.write(f"bundles/{sha256}/{path.name}", path.read_bytes())
    return sha256


def fetch_bundle(release: ModelRelease) -> Path:
    """The release's bundle as a folder on this machine, downloaded once and checked against its hash.

    Raises `ml.bundle.BundleError` if what arrived is not what the registry names.
    """
    folder = Path(settings.BUNDLE_FOLDER) / release.bundle_sha256
    if not folder.exists():
        _, names = default_storage.listdir(release.key)
        arriving = folder.with_name(f".{folder.name}")
        arriving.mkdir(parents=True, exist_ok=True)
        for name in names:
            (arriving / name).write_bytes(storage.read(f"{release.key}/{name}"))
        arriving.rename(folder)
    if bundle.load(folder).hash != release.bundle_sha256:
        raise bundle.BundleError(f"{folder} is not the bundle of release {release.name}: delete the folder and retry.")
    return folder
