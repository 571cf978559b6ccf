"""What each role may do. Every route of the console declares exactly one of these."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from desk.values import Role


class Permission(StrEnum):
    """One thing that a route lets its visitor do."""

    ANYONE = "anyone"
    """Needs no login: the login form itself, styles and scripts."""
    SIGNED_IN = "signed_in"
    """Any staff member, about themselves: password, language, logout."""
    READ_CASES = "read_cases"
    ANSWER_CASES = "answer_cases"
    REVEAL_PHONE = "reveal_phone"
    READ_ATTACHMENTS = "read_attachments"
    """Open what customers and colleagues sent beside words; each look is audited."""
    READ_FEEDBACK = "read_feedback"
    READ_SURVEYS = "read_surveys"
    READ_FAQ = "read_faq"
    EDIT_FAQ = "edit_faq"
    READ_DEAD_LETTERS = "read_dead_letters"
    REPLAY_DEAD_LETTERS = "replay_dead_letters"
    READ_AUDIT = "read_audit"
    MANAGE_STAFF = "manage_staff"


_AGENT = frozenset(
    {
        Permission.ANYONE,
        Permission.SIGNED_IN,
        Permission.READ_CASES,
        Permission.ANSWER_CASES,
        Permission.REVEAL_PHONE,
        Permission.READ_ATTACHMENTS,
        Permission.READ_FEEDBACK,
        Permission.READ_SURVEYS,
        Permission.READ_FAQ,
    }
)
_LEAD = _AGENT | {
    Permission.EDIT_FAQ,
    Permission.READ_DEAD_LETTERS,
    Permission.REPLAY_DEAD_LETTERS,
    Permission.READ_AUDIT,
}

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.AGENT: _AGENT,
    Role.LEAD: _LEAD,
    Role.ADMIN: _LEAD | {Permission.MANAGE_STAFF},
}


def allows(role: Role | None, permission: Permission) -> bool:
    """Whether someone of that role (None: not signed in) has the permission."""
    if role is None:
        return permission is Permission.ANYONE
    return permission in ROLE_PERMISSIONS[role]
