"""The bundle that ships becomes the first release, once, wherever and however often the service starts."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from ml import bundle
from tests.factories import ReleaseFactory
from tests.ml.tiny_bundle import make_tiny_bundle
from webapp import storage
from webapp.audit.services import SYSTEM
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release
from webapp.registry.services import reject

pytestmark = pytest.mark.django_db
State = ModelRelease.State


def register(*arguments: str) -> str:
    out = io.StringIO()
    call_command("register_bundle", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def shipped(tmp_path: Path, settings: Settings) -> Path:
    settings.BUNDLE = str(make_tiny_bundle(tmp_path / "tiny"))
    return tmp_path / "tiny"


def test_the_first_bundle_serves_at_once_and_again_changes_nothing(shipped: Path) -> None:
    said = register()
    assert said.startswith("Registered: tiny")
    assert "Active: tiny" in said
    release = active_release()
    assert release is not None
    assert [member["weights"] for member in release.manifest["members"]] == ["tiny.npz"]
    needed = {"manifest.json", "model_card.md", "novelty.npz", "seen.npy", "tiny.npz"}
    assert {path.name for path in shipped.iterdir()} == needed
    for path in shipped.iterdir():
        assert storage.read(f"{release.key}/{path.name}") == path.read_bytes()
    storage.delete(f"{release.key}/tiny.npz")  # storage lost it
    assert register().startswith("Already registered: tiny")
    assert storage.size(f"{release.key}/tiny.npz") == (shipped / "tiny.npz").stat().st_size
    assert ModelRelease.objects.count() == 1


def test_a_later_bundle_waits_for_an_operator(shipped: Path, tmp_path: Path) -> None:
    register()
    said = register(str(make_tiny_bundle(tmp_path / "newer", seed=1, name="newer")))
    assert "Active" not in said
    assert ModelRelease.objects.get(name="newer").state == State.CANDIDATE
    assert ModelRelease.objects.get(name="tiny").state == State.ACTIVE


def test_where_the_active_release_fits_this_version_no_more_it_says_what_to_do(shipped: Path) -> None:
    active = ReleaseFactory(active=True)
    assert "Nothing is answered" not in register()
    active.manifest["preprocessing"] = {"version": "frame-4x3-v4"}
    active.save()
    said = register()
    assert f"Nothing is answered: {active.name} is active, and it wants preprocessing frame-4x3-v4" in said
    assert "Promote a release that can answer" in said
    assert active_release() == active


def test_a_bundle_that_an_operator_rejected_is_not_brought_back(shipped: Path) -> None:
    other = ReleaseFactory(active=True)
    register()
    reject(actor=SYSTEM, release=ModelRelease.objects.get(name="tiny"))
    ModelRelease.objects.filter(pk=other.pk).delete()
    register()
    assert active_release() is None


def test_the_newest_that_ships_is_taken(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BUNDLE = ""
    monkeypatch.setattr(bundle, "SHIPPED", tmp_path)
    with pytest.raises(CommandError, match="No bundle ships"):
        register()
    for name in ("2026-01", "2026-02"):
        make_tiny_bundle(tmp_path / name, name=name)
    assert "Registered: 2026-02" in register()


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="not a bundle"):
        register(str(tmp_path))
