"""Which words name a place on the body, so that a site that nobody would understand is not taken for one.

The sites of HAM10000 and of ISIC are all among them; a clinic may be more exact, as with "left forearm".
"""

import re

HAM10000 = (
    "abdomen", "acral", "back", "chest", "ear", "face", "foot", "genital", "hand", "lower extremity", "neck", "scalp",
    "trunk", "upper extremity",
)  # fmt: skip
_WORDS = """
abdomen abdominal acral anal ankle anus arm armpit auricle axilla axillae back belly breast brow buccal buttock calf
calves canthus cheek chest chin clavicle conjunctiva digit ear earlobe elbow extremities extremity eye eyebrow eyelid
face facial feet finger fingernail flank foot forearm forehead genital genitalia gingiva glabella gluteal groin hand
head heel hip inguinal jaw knee knuckle labia labium leg limb lip loin lumbar mandible mouth mucosa nail nape nasal
navel neck nipple nose oral palate palm pelvis penis perianal perineum periorbital postauricular preauricular
presternal pubic pubis retroauricular rib sacral sacrum scalp scapula scrotum shin shoulder skull sole spine sternal
sternum temple thigh thorax throat thumb toe toenail tongue torso trunk umbilicus vulva waist wrist
"""
PARTS = frozenset(_WORDS.split())


def normalised(site: str) -> str:
    """A site as lists compare it: small letters, words parted by one space."""
    return " ".join(site.replace("_", " ").lower().split())


def names_a_part(site: str) -> bool:
    """Whether a normalised site names a part of the body, be it in the plural."""
    words = re.findall(r"[a-z]+", site)
    return any(form in PARTS for word in words for form in (word, word.removesuffix("s"), word.removesuffix("es")))
