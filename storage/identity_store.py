"""客户 and 渠道身份 on SQL, and the sessions of the web chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from secrets import token_urlsafe

from sqlalchemy import Table, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from desk.errors import ConflictError, NotFoundError
from desk.values import Buyer, Contact, Conversation, Identity
from storage.conversation_store import conversation_from_row
from storage.message_statements import CONVERSATION_OF_IDENTITY
from storage.statements import AnyRow, change, insert_into
from storage.tables import orders as _orders  # noqa: F401  (declares the bindings)
from storage.tables.people import CHAT_SESSIONS, CONTACT_MOVES, CONTACTS, CONVERSATIONS, IDENTITIES

_IDENTITY = select(
    IDENTITIES.c.id,
    IDENTITIES.c.contact_id,
    IDENTITIES.c.channel,
    IDENTITIES.c.external_id,
    IDENTITIES.c.reachable,
    IDENTITIES.c.opted_out_at,
    IDENTITIES.c.consented_at,
    IDENTITIES.c.last_message_at,
)
# Every message takes these, and building them each time would take longer than running them.
_BY_ID = _IDENTITY.where(IDENTITIES.c.id == bindparam("this_id"))
_KNOWN_AS = _IDENTITY.where(
    IDENTITIES.c.channel == bindparam("on_channel"), IDENTITIES.c.external_id == bindparam("known_as")
)
_CHANGE = update(IDENTITIES).where(IDENTITIES.c.id == bindparam("this_id"))
_SET_LANGUAGE = _CHANGE.where(IDENTITIES.c.language != bindparam("spoken"))
_NAME = update(CONTACTS).where(CONTACTS.c.id == bindparam("this_id"), CONTACTS.c.name == "")
_CONTACT = select(
    CONTACTS.c.id,
    CONTACTS.c.public_id,
    CONTACTS.c.name,
    CONTACTS.c.phone,
    CONTACTS.c.buyer_id,
    CONTACTS.c.created_at,
)
_BINDINGS: Table = SQLModel.metadata.tables["order_bindings"]


class SqlIdentityStore:
    """Contacts and their identities."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(
        self, channel: str, external_id: str, now: datetime, name: str = "", language: str = ""
    ) -> tuple[Identity, Conversation]:
        """See ``IdentityStore.open``."""
        identity = self.find(channel, external_id)
        if identity is None:
            self._create(channel, external_id, now)
            identity = self.find(channel, external_id)
        if identity is None:
            raise NotFoundError("the identity went away while it was opened")
        if name:
            self._session.execute(_NAME, {"this_id": identity.contact_id, "name": name})
        if language:
            self._session.execute(
                _SET_LANGUAGE, {"this_id": identity.id, "spoken": language, "language": language}
            )
        row = self._session.execute(CONVERSATION_OF_IDENTITY, {"of_identity": identity.id}).one()
        return identity, conversation_from_row(row)

    def find(self, channel: str, external_id: str) -> Identity | None:
        """Returns the identity of that channel's user."""
        row = self._session.execute(_KNOWN_AS, {"on_channel": channel, "known_as": external_id}).one_or_none()
        return None if row is None else _identity(row)

    def get(self, identity_id: int) -> Identity:
        """Returns the identity."""
        row = self._session.execute(_BY_ID, {"this_id": identity_id}).one_or_none()
        if row is None:
            raise NotFoundError("no such identity")
        return _identity(row)

    def get_contact(self, contact_id: int) -> Contact:
        """Returns the contact."""
        row = self._session.execute(_CONTACT.where(CONTACTS.c.id == contact_id)).one_or_none()
        if row is None:
            raise NotFoundError("no such contact")
        return _contact(row)

    def find_contact_by_buyer(self, buyer_id: str) -> Contact | None:
        """Returns the contact that is this buyer of the shop."""
        row = self._session.execute(_CONTACT.where(CONTACTS.c.buyer_id == buyer_id)).one_or_none()
        return None if row is None else _contact(row)

    def open_buyer(self, buyer: Buyer, now: datetime) -> Contact:
        """See ``IdentityStore.open_buyer``."""
        contact = self._hold_buyer(buyer.id)
        if contact is None:
            created = self._session.execute(
                insert_into(self._session, CONTACTS)
                .values(
                    public_id=token_urlsafe(16),
                    buyer_id=buyer.id,
                    name=buyer.name,
                    phone=buyer.phone,
                    created_at=now,
                )
                .on_conflict_do_nothing(index_elements=["buyer_id"])
                .returning(*_CONTACT.selected_columns)
            ).one_or_none()
            # None: another transaction created it between our look and our insert.
            contact = self._hold_buyer(buyer.id) if created is None else _contact(created)
        if contact is None:
            raise NotFoundError("the contact went away while it was opened")
        fresh = replace(contact, name=buyer.name or contact.name, phone=buyer.phone or contact.phone)
        if fresh != contact:
            self._session.execute(
                update(CONTACTS).where(CONTACTS.c.id == contact.id).values(name=fresh.name, phone=fresh.phone)
            )
        return fresh

    def set_buyer(self, contact_id: int, buyer_id: str, name: str, phone: str) -> int:
        """See ``IdentityStore.set_buyer``."""
        contact = self.get_contact(contact_id)
        if contact.buyer_id not in (None, buyer_id):
            raise ConflictError(f"contact {contact_id} is another buyer")
        holder = self.find_contact_by_buyer(buyer_id)
        if holder is not None and holder.id != contact_id:
            return holder.id
        become = (
            update(CONTACTS)
            .where(
                CONTACTS.c.id == contact_id,
                or_(CONTACTS.c.buyer_id.is_(None), CONTACTS.c.buyer_id == buyer_id),
            )
            .values(buyer_id=buyer_id, name=name or CONTACTS.c.name, phone=phone or CONTACTS.c.phone)
        )
        try:
            with self._session.begin_nested():
                became = change(self._session, become)
        except IntegrityError:
            # Another transaction made another contact that buyer between our look and our write.
            holder = self.find_contact_by_buyer(buyer_id)
            if holder is None:
                raise
            return holder.id
        if not became:
            raise ConflictError(f"contact {contact_id} has become another buyer")
        return contact_id

    def move_to_contact(self, identity_id: int, contact_id: int, reason: str, now: datetime) -> None:
        """See ``IdentityStore.move_to_contact``."""
        before = self.get(identity_id).contact_id
        if before == contact_id:
            return
        self._session.execute(
            update(IDENTITIES).where(IDENTITIES.c.id == identity_id).values(contact_id=contact_id)
        )
        self._session.execute(
            insert(CONTACT_MOVES).values(
                identity_id=identity_id,
                from_contact_id=before,
                to_contact_id=contact_id,
                reason=reason,
                moved_at=now,
            )
        )

    def wrote(self, identity_id: int, now: datetime) -> None:
        """Records that the customer wrote: reachable again, ``last_message_at`` = now."""
        self._write(
            identity_id, reachable=True, unreachable_reason="", unreachable_at=None, last_message_at=now
        )

    def mark_reachable(self, identity_id: int, now: datetime) -> None:
        """Records that the channel lets us write again, without the customer having written."""
        self._write(identity_id, reachable=True, unreachable_reason="", unreachable_at=None)

    def mark_unreachable(self, identity_id: int, reason: str, now: datetime) -> None:
        """Records that the customer cannot be reached until they write again."""
        self._write(identity_id, reachable=False, unreachable_reason=reason, unreachable_at=now)

    def set_opted_out(self, identity_id: int, at: datetime | None) -> None:
        """Sets since when the customer wants no surveys; None when they do."""
        self._write(identity_id, opted_out_at=at)

    def record_consent(self, identity_id: int, version: str, now: datetime) -> bool:
        """Stores version and time once; False when this version is on record already."""
        recorded = change(
            self._session,
            update(IDENTITIES)
            .where(
                IDENTITIES.c.id == identity_id,
                or_(IDENTITIES.c.consent_version.is_(None), IDENTITIES.c.consent_version != version),
            )
            .values(consent_version=version, consented_at=now),
        )
        return recorded == 1

    def find_bound_to_order(self, order_id: int) -> Sequence[Identity]:
        """Identities bound to the order; the one that wrote last comes first."""
        rows = self._session.execute(
            _IDENTITY.join(_BINDINGS, _BINDINGS.c.identity_id == IDENTITIES.c.id)
            .where(_BINDINGS.c.order_id == order_id)
            .order_by(IDENTITIES.c.last_message_at.desc().nulls_last(), IDENTITIES.c.id.desc())
        )
        return [_identity(row) for row in rows]

    def _hold_buyer(self, buyer_id: str) -> Contact | None:
        """The contact that is this buyer and stays it until the end of the transaction.

        The lock is the one that a foreign key takes anyway: others may refresh the name meanwhile, but
        not take the buyer id away, as an erasure does.
        """
        row = self._session.execute(
            _CONTACT.where(CONTACTS.c.buyer_id == buyer_id).with_for_update(read=True, key_share=True)
        ).one_or_none()
        return None if row is None else _contact(row)

    def _create(self, channel: str, external_id: str, now: datetime) -> None:
        contact_id = self._session.execute(
            insert(CONTACTS).values(public_id=token_urlsafe(16), created_at=now).returning(CONTACTS.c.id)
        ).scalar_one()
        identity_id = self._session.execute(
            insert_into(self._session, IDENTITIES)
            .values(contact_id=contact_id, channel=channel, external_id=external_id, created_at=now)
            .on_conflict_do_nothing(index_elements=["channel", "external_id"])
            .returning(IDENTITIES.c.id)
        ).scalar_one_or_none()
        if identity_id is None:
            # Another transaction opened it between our look and our insert; ours leaves no trace.
            self._session.execute(delete(CONTACTS).where(CONTACTS.c.id == contact_id))
            return
        self._session.execute(
            insert(CONVERSATIONS).values(public_id=token_urlsafe(16), identity_id=identity_id, created_at=now)
        )

    def _write(self, identity_id: int, **values: object) -> None:
        self._session.execute(_CHANGE, {"this_id": identity_id, **values})


