"""Asks a Rasa 3.6 server what a text means, and never lets it keep a customer waiting."""

from __future__ import annotations

from nlu.rasa_client.client import FIGURES, RasaClient
from nlu.rasa_client.limits import Limits
from nlu.rasa_client.understander import EntriesOf, RasaUnderstander
from nlu.rasa_client.values import Entity, Parsed, RasaStatus

__all__ = [
    "FIGURES",
    "Entity",
    "EntriesOf",
    "Limits",
    "Parsed",
    "RasaClient",
    "RasaStatus",
    "RasaUnderstander",
]
