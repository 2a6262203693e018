"""The list of cases under filters that few of many cases fit."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import CaseFactory, CaseResultFactory, MembershipFactory
from tests.webapp.api.clinic import Clinic, good
from webapp.accounts.models import Organisation

pytestmark = pytest.mark.django_db


def asked(clinic: Organisation, **wanted: str) -> tuple[list[str], str]:
    """The ids of the cases found, and the query of their table, if it came to one."""
    software = Clinic(clinic)
    with CaptureQueriesContext(connection) as captured:
        found = [row["case_id"] for row in good(software.get("/cases", **wanted))["results"]]
    return found, next((query["sql"] for query in captured if 'FROM "cases_case"' in query["sql"]), "")


def test_a_patients_cases_are_found_by_the_patient() -> None:
    clinic, other = MembershipFactory().organisation, MembershipFactory().organisation
    for organisation in (clinic, other):
        CaseFactory(batch__organisation=organisation, patient__external_id="P-7", external_id=f"of {organisation.pk}")
    CaseFactory(batch__organisation=clinic)
    found, query = asked(clinic, patient_id="P-7")
    assert found == [f"of {clinic.pk}"]
    assert "external_id" not in query.partition("WHERE")[2]  # else all cases may be read, to see whose each is
    assert asked(clinic, patient_id="nobody") == ([], "")


@pytest.mark.parametrize("wanted", [{}, {"released": "false"}])
def test_cases_of_one_advice_are_read_in_their_order(wanted: dict[str, str]) -> None:
    clinic = MembershipFactory().organisation
    names = [CaseResultFactory(case__batch__organisation=clinic).case.external_id for _ in range(3)]
    CaseResultFactory(case__batch__organisation=clinic, advice="self_monitor")
    found, query = asked(clinic, advice="urgent_referral", **wanted)
    assert found == names[::-1]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'cases_case'::regclass AND NOT indisunique"
        )
        for (index,) in cursor.fetchall():
            if index != "case_by_advice":
                cursor.execute(f"DROP INDEX {index}")  # its rivals, until the test's transaction is rolled back
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {query}")
        plan = [line for (line,) in cursor.fetchall()]
    assert any("using case_by_advice" in line for line in plan)
    assert not any("Filter:" in line for line in plan)
