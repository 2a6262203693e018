"""One field of a case: from JSON values or the cells of a table, as clients write it, to what is stored."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from unicodedata import normalize

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from webapp.addresses import in_one_form
from webapp.cases.manifest.sites import HAM10000, names_a_part, normalised
from webapp.cases.models import Case

MAX_AGE = 120
MAX_IMAGES = 20
MAX_NOTES = 5000
IMAGES = "images"
MISSING = {"", "unknown", "nan", "na", "n/a", "none", "null"}
SEXES = {"f": Case.Sex.FEMALE, "m": Case.Sex.MALE, "o": Case.Sex.OTHER, "u": Case.Sex.UNKNOWN}  # as HL7 v2 writes them
CONSENTS = {"yes": True, "true": True, "no": False, "false": False}
CAPTURES = {
    "dermatoscopic": Case.Capture.DERMOSCOPIC,
    "dermoscopy": Case.Capture.DERMOSCOPIC,
    "clinical: close-up": Case.Capture.CLINICAL,  # as ISIC writes it
}

# Control characters, and halves of surrogate pairs: no name holds one, and the database takes neither NUL nor halves.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_UNPRINTABLE_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class FieldError(Exception):
    """A value that cannot be stored: a stable code, and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def text(value: object, *, limit: int, unprintable: re.Pattern[str] = _UNPRINTABLE, composed: bool = True) -> str:
    """A short text, `composed` in Unicode's form NFC, so that what looks alike is alike; a number is taken as its
    digits. Raises FieldError: not_text, too_long, unprintable.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**limit else "9" * (limit + 1)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FieldError("not_text", "Send text.")
    value = normalize("NFC", value.strip()) if composed else value.strip()
    if len(value) > limit:
        raise FieldError("too_long", f"Use at most {limit} characters.")
    if unprintable.search(value):
        raise FieldError("unprintable", "Remove control characters.")
    return value


def identifier(value: object) -> str:
    """An id of the client's: not empty."""
    value = text(value, limit=100)
    if not value:
        raise FieldError("required", "Give a value: it is how you recognise this later.")
    return value


def age(value: object) -> int | None:
    """Whole years."""
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        years = float(value)
    except (ValueError, OverflowError):
        years = -1.0
    if not (0 <= years <= MAX_AGE and years == int(years)):
        raise FieldError("age_invalid", f"Give the age in whole years, 0 to {MAX_AGE}, or leave it out.")
    return int(years)


def one_of(choices: type[Case.Sex] | type[Case.Capture], also: Mapping[str, str], code: str) -> Callable[[object], str]:
    """Reads one of these choices, which clients may `also` write otherwise; unknown where nothing is said. What it is
    none of raises FieldError with the `code`.
    """

    def read(value: object) -> str:
        value = text(value, limit=40).lower()
        value = also.get(value, value)
        if value in MISSING:
            return choices.UNKNOWN
        if value not in choices.values:
            raise FieldError(code, f"Use one of: {', '.join(choices.values)}; or leave it out.")
        return value

    return read


def anatom_site(value: object) -> str:
    """Where on the body, in the client's words; empty where nothing is said."""
    value = text(normalised(text(value, limit=60)), limit=60)  # some small letters are longer
    if value in MISSING:
        return ""
    if not names_a_part(value):
        message = f"Name a part of the body, such as: {', '.join(HAM10000)}; or leave it out and say it in the notes."
        raise FieldError("anatom_site_unknown", message)
    return value


def notes(value: object) -> str:
    """A longer text, which may have several lines."""
    return text(value, limit=MAX_NOTES, unprintable=_UNPRINTABLE_IN_TEXT)


def email(value: object) -> str:
    """An e-mail address, or nothing."""
    value = text(value, limit=254)
    try:
        if value:
            validate_email(value)
            value = in_one_form(value)
    except ValidationError as error:
        raise FieldError(
            "email_invalid", "Give an e-mail address such as name@example.org, or leave it out."
        ) from error
    return value


def birth_date(value: object) -> date | None:
    """A date of birth, YYYY-MM-DD, of a person who may be alive."""
    value = text(value, limit=40)
    if not value:
        return None
    try:
        born = date.fromisoformat(value)
    except ValueError:
        born = date.min
    if born.year < 1900 or born > timezone.now().date():
        raise FieldError("date_invalid", "Write the date of birth as YYYY-MM-DD, in the past, or leave it out.")
    return born


def training_consent(value: object) -> bool | None:
    """Whether models may learn from the patient's photos. What is neither yes nor no is never taken for one of them."""
    if isinstance(value, bool):
        return value
    value = text(value, limit=20).lower()
    if value and value not in CONSENTS:
        raise FieldError("consent_invalid", "Say yes or no, or leave it out.")
    return CONSENTS.get(value)


def filename(value: object) -> str:
    """The name of an image file; of one in a ZIP also its path, parted by `/`, which neither climbs nor has a root."""
    # As it is on the client's disk, where it is looked up by the name that the answer gives.
    name = text(value, limit=255, composed=False) if isinstance(value, str) else ""
    if not name or "\\" in name or {"", ".", ".."} & set(name.split("/")):
        raise FieldError("filename_invalid", "Give the file's name, or its path in the ZIP, such as folder/name.jpg.")
    return name


def read_images(value: object) -> tuple[str, ...]:
    """The names of a case's images, each once. Raises FieldError."""
    if not isinstance(value, list) or not value:
        raise FieldError("images_missing", 'List at least one file name, in JSON such as ["a.jpg"].')
    if len(value) > MAX_IMAGES:
        raise FieldError("too_many_images", f"List at most {MAX_IMAGES} images for a case.")
    names = tuple(filename(name) for name in value)
    if len(set(names)) < len(names):
        raise FieldError("image_repeated", "List each image of a case once.")
    return names


READERS: Mapping[str, Callable[[Any], Any]] = {
    "case_id": identifier,
    "patient_id": lambda value: text(value, limit=100),
    "lesion_id": lambda value: text(value, limit=100),
    "age": age,
    "sex": one_of(Case.Sex, SEXES, "sex_invalid"),
    "anatom_site": anatom_site,
    "capture": one_of(Case.Capture, CAPTURES, "capture_invalid"),
    "notes": notes,
    "patient_email": email,
    "patient_date_of_birth": birth_date,
    "training_consent": training_consent,
}
