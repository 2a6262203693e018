"""What is told of a clinic's picture that cannot be used for what it shows.

The sentences of `ml.imaging.refusal` are read by somebody with a phone in the hand, and beside the spot; who sends
pictures from a dermatoscope, days later, can do none of what they say.
"""

from webapp.cases.models import NOT_A_LESION

FOR_CLINICS = {
    "too_small": "The picture is too small to examine. Send the original, not a preview or a smaller copy.",
    "blurred": "The picture is blurred. Send a sharper one of the lesion.",
    "too_dark": "The picture is too dark. Send one taken in more light.",
    "too_bright": "The picture is too bright, or shows paper or a screen. Send one of the skin itself, taken in less "
    "light.",
    "low_contrast": "The picture is very pale or grey. Send one taken in even light, through clean glass.",
    "no_lesion": "No lesion could be made out in the picture. Send one that shows it larger, and in the middle.",
    "too_far": "The lesion is small in the picture. Send one in which it is about a third as wide as the picture.",
    "not_skin": "This does not look like a picture of skin. Send a close one of the lesion itself.",
    NOT_A_LESION: "The model saw no lesion in the picture clearly enough to answer. Send another: sharp, in even "
    "light, with the lesion in the middle.",
}
