"""How Django writes a time where nobody says how, as in the administration: as all other pages do, in 24 hours."""

TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
SHORT_DATETIME_FORMAT = "d/m/Y H:i"
