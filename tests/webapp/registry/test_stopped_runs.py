"""An operator stops a training run that is not wanted any more."""

import pytest
from django.test import Client

from tests.factories import ConsensusFactory, MembershipFactory, ReleaseFactory
from tests.webapp.registry.gates import gate
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.registry.models import ModelRelease
from webapp.registry.training import claim_run, finish_run, give_back_run, keep_run, start_run, sweep_training

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("claimed", [False, True], ids=["queued", "running"])
def test_it_ends_at_once_whatever_its_worker_says_and_another_can_start(client: Client, claimed: bool) -> None:
    release = ReleaseFactory(active=True)
    ConsensusFactory.create_batch(4, dx="MEL")
    operator = MembershipFactory(role="operator").user
    client.force_login(operator)
    run = start_run(actor=SYSTEM)
    held = claim_run() if claimed else None
    address = f"/models/runs/{run.pk}/stop/"
    assert address in client.get(f"/models/runs/{run.pk}/").content.decode()

    page = client.post(address, follow=True).content.decode()
    assert "stopped: An operator stopped it." in page
    assert address not in page
    assert "had ended before you stopped it" in client.post(address, follow=True).content.decode()
    assert Event.objects.get(action="training.stopped").user == operator

    if held is not None:
        token, late = held
        assert not keep_run(run=late, token=token)
        assert not give_back_run(run=late, token=token)
        manifest = {"name": "late", "code_version": "abc"}
        assert not finish_run(run=late, token=token, gate=gate("passed"), bundle_sha256="a" * 64, manifest=manifest)
    assert sweep_training() == 0
    assert claim_run() is None
    assert ModelRelease.objects.get() == release
    assert start_run(actor=SYSTEM) != run
