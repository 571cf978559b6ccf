"""Stories that must go alike whatever channel the customer is on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from shop import play


@pytest.fixture(params=["webchat", "telegram"])
def play_both(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``shop.play``, once with a customer in the web chat and once with one in Telegram."""
    return partial(play, channel=request.param)
