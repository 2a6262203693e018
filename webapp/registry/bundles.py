"""Bundles into object storage, where every worker finds them."""

from pathlib import Path

from ml import bundle
from webapp import storage
from webapp.registry.models import ModelRelease


def store_bundle(folder: Path) -> bundle.Bundle:
    """Put a bundle's files under its hash, those that are not there yet; gives the bundle as loaded.

    Raises `ml.bundle.BundleError` for a folder that is no usable bundle, StorageAway.
    """
    loaded = bundle.load(folder)
    key = ModelRelease(bundle_sha256=loaded.hash).key
    for path in sorted(folder.iterdir()):
        counts = path.is_file() and not path.name.startswith(".")  # as `ml.bundle.digest` counts
        if counts and storage.size(f"{key}/{path.name}") != path.stat().st_size:
            storage.write(f"{key}/{path.name}", path.read_bytes())
    return loaded
