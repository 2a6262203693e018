"""Every reason to turn an image or an archive away: a stable code, and a sentence that says what to do.

The codes are public: they are stored with an image, returned by the API and counted by operators, so a code is never
renamed or reused. The sentences are read by patients: plain words, what is wrong first, then what to do.
"""

from __future__ import annotations

SENTENCES: dict[str, str] = {
    # The file as a whole.
    "empty": "The file is empty. Please choose the photo again and wait until it has been sent in full.",
    "too_large_bytes": "The file is larger than 25 MB. Please send a smaller copy of the photo.",
    "too_many_pixels": "The picture has more than 50 million pixels. Please send a smaller copy of it.",
    "too_small": "The picture is too small to examine. Please send the original photo, not a preview or a screenshot.",
    "unknown_type": "This file is not a picture that we know. Please send a JPEG, PNG, WebP, TIFF, HEIC or DICOM file.",
    "unsupported_type": "We cannot read this type of file. Please send a JPEG, PNG, WebP, TIFF, HEIC or DICOM picture.",
    "unsupported_encoding": "The picture is stored in a way that we cannot read. Please save it as JPEG and send that.",
    "corrupt": "The file is damaged or incomplete. Please send the original photo again.",
    "decompression_bomb": "The file unpacks to far more data than a photo should. Please send the original photo.",
    "several_images": "The file holds several pictures or an animation. Please send each picture as a file of its own.",
    "no_image": "The DICOM file holds no picture. Please send the file that contains the image.",
    "burned_in_text": "The picture is marked as showing personal details. Please send a copy without them.",
    "duplicate": "This picture has already been sent in this batch. Please send it only once.",
    # What the picture shows.
    "blurred": "The photo is blurred. Please hold the camera still, tap the spot to focus, and take it again.",
    "too_dark": "The photo is too dark. Please move to a bright place or switch on a light, and take it again.",
    "too_bright": "The photo is too bright, or shows paper or a screen. Please photograph the skin itself, out of "
    "direct light and without the flash.",
    "low_contrast": "The photo is very pale or grey. Please clean the lens, use even light, and take it again.",
    "no_lesion": "We could not find a spot in the photo. Please move closer, with the spot in the middle.",
    "too_far": "The spot is small in the photo. Please zoom in or move closer: make it a third as wide as the photo.",
    "not_skin": "This does not look like a photo of skin. Please take a close photo of the spot itself.",
    # A file inside an archive.
    "unsafe_name": "The file's name is not allowed. Please rename it with plain letters and numbers.",
    "encrypted": "The file is protected by a password. Please make the archive again without one.",
    "nested_archive": "The file is an archive in an archive. Please put the pictures themselves into one ZIP file.",
    "duplicate_name": "Another file in the archive has the same path. Please give each picture a name of its own.",
    "unsupported_compression": "The file is packed in a way that we cannot read. Please make an ordinary ZIP file.",
    # An archive as a whole.
    "not_an_archive": "This is not a ZIP file. Please send the pictures as one ZIP file.",
    "corrupt_archive": "The ZIP file is damaged or incomplete. Please make it and send it again.",
    "empty_archive": "The ZIP file holds no pictures. Please add them and send it again.",
    "too_many_entries": "The ZIP file holds too many files. Please split it into smaller ones.",
    "archive_too_large": "The ZIP file holds too much data. Please split it into smaller ones.",
    "several_manifests": "The ZIP file holds more than one CSV table. Please keep only the right one.",
    "manifest_too_large": "The CSV table in the ZIP file is too large. Please split the batch into smaller ones.",
}


class ImageRefused(Exception):
    """An image that is not taken in. `code` is stable; `message` is its sentence.

    `detail` is for logs and never holds anything from inside the file that could name a person.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.message = SENTENCES[code]
        self.detail = detail
        super().__init__(f"{code}: {detail}" if detail else code)


class ArchiveRefused(ImageRefused):
    """An archive that is refused as a whole: nothing more can be read from it."""
