"""What Alembic runs for each command; ``storage.migrate`` hands the open connection in."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import storage.tables  # noqa: F401  (makes the metadata whole)
from storage.times import UtcDateTime


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Writes our types as plain ones, so that an old migration does not change with the code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
    render_item=render_item,
    on_version_apply=attributes.get("on_version_apply", ()),
    # SQLite changes tables in transactions as well; Alembic only does not expect it to.
    transactional_ddl=True,
)
context.run_migrations()
