"""Settings that would make the gate, or a retraining, mean nothing."""

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings


@pytest.mark.parametrize(
    ("name", "value"), [("GATE_MARGIN", 0.0), ("GATE_MARGIN", 1.0), ("GATE_MIN_LESIONS", 0), ("RETRAIN_EPOCHS", 0)]
)
def test_a_gate_that_all_or_none_would_pass_and_a_retraining_of_nothing_end_the_start(
    settings: Settings, name: str, value: float
) -> None:
    setattr(settings, name, value)
    with pytest.raises(ImproperlyConfigured, match=name):
        apps.get_app_config("registry").ready()
