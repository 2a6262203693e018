"""`manage.py register_bundle [FOLDER]`: the bundle that ships becomes the first release."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ml.bundle import BundleError, shipped
from webapp.audit.services import SYSTEM
from webapp.registry.bundles import store_bundle
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release
from webapp.registry.services import promote, register_release


class Command(BaseCommand):
    help = "Register a bundle as a release, and make it the active one if none is. Again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", nargs="?", type=Path, help="empty: BUNDLE, or the newest that ships")

    def handle(self, *args: Any, folder: Path | None, **options: Any) -> None:
        try:
            folder = Path(folder or settings.BUNDLE or shipped())
            bundle = store_bundle(folder)
        except BundleError as error:
            raise CommandError(str(error)) from error
        known = ModelRelease.objects.filter(bundle_sha256=bundle.hash).exists()
        release = register_release(bundle_sha256=bundle.hash, manifest=dict(bundle.manifest))
        self.stdout.write(f"{'Already registered' if known else 'Registered'}: {release.name} ({folder})")
        active = active_release()
        if active is None and release.state == ModelRelease.State.CANDIDATE:
            promote(actor=SYSTEM, release=release)
            self.stdout.write(f"Active: {release.name}")
        if active is not None and active.unusable:
            self.stdout.write(f"Nothing is answered: {active.name} is active, and {active.unusable}")
            self.stdout.write("Promote a release that can answer, on the page of models.")
