"""What templates say in the house's words: icons, states, advice, classes and probabilities."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from django import template
from django.forms import BaseForm, BoundField, CheckboxInput, RadioSelect, Select
from django.http import QueryDict
from django.utils.safestring import SafeString, mark_safe

from ml.classes import DISPLAY_NAMES, is_malignant
from webapp.pages import words
from webapp.pages.words import ADVICE, STATES, AdviceWords, StateWords

register = template.Library()
for said in (
    words.agreed_on,
    words.class_name,
    words.holds_where,
    words.malignant_classes,
    words.nature,
    words.percent,
    words.percentage_points,
    words.spread,
):
    register.filter(said)
register.filter("certainty", words.uncertainty_in_words)

LABELS = {
    "Email": "E-mail address",
    "Remember Me": "Stay signed in on this device",
    "Current Password": "Your password now",
    "New Password": "New password",
    "New Password (again)": "The new password once more",
    "Password (again)": "The password once more",
    "Authenticator code": "Code",
}
ICONS = Path(__file__).resolve().parent.parent / "icons"


@cache
def _drawing(name: str) -> str:
    """The paths of a vendored icon. Raises FileNotFoundError for one that is not vendored."""
    svg = (ICONS / f"{name}.svg").read_text()
    return " ".join(re.sub(r"^.*?<svg.*?>|</svg>", "", svg, flags=re.DOTALL).split())


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """A decorative icon: screen readers skip it, so a word must stand next to it."""
    # Both parts come from our own files and templates, never from a person.
    return mark_safe(  # noqa: S308
        f'<svg class="icon {classes}" viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" '
        f'stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{_drawing(name)}</svg>'
    )


@register.filter
def state_words(state: str) -> StateWords:
    """A state as a word, an icon and a colour."""
    return STATES[state]


@register.filter
def advice_words(advice: str) -> AdviceWords:
    """An advice as words, an icon and a colour."""
    return ADVICE[advice]


@register.filter
def duration(seconds: int) -> str:
    """A rough time in words."""
    if seconds < 60:
        return f"{seconds} seconds" if seconds != 1 else "1 second"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} minutes" if minutes != 1 else "1 minute"
    return f"{round(minutes / 60)} hours"


@register.filter
def state_word(state: str) -> str:
    """A state's word alone, where it is counted."""
    return STATES[state].word


@register.inclusion_tag("components/probability_bars.html")
def probability_bars(probabilities: dict[str, float]) -> dict[str, Any]:
    """The class probabilities as bars, the likeliest first."""
    rows = [
        {"code": code, "name": DISPLAY_NAMES[code], "value": value, "malignant": is_malignant(code)}
        for code, value in sorted(probabilities.items(), key=lambda item: -item[1])
    ]
    return {"rows": rows}


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: object) -> str:
    """This page's query string with some parameters changed; an empty value removes one. The page starts anew."""
    parameters: QueryDict = context["request"].GET.copy()
    parameters.pop("after", None)
    for name, value in changes.items():
        parameters.pop(name, None)
        if value not in (None, ""):
            parameters[name] = str(value)
    return "?" + parameters.urlencode()


@register.filter
def plainly(form: BaseForm) -> BaseForm:
    """A form of django-allauth with the house's words before its fields."""
    for field in form:
        field.label = LABELS.get(str(field.label), field.label)
    return form


@register.filter
def control(field: BoundField) -> SafeString:
    """A form's field as the design system draws it, marked where it has errors. Placeholders only repeat labels."""
    widget = field.field.widget
    widget.attrs.pop("placeholder", None)
    if isinstance(widget, CheckboxInput | RadioSelect):
        classes = "form-check-input"
    elif isinstance(widget, Select):
        classes = "form-select"
    else:
        classes = "form-control"
    own = widget.attrs.get("class", "")
    return field.as_widget(attrs={"class": f"{classes} {own}{' is-invalid' if field.errors else ''}".strip()})
