"""What an interrupted training left behind is only gone on from by one of the same data, divided in the same way:
lesions that a finished member learnt from would else come to lie on the test side of another, unseen.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from ml.data.errors import DataError
from ml.files import complete

MADE_FROM: Final = "made_from.sha256"
FORMAT: Final = 2
"""Changes whenever the same data would be learnt from otherwise, or a note beside a member be read otherwise."""
KEPT: Final = ("*.npz", "*checkpoint", "teacher/**/*.np[yz]", "teacher/**/*checkpoint")
"""What is kept from run to run, of members and of what teaches them, beside the note of what it was made from."""


def claim(work: Path, *made_from: Any) -> None:
    """Notes a hash of what the content of `work` is made from, which JSON can say, and makes the folder.

    Raises DataError `other_data` where something was kept, with another hash or without one.
    """
    wanted = hashlib.sha256(json.dumps([FORMAT, *made_from]).encode()).hexdigest()
    note = work / MADE_FROM
    kept = any(found for pattern in KEPT for found in work.glob(pattern))
    if kept and not (note.is_file() and note.read_text().strip() == wanted):
        raise DataError(
            "other_data",
            f"What lies in {work} was fitted to other images, frames, masks, classes or sides, began from another "
            "bundle or teacher, or is another version's. Say another --work, or delete this folder to train anew.",
        )
    with complete(note) as file:
        file.write(f"{wanted}\n".encode())
