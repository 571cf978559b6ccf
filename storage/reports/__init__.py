"""The read side for the console and the command line."""

from storage.reports.reports import Reports
from storage.reports.values import (
    AuditLine,
    Badge,
    CaseLine,
    CasePage,
    CaseTab,
    ContactCard,
    CustomerLine,
    HistoryLine,
    IdentityCard,
    LastLine,
    MissLine,
    Page,
    SurveyAccounting,
    SurveyLine,
    SurveyOutcome,
    TalkLine,
)

__all__ = [
    "AuditLine",
    "Badge",
    "CaseLine",
    "CasePage",
    "CaseTab",
    "ContactCard",
    "CustomerLine",
    "HistoryLine",
    "IdentityCard",
    "LastLine",
    "MissLine",
    "Page",
    "Reports",
    "SurveyAccounting",
    "SurveyLine",
    "SurveyOutcome",
    "TalkLine",
]
