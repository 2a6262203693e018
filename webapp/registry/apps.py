from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class RegistryConfig(AppConfig):
    name = "webapp.registry"

    def ready(self) -> None:
        """Raises ImproperlyConfigured for a gate that every candidate would pass, or none, and for a retraining that
        would train nothing.
        """
        if not 0 < settings.GATE_MARGIN < 1:
            raise ImproperlyConfigured("GATE_MARGIN is a share between 0 and 1, such as 0.05.")
        if settings.GATE_MIN_LESIONS < 1:
            raise ImproperlyConfigured("GATE_MIN_LESIONS is a number of lesions, at least 1.")
        if settings.RETRAIN_EPOCHS < 1:
            raise ImproperlyConfigured("RETRAIN_EPOCHS is a number of epochs, at least 1.")
