"""Add attachments, ranks, bookmarks and staff rooms.

Revision: 0002, after 0001
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_QUEUED = "state = 'queued'"
_CALLED = "sending_at IS NOT NULL"
_KIND = "ck_outbox_kind"


@contextmanager
def _changed(table: str) -> Iterator[BatchOperations]:
    """Changes a table; SQLite copies it into a new one, which must not give an id a second time."""
    connection = op.get_bind()
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        name = {"table": table}
        given = connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = :table"), name)
    with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch:
        yield batch
    if on_sqlite and given is not None:
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :table"), name)
        connection.execute(
            sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :seq)"), {**name, "seq": given}
        )


def upgrade() -> None:
    """Adds what channels behind a network and staff rooms need."""
    with _changed("messages") as batch:
        batch.add_column(sa.Column("attachments", sa.JSON(none_as_null=True), nullable=True))
        batch.add_column(sa.Column("edits_message_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(
            op.f("fk_messages_edits_message_id"),
            "messages",
            ["edits_message_id"],
            ["id"],
            ondelete="SET NULL",
        )
        batch.create_index(op.f("ix_messages_edits_message_id"), ["edits_message_id"], unique=False)

    op.drop_index("ix_outbox_queued_id", table_name="outbox")
    with _changed("outbox") as batch:
        # Rows that are there get these values; new ones always bring their own.
        batch.add_column(sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("demanded", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.drop_constraint(op.f(_KIND), type_="check")
        batch.create_check_constraint(op.f(_KIND), "kind IN ('reply', 'survey', 'alert', 'relay', 'notice')")
        batch.drop_column("text")
    with _changed("outbox") as batch:
        batch.alter_column("rank", server_default=None)
        batch.alter_column("demanded", server_default=None)
    op.execute("UPDATE outbox SET rank = 3 WHERE kind = 'survey'")
    op.create_index(
        "ix_outbox_queued_rank_id",
        "outbox",
        ["rank", "id"],
        unique=False,
        sqlite_where=sa.text(_QUEUED),
        postgresql_where=sa.text(_QUEUED),
    )
    op.create_index(
        "ix_outbox_called_channel_sending_at",
        "outbox",
        ["channel", "sending_at"],
        unique=False,
        sqlite_where=sa.text(_CALLED),
        postgresql_where=sa.text(_CALLED),
    )

    op.create_table(
        "bookmarks",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bookmarks")),
    )
    op.create_table(
        "staff_accounts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_accounts_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_accounts")),
        sa.UniqueConstraint("channel", "external_id", name=op.f("uq_staff_accounts_channel_external_id")),
    )
    op.create_index(op.f("ix_staff_accounts_staff_id"), "staff_accounts", ["staff_id"], unique=False)
    op.create_table(
        "staff_link_codes",
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_link_codes_staff_id")),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_staff_link_codes")),
    )
    op.create_index(op.f("ix_staff_link_codes_staff_id"), "staff_link_codes", ["staff_id"], unique=False)
    op.create_index(op.f("ix_staff_link_codes_expires_at"), "staff_link_codes", ["expires_at"], unique=False)
    _create_rooms()


def _create_rooms() -> None:
    op.create_table(
        "room_threads",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_room_threads_conversation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_room_threads")),
        sa.UniqueConstraint("room", "conversation_id", name=op.f("uq_room_threads_room_conversation_id")),
        sa.UniqueConstraint("room", "thread_id", name=op.f("uq_room_threads_room_thread_id")),
    )
    op.create_index(
        op.f("ix_room_threads_conversation_id"), "room_threads", ["conversation_id"], unique=False
    )
    op.create_table(
        "room_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=True),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('card', 'relayed', 'said', 'note_prompt', 'other')", name=op.f("ck_room_lines_kind")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_room_lines_conversation_id")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_room_lines_case_id")),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_room_lines_message_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_room_lines")),
        sa.UniqueConstraint(
            "room", "provider_id", "message_id", name=op.f("uq_room_lines_room_provider_id_message_id")
        ),
    )
    for column in ("case_id", "conversation_id", "created_at", "message_id"):
        op.create_index(op.f(f"ix_room_lines_{column}"), "room_lines", [column], unique=False)
    for name, columns, where, unique in (
        ("ix_room_lines_alone_room_provider_id", ["room", "provider_id"], "message_id IS NULL", True),
        ("ix_room_lines_token", ["token"], "token <> ''", False),
        ("ix_room_lines_card_room_created_at", ["room", "created_at"], "kind = 'card'", False),
    ):
        op.create_index(
            name,
            "room_lines",
            columns,
            unique=unique,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )


def downgrade() -> None:
    """Takes it all away again; what waits to be shown in a staff room goes with it."""
    for table in ("room_lines", "room_threads", "staff_link_codes", "staff_accounts", "bookmarks"):
        op.drop_table(table)

    op.execute("DELETE FROM outbox WHERE kind IN ('relay', 'notice')")
    op.drop_index("ix_outbox_called_channel_sending_at", table_name="outbox")
    op.drop_index("ix_outbox_queued_rank_id", table_name="outbox")
    with _changed("outbox") as batch:
        batch.add_column(sa.Column("text", sa.String(), nullable=False, server_default=""))
        batch.drop_constraint(op.f(_KIND), type_="check")
        batch.create_check_constraint(op.f(_KIND), "kind IN ('reply', 'survey', 'alert')")
        batch.drop_column("demanded")
        batch.drop_column("rank")
    with _changed("outbox") as batch:
        batch.alter_column("text", server_default=None)
    op.create_index(
        "ix_outbox_queued_id",
        "outbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text(_QUEUED),
        postgresql_where=sa.text(_QUEUED),
    )

    with _changed("messages") as batch:
        batch.drop_index(op.f("ix_messages_edits_message_id"))
        batch.drop_constraint(op.f("fk_messages_edits_message_id"), type_="foreignkey")
        batch.drop_column("edits_message_id")
        batch.drop_column("attachments")
