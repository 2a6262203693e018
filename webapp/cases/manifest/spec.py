"""What a client says of a case, however it was sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from webapp.cases.models import Case


@dataclass(frozen=True)
class CaseSpec:
    """One case as a client describes it."""

    external_id: str
    filenames: Sequence[str]
    patient_id: str = ""  # empty: of a patient whom no other request names
    lesion_id: str = ""
    age: int | None = None
    sex: str = Case.Sex.UNKNOWN
    anatom_site: str = ""
    capture: str = Case.Capture.UNKNOWN
    notes: str = ""
    patient_email: str = ""
    patient_date_of_birth: date | None = None
    training_consent: bool | None = None  # nothing is said
    rows: Sequence[int] = field(default=(), compare=False, repr=False)  # of the manifest, that of each file
