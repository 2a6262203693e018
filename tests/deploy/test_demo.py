"""The demo leaves what others do on the same site alone, and the release that answered before it."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from deploy.local import demo
from deploy.local.clinic import Photo
from deploy.local.demo import label
from tests.factories import (
    BatchFactory,
    CaseFactory,
    ImageFactory,
    MembershipFactory,
    OrganisationFactory,
    ReleaseFactory,
    UserFactory,
)
from webapp.audit.services import SYSTEM
from webapp.labels.models import CANNOT_TELL, Consensus, Label
from webapp.registry.selectors import active_release
from webapp.registry.services import promote

pytestmark = pytest.mark.django_db


def test_only_the_pictures_of_its_own_batch_are_labelled() -> None:
    clinic = OrganisationFactory()
    for number in (1, 2):
        MembershipFactory(organisation=clinic, user__email=f"annotator{number}@demo.example")
    others, own = (BatchFactory(organisation=clinic, submitted=True) for _ in range(2))
    for batch in (others, own):
        for name in ("known", "unknown"):
            ImageFactory(case=CaseFactory(batch=batch, external_id=name), ready=True)
    photo = Photo(case_id="known", patient_id="p", filename="a.jpg", data=b"", dx="MEL")

    label([photo], batch_id=str(own.pk))
    label([photo], batch_id=str(own.pk))  # nobody is asked about a picture twice

    assert set(Label.objects.values_list("image__batch", flat=True)) == {own.pk}
    found = Consensus.objects.values_list("image__case__external_id", "dx")
    assert dict(found) == {"known": "MEL", "unknown": CANNOT_TELL}


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, TimeoutError])
def test_the_release_of_before_is_active_again_though_the_end_goes_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: type[BaseException]
) -> None:
    before = ReleaseFactory(active=True)
    UserFactory(email="operator@demo.example")
    photo = Photo(case_id="known", patient_id="p", filename="a.jpg", data=b"", dx="MEL")

    def show_next(*_: Any) -> None:
        assert active_release() != before
        raise trouble

    monkeypatch.setattr(
        demo, "submit", lambda *_: [{"case_id": "known", "batch": "one", "result": {"top_class": "MEL"}, "id": "1"}]
    )
    for played in ("release_one", "label"):
        monkeypatch.setattr(demo, played, lambda *_, **__: None)
    monkeypatch.setattr(demo, "retrain", lambda: promote(actor=SYSTEM, release=ReleaseFactory()))
    monkeypatch.setattr(demo, "show_next", show_next)
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    site = {"base_url": "http://127.0.0.1:9", "environment": {}, "folder": tmp_path}
    stack = SimpleNamespace(manage=lambda _: json.dumps({"api_key": "none"}), **site)

    with pytest.raises(trouble):
        demo.play(cast(Any, stack), [photo])

    assert active_release() == before


def test_a_path_can_be_copied_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    printed = io.StringIO()
    mail = tmp_path / "[of a patient] whose name is longer than a line of such a terminal.log"

    def release(*_: str, **__: str) -> None:
        mail.write_text("https://lens.example/results/token")

    monkeypatch.setattr(demo, "console", Console(file=printed, width=40))
    demo.release_one(
        cast(Any, SimpleNamespace(release=release)), [{"result": {"top_class": "MEL"}, "id": "1"}], tmp_path
    )
    assert str(mail) in printed.getvalue()
