"""Pictures, voice and files without words: thanked and kept, never guessed at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from desk import wording
from desk.decision import Action, Decision, Situation
from desk.prompts import WHILE_WAITING, comment_prompt, rating_prompt, say
from desk.values import Attachment, AttachmentKind, PromptKind, Reply, Speaker
from desk.words.folding import fold


def says_nothing_else(situation: Situation) -> bool:
    """Whether attachments came without a word."""
    return bool(situation.attachments) and not fold(situation.text)


def thank(situation: Situation) -> Decision:
    """What the bot says to attachments without words; the parts of an album are answered once.

    It is no miss, because nothing was asked. In the middle of a survey the question stays open: the
    line repeats it, so that words or a digit after it still answer it.
    """
    kind, what = _kind(situation.attachments), _name(situation.attachments)
    asked = situation.survey
    wanted = situation.prompt.kind if situation.prompt is not None else None
    reply = say(wording.MEDIA_RECEIVED.format(what=what), "media_received")
    if asked is not None and wanted is PromptKind.SURVEY_COMMENT:
        text = wording.MEDIA_AS_COMMENT.format(what=what)
        reply = say(text, "media_as_comment", comment_prompt(asked.id))
    elif asked is not None and wanted is PromptKind.SURVEY_RATING:
        text = wording.MEDIA_ASK_RATING.format(what=what)
        reply = say(text, "media_before_rating", rating_prompt(asked.id))
    elif kind is AttachmentKind.STICKER:
        reply = say(wording.STICKER_RECEIVED, "sticker_received")
    once = f"album:{situation.group_id}" if situation.group_id else ""
    return Decision(Action.NONE, reply.reason, (reply,), misses=situation.misses, once=once)


def keep_beside_a_person(situation: Situation) -> Decision:
    """Attachments while a person speaks or is awaited: kept for them, in silence.

    Only what follows a low rating is thanked for, once, and the question what went wrong stays open.
    """
    waiting, asked = situation.speaker is Speaker.WAITING, situation.survey
    decision = Decision(
        Action.NONE, "waiting_for_person" if waiting else "with_person", misses=situation.misses
    )
    if not waiting or asked is None or asked.rating is None or asked.comment is not None:
        return decision
    text = wording.MEDIA_AFTER_LOW_RATING.format(what=_name(situation.attachments))
    reply = say(text, "media_after_low_rating", speakers=WHILE_WAITING)
    return replace(decision, reason=reply.reason, replies=(reply,), once=f"survey:{asked.id}:media")


def beside_words(reply: Reply, attachments: Sequence[Attachment]) -> Reply:
    """The reply to a caption, with the honest word that only the caption was read."""
    note = wording.MEDIA_BESIDE_WORDS.format(what=_name(attachments))
    return replace(reply, text=f"{reply.text}\n{note}")


def _kind(attachments: Sequence[Attachment]) -> AttachmentKind:
    return attachments[0].kind


def _name(attachments: Sequence[Attachment]) -> str:
    return wording.MEDIA_NAMES[_kind(attachments)]
