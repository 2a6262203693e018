"""What the provider's templates ask of a case."""

from django import template

from webapp.cases.selectors import stage

register = template.Library()
register.filter(stage)
