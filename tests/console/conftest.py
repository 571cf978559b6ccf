"""Fixtures of the console's tests."""

from __future__ import annotations

import pytest
from console_rig import Rig


@pytest.fixture
def rig() -> Rig:
    """The console with fakes around it."""
    return Rig.with_fakes()
