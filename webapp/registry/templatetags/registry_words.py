"""What the operator's pages say of releases, verdicts and metrics."""

from django import template

from webapp.pages.words import StateWords
from webapp.registry import words

register = template.Library()
register.filter(words.metric_name)


@register.filter
def release_words(state: str) -> StateWords:
    """A release's state as a word, an icon and a colour."""
    return words.RELEASES[state]


@register.filter
def verdict_words(verdict: str) -> StateWords:
    """A gate's verdict as a word, an icon and a colour."""
    return words.VERDICTS[verdict]


@register.filter
def decision_words(action: str) -> str:
    """What was decided, in the audit trail's name for it."""
    return words.DECISIONS[action]


@register.filter
def lower_first(words: str) -> str:
    """Words as they stand within a sentence: a capital that begins a word stays in an abbreviation (AUC)."""
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


@register.filter
def number(value: float | None) -> str:
    """A metric to three places, with a real minus sign; a dash where it is not determined."""
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


@register.filter
def difference(value: float | None) -> str:
    """A difference to three places, always with its sign."""
    return "–" if value is None else f"{value:+.3f}".replace("-", "−")
