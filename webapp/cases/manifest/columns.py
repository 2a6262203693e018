"""What the columns of a table, and the fields of a case in JSON, are called here and elsewhere."""

from webapp.cases.manifest.fields import IMAGES, READERS

COLUMNS = [*READERS, IMAGES]
# Columns of published tables by our names.
ALIASES = {
    "image_id": "images",
    "image": "images",
    "filename": "images",
    "file": "images",
    "isic_id": "images",
    "localization": "anatom_site",
    "anatom_site_general": "anatom_site",
    "age_approx": "age",
    "image_type": "capture",
    "email": "patient_email",
    "date_of_birth": "patient_date_of_birth",
}
# Those that are left unread: labels never become results. One without a name is a program's own numbering, or what a
# spreadsheet writes beside its last column.
UNREAD = {"", "dx", "dx_type", "dataset", "diagnosis", "diagnosis_confirm_type", "benign_malignant", "target"}
# What others call some of ours: asked after, never guessed.
MEANT = {
    **ALIASES,
    **dict.fromkeys(["external_id", "id", "case"], "case_id"),
    "patient": "patient_id",
    "lesion": "lesion_id",
    "gender": "sex",
    **dict.fromkeys(["site", "body_site"], "anatom_site"),
    **dict.fromkeys(["note", "comment"], "notes"),
    "birth_date": "patient_date_of_birth",
    "consent": "training_consent",
}
RENAME, RENAME_ALL = "Rename or remove it.", "Rename or remove them."  # of several that are told in one sentence
UNKNOWN = f"{RENAME} Known are: {', '.join(COLUMNS)}."


def unknown(name: str) -> str:
    """What to do about a name that means nothing here."""
    return f"Did you mean {MEANT[name]}? {UNKNOWN}" if name in MEANT else UNKNOWN
