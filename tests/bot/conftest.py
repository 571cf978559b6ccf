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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tells a story in many words on the web, and in the first of them in Telegram too.

    What words mean is decided by the desk, which does not know the channel.
    """
    seen: set[str] = set()
    repeated = []
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if params.get("play_both") == "telegram":
            name = item.nodeid.partition("[")[0]
            if name in seen:
                repeated.append(item)
            seen.add(name)
    config.hook.pytest_deselected(items=repeated)
    items[:] = [item for item in items if item not in repeated]