class SqlChatSessionStore:
    """Sessions of the web chat."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(self, client_session_hash: str, session: str, identity_id: int, now: datetime) -> str:
        """Stores the session or returns the one that this client has already."""
        stored = self._session.execute(
            insert_into(self._session, CHAT_SESSIONS)
            .values(
                session=session,
                client_session_hash=client_session_hash,
                identity_id=identity_id,
                created_at=now,
            )
            .on_conflict_do_nothing(index_elements=["client_session_hash"])
            .returning(CHAT_SESSIONS.c.session)
        ).scalar_one_or_none()
        if stored is not None:
            return session
        known = self.find_session(client_session_hash)
        if known is None:
            raise NotFoundError("the session went away while it was opened")
        return known

    def find_session(self, client_session_hash: str) -> str | None:
        """Returns the session of this client."""
        session: str | None = self._session.scalars(
            select(CHAT_SESSIONS.c.session).where(CHAT_SESSIONS.c.client_session_hash == client_session_hash)
        ).one_or_none()
        return session

    def find_identity(self, session: str) -> int | None:
        """Returns whose session it is."""
        identity_id: int | None = self._session.scalars(
            select(CHAT_SESSIONS.c.identity_id).where(CHAT_SESSIONS.c.session == session)
        ).one_or_none()
        return identity_id


def _identity(row: AnyRow) -> Identity:
    return Identity(
        id=row.id,
        contact_id=row.contact_id,
        channel=row.channel,
        external_id=row.external_id,
        reachable=row.reachable,
        opted_out_at=row.opted_out_at,
        consented_at=row.consented_at,
        last_message_at=row.last_message_at,
    )


def _contact(row: AnyRow) -> Contact:
    return Contact(row.id, row.public_id, row.name, row.phone, row.buyer_id, row.created_at)
