"""The demo's own cases."""

from pathlib import Path

from deploy.local.samples import read_own
from ml.synthetic import synthesize


def test_a_patient_has_one_address_whichever_cases_are_drawn(tmp_path: Path) -> None:
    table = synthesize(12, tmp_path, seed=3)
    addresses = [
        {photo.patient_id: photo.patient_email for photo in read_own(tmp_path, table, count)} for count in (12, 5)
    ]

    assert addresses[1].items() <= addresses[0].items()
    assert len(set(addresses[0].values())) == len(addresses[0]) == 12
