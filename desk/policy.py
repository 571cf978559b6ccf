"""What to do with one message of a customer: values in, a ``Decision`` out.

The order of the rules is the order of care: stopping (退订) and a person come before anything else,
then what was just asked, then knowledge, then an honest "I do not know".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from desk import media, order_answers, survey, wording
from desk.decision import Action, Decision, Situation
from desk.escalation import Escalation, Offer, is_angry, reason_for_rating, reason_to_escalate
from desk.intents import AFFIRM, COMPLAINT, DENY, EXPERIENCES, FEEDBACK, REQUEST_HUMAN
from desk.prompts import (
    ANYBODY,
    WHILE_WAITING,
    comment_prompt,
    person_offer,
    quick_questions,
    rating_prompt,
    say,
)
from desk.values import (
    CaseReason,
    FaqEntry,
    FaqMatch,
    Option,
    Priority,
    Prompt,
    PromptKind,
    Reply,
    Speaker,
    Survey,
    SurveyState,
    Understanding,
)
from desk.words.folding import fold
from desk.words.human_request import declines_person
from desk.words.opt_out import asks_to_resume, asks_to_stop
from desk.words.yes_no import says_no, says_not_solved, says_solved, says_yes

NEAR_EXACT = 0.65
"""From this similarity on an FAQ entry is the answer, if it leads clearly.

The limits were chosen on one half of the texts of ``benchmarks/faq_search.py``; what the other half said
at 0.60 made this one stricter, so that half is no longer quite unseen.
"""
CLEAR_LEAD = 0.05
"""How far the second entry must be behind, unless the first is exact."""
LIKELY = 0.33
"""From this similarity on an entry is worth offering as 「您是想问」."""
SURE_INTENT = 0.72
"""From this confidence on an intent itself decides: it calls a person, says yes or no, thanks.

An intent's confidence counts nine tenths as a score (``RasaUnderstander``), so this is where an entry of
the intent becomes ``NEAR_EXACT``: what is sure enough to be answered is sure enough to be acted upon. It
was derived so and not measured yet; ``LIKELY`` and ``NEAR_EXACT`` are still those of the FAQ search alone.
"""
MOST_CHOICES = 3
LOST_AFTER = 2
"""Questions in a row without an answer until a person is offered."""

NOT_UNDERSTOOD = "not_understood "
"""How the reason of a miss begins."""
ANSWERED_BY_FAQ = ("faq=", "unsure ")
"""How the reasons of what the FAQ alone decided begin."""

SMALL_TALK = "会话"
"""Category of FAQ entries that greet, thank and the like."""
_QUESTION_MARKS = (
    "?",
    "怎么",
    "什么时候",
    "多久",
    "多少",
    "哪里",
    "哪个",
    "能不能",
    "可不可以",
    "是不是",
    "有没有",
    "为什么",
    "想换",
    "想退",
    "想改",
)
_QUESTION_ENDS = ("吗", "么", "呢", "没到", "没发")


def decide(situation: Situation) -> Decision:
    """Decides what to do with one message."""
    understanding = believable(situation.text, situation.understanding)
    situation = replace(situation, understanding=understanding)
    decision = _decide(situation)
    if situation.attachments and decision.replies and (decision.action is Action.ANSWER or decision.missed):
        # The answer goes by the words alone, and says so.
        said = media.beside_words(decision.replies[0], situation.attachments)
        decision = replace(decision, replies=(said, *decision.replies[1:]))
    complains = sure_intent(understanding) == COMPLAINT
    return replace(decision, angry=complains or is_angry(situation.text))


def believable(text: str, understanding: Understanding) -> Understanding:
    """The understanding without what is guessed from a number alone.

    A digit answers a prompt or nothing, and an order number says nothing by itself: only the very wording
    of one of the shop's entries counts there.
    """
    if not _is_number_alone(text):
        return understanding
    exact = tuple(match for match in understanding.matches if match.score >= 1.0)
    return replace(understanding, intent=None, matches=exact)


def is_understood(understanding: Understanding) -> bool:
    """Whether there is anything to answer, to offer or to act upon: what has nothing is a miss."""
    intent = sure_intent(understanding)
    if intent in (REQUEST_HUMAN, AFFIRM, DENY) or intent in FEEDBACK:
        return True
    return bool(understanding.matches) and understanding.matches[0].score >= LIKELY


def sure_intent(understanding: Understanding) -> str | None:
    """The intent that the understander is sure of; None when it is sure of none, or not the better one."""
    if understanding.degraded or understanding.confidence < SURE_INTENT:
        return None
    return understanding.intent


def greet(entries: Sequence[FaqEntry], variables: Mapping[str, str]) -> Reply:
    """The greeting of somebody who starts, with the quick questions to choose from."""
    prompt = quick_questions(entries)
    text = fill(wording.GREETING, variables)
    if prompt is not None:
        text += "\n" + wording.GREETING_CHOICES
    return say(text, "greeting", prompt)


def decide_edit(situation: Situation, before: str) -> Decision:
    """Decides what an edited message changes: it may stop surveys or call a person, nothing else.

    What was said is not answered twice, so an edit gets no answer, choice or survey of its own. It is
    heard where not hearing it would do harm: 退订, and words that bring a person. The words alone count: what
    the version before was understood as is not asked again, and a mended letter must not open a case anew.

    Args:
        situation: Of the new words.
        before: The words of the version before; what they called for already happened.
    """
    text = situation.text
    kept = Decision(Action.NONE, "edited", misses=situation.misses)
    if asks_to_stop(text):
        if asks_to_stop(before):
            return kept
        return replace(
            kept,
            reason="opt_out",
            replies=(say(wording.OPTED_OUT, "opt_out", speakers=ANYBODY),),
            opt_out=True,
        )
    kept = replace(kept, angry=is_angry(text) and not is_angry(before))
    # Anger that was there before the edit is not anger shown a second time.
    angered_at = None if is_angry(before) else situation.angered_at
    escalation = reason_to_escalate(text, angered_at, situation.now)
    called = reason_to_escalate(before, None, situation.now)
    if not isinstance(escalation, Escalation) or isinstance(called, Escalation):
        return kept
    if situation.speaker is Speaker.BOT:
        return replace(_call_person(escalation, situation), angry=kept.angry)
    return replace(kept, escalation=escalation)


def _decide(situation: Situation) -> Decision:
    text = situation.text
    if asks_to_stop(text):
        return Decision(
            Action.NONE, "opt_out", (say(wording.OPTED_OUT, "opt_out", speakers=ANYBODY),), opt_out=True
        )
    if asks_to_resume(text):
        return Decision(
            Action.NONE, "opt_in", (say(wording.OPTED_IN, "opt_in", speakers=ANYBODY),), opt_out=False
        )
    if situation.speaker is not Speaker.BOT:
        return _decide_beside_a_person(situation)
    if media.says_nothing_else(situation):
        return media.thank(situation)
    chosen = _chosen_option(situation)
    if chosen is not None:
        return _take_choice(situation, *chosen)
    if situation.tap is not None:
        return Decision(
            Action.NONE, "late_tap", (say(wording.LATE_TAP, "late_tap"),), misses=situation.misses
        )
    intent = sure_intent(situation.understanding)
    escalation = reason_to_escalate(text, situation.angered_at, situation.now, intent)
    asked = situation.prompt.kind if situation.prompt is not None else None
    if isinstance(escalation, Escalation):
        decision = _call_person(escalation, situation)
        in_survey = asked in {PromptKind.SURVEY_RATING, PromptKind.SURVEY_COMMENT}
        if escalation.reason is CaseReason.ANGER and in_survey and situation.survey is not None:
            # What made the customer angry in the middle of a survey is what the survey asked for.
            return replace(
                decision,
                survey_id=situation.survey.id,
                comment=text,
                survey_done=asked is PromptKind.SURVEY_COMMENT,
            )
        return decision
    meant = _option_meant(situation, intent)
    if meant is not None:
        return _take_choice(situation, *meant)
    if asked is PromptKind.SURVEY_RATING and situation.survey is not None:
        rating = survey.read_rating(text)
        if rating is not None:
            return _take_rating(situation, situation.survey, rating)
    if situation.survey is not None and _is_comment(situation, asked):
        return _take_comment(situation, situation.survey, angry=escalation is not None)
    if isinstance(escalation, Offer):
        return _offer_after_anger(situation)
    return _answer_question(situation)


def _decide_beside_a_person(situation: Situation) -> Decision:
    """While a person speaks or is awaited the bot keeps quiet; the triggers still count."""
    waiting = situation.speaker is Speaker.WAITING
    tapped = _tapped_rating(situation)
    if tapped is not None:
        # A button says what it means whoever has the word; only typed digits belong to the person.
        return tapped
    if media.says_nothing_else(situation):
        return media.keep_beside_a_person(situation)
    if waiting and declines_person(situation.text):
        return Decision(
            Action.NONE, "changed_mind", (say(wording.BACK_TO_BOT, "changed_mind"),), back_to_bot=True
        )
    escalation = reason_to_escalate(
        situation.text, situation.angered_at, situation.now, sure_intent(situation.understanding)
    )
    replies: tuple[Reply, ...] = ()
    if waiting and isinstance(escalation, Escalation):
        sentence = wording.STILL_WAITING.format(number=situation.case_number)
        replies = (say(sentence, "still_waiting", speakers=WHILE_WAITING),)
    decision = Decision(
        Action.NONE,
        "waiting_for_person" if waiting else "with_person",
        replies,
        escalation=escalation if isinstance(escalation, Escalation) else None,
        misses=situation.misses,
    )
    asked = situation.survey
    if waiting and asked is not None and asked.rating is not None and asked.comment is None:
        # The sentence after a low rating asked what went wrong: this is the answer, and the person
        # who takes the case reads it too.
        return replace(decision, survey_id=asked.id, comment=situation.text, survey_done=True)
    return decision


def _chosen_option(situation: Situation) -> tuple[Prompt, Option] | None:
    """The option that was pressed, or typed in answer to the newest prompt."""
    tap = situation.tap
    if tap is not None:
        if tap.prompt is None or tap.option is None:
            return None
        return tap.prompt, tap.option
    if situation.prompt is None:
        return None
    typed = fold(situation.text).strip(" .。、!！")
    for option in situation.prompt.options:
        if typed in {fold(option.typed), fold(option.label)}:
            return situation.prompt, option
    return _option_of(situation.prompt, _value_in_words(situation.prompt.kind, situation.text))


def _option_of(prompt: Prompt, value: str | None) -> tuple[Prompt, Option] | None:
    for option in prompt.options:
        if option.value == value:
            return prompt, option
    return None


def _option_meant(situation: Situation, intent: str | None) -> tuple[Prompt, Option] | None:
    """The option that a sure yes or no chooses, in a wording that the list of words does not know."""
    if situation.prompt is None or intent not in (AFFIRM, DENY):
        return None
    values = {
        PromptKind.OFFER_PERSON: ("person", "no_person"),
        PromptKind.HELPED: ("helped:yes", "helped:no"),
    }.get(situation.prompt.kind)
    return _option_of(situation.prompt, values[intent == DENY]) if values is not None else None


def _value_in_words(asked: PromptKind, text: str) -> str | None:
    """What an answer in the customer's own words chooses: 好的, 不用了, 还没解决 …"""
    if asked is PromptKind.OFFER_PERSON:
        return "person" if says_yes(text) else "no_person" if says_no(text) else None
    if asked is PromptKind.HELPED:
        return "helped:yes" if says_solved(text) else "helped:no" if says_not_solved(text) else None
    return None


def _tapped_rating(situation: Situation) -> Decision | None:
    tap, asked = situation.tap, situation.survey
    if tap is None or tap.option is None or asked is None:
        return None
    kind, _, value = tap.option.value.partition(":")
    if kind != "rating":
        return None
    rating = int(value)
    return Decision(
        Action.NONE,
        "survey_rating_beside_a_person",
        escalation=reason_for_rating(rating),
        misses=situation.misses,
        survey_id=asked.id,
        rating=rating,
    )


def _take_choice(situation: Situation, prompt: Prompt, option: Option) -> Decision:
    kind, _, value = option.value.partition(":")
    if kind == "faq":
        entry = situation.faq.get(int(value))
        if entry is None:
            return _miss(situation, "chosen_answer_gone")
        return _answer(situation, entry, f"chosen faq={entry.slug}")
    if kind == "person":
        accepted = Escalation(CaseReason.ACCEPTED_OFFER, option.label, Priority.NORMAL)
        question_id = prompt.subject_id if prompt.kind is PromptKind.CHOICE else None
        return replace(_call_person(accepted, situation), rejected_question_id=question_id)
    if kind == "no_person":
        return Decision(Action.NONE, "offer_declined", (say(wording.OFFER_DECLINED, "offer_declined"),))
    if kind == "helped":
        if value == "yes":
            return Decision(
                Action.NONE,
                "helped",
                (say(wording.HELPED_THANKS, "helped"),),
                helped=True,
                case_id=prompt.subject_id,
            )
        escalation = Escalation(CaseReason.NOT_HELPED, option.label, Priority.HIGH)
        return replace(_call_person(escalation, situation), helped=False, case_id=prompt.subject_id)
    asked = situation.survey
    if asked is None:
        return Decision(Action.NONE, "survey_over", (say(wording.SURVEY_OVER, "survey_over"),))
    if kind == "rating":
        return _take_rating(situation, asked, int(value))
    return Decision(
        Action.NONE,
        "survey_no_comment",
        (say(wording.SURVEY_THANKS, "survey_done"),),
        survey_id=asked.id,
        survey_done=True,
    )


def _take_rating(situation: Situation, asked: Survey, rating: int) -> Decision:
    escalation = reason_for_rating(rating)
    if escalation is not None:
        return replace(_call_person(escalation, situation), survey_id=asked.id, rating=rating)
    has_said_all = asked.comment is not None or asked.state is SurveyState.DONE
    if asked.rating is not None and has_said_all:
        sentence = wording.SURVEY_UPDATED.format(rating=rating)
        return Decision(
            Action.NONE,
            "survey_rating_changed",
            (say(sentence, "survey_rating_changed"),),
            survey_id=asked.id,
            rating=rating,
            survey_done=True,
        )
    if asked.comment is not None:
        return Decision(
            Action.NONE,
            "survey_rating",
            (say(wording.SURVEY_THANKS, "survey_done"),),
            survey_id=asked.id,
            rating=rating,
            survey_done=True,
        )
    sentence = wording.SURVEY_COMMENT.format(rating=rating)
    return Decision(
        Action.ASK,
        "survey_rating",
        (say(sentence, "survey_comment_asked", comment_prompt(asked.id)),),
        survey_id=asked.id,
        rating=rating,
    )


def _take_comment(situation: Situation, asked: Survey, *, angry: bool) -> Decision:
    if survey.says_no_comment(situation.text):
        if asked.rating is None:
            return _ask_rating(asked, None)
        return Decision(
            Action.NONE,
            "survey_no_comment",
            (say(wording.SURVEY_THANKS, "survey_done"),),
            survey_id=asked.id,
            survey_done=True,
        )
    if asked.rating is None:
        return _ask_rating(asked, situation.text)
    thanks = say(wording.SURVEY_THANKS, "survey_done")
    if angry:
        # One anger word in a comment offers a person just as it does anywhere else.
        thanks = say(wording.OFFER_AFTER_ANGER, "one_anger_word", person_offer())
    return Decision(
        Action.NONE, "survey_comment", (thanks,), survey_id=asked.id, comment=situation.text, survey_done=True
    )


def _ask_rating(asked: Survey, comment: str | None) -> Decision:
    sentence = say(wording.SURVEY_NOTED_ASK_RATING, "survey_rating_asked_again", rating_prompt(asked.id))
    return Decision(Action.ASK, "survey_comment_first", (sentence,), survey_id=asked.id, comment=comment)


def _is_comment(situation: Situation, asked: PromptKind | None) -> bool:
    """Whether words in answer to a survey are its comment rather than a question of their own."""
    matches = situation.understanding.matches
    asks_something = looks_like_a_question(situation.text)
    told = sure_intent(situation.understanding)
    if told is None and is_sure(matches):
        told = matches[0].entry.intent
    if told in (EXPERIENCES if asked is PromptKind.SURVEY_COMMENT else FEEDBACK) and not asks_something:
        # How it was is what the survey asked for; that there is an entry about it makes it no question.
        return asked in {PromptKind.SURVEY_COMMENT, PromptKind.SURVEY_RATING}
    if is_sure(matches) and matches[0].entry.category != SMALL_TALK:
        return False
    knows_something = bool(matches) and matches[0].score >= LIKELY
    if asked is PromptKind.SURVEY_COMMENT:
        return not (asks_something and knows_something)
    # A rating was asked for, perhaps days ago: only words that nothing else explains are about it.
    return asked is PromptKind.SURVEY_RATING and not asks_something and not knows_something


def _is_number_alone(text: str) -> bool:
    folded = fold(text)
    return any(character.isdigit() for character in folded) and not any(map(str.isalpha, folded))


def looks_like_a_question(text: str) -> bool:
    """Whether the text is put as a question."""
    folded = fold(text)
    return any(mark in folded for mark in _QUESTION_MARKS) or folded.rstrip(" 。.~!").endswith(_QUESTION_ENDS)


def is_sure(matches: Sequence[FaqMatch]) -> bool:
    """Whether the first match is the answer rather than one of several guesses."""
    if not matches or matches[0].score < NEAR_EXACT:
        return False
    lead = matches[0].score - (matches[1].score if len(matches) > 1 else 0.0)
    return lead >= CLEAR_LEAD or matches[0].score >= 1.0


def _answer_question(situation: Situation) -> Decision:
    matches = situation.understanding.matches
    if not fold(situation.text):
        return Decision(Action.NONE, "empty", (say(wording.EMPTY, "empty"),), misses=situation.misses)
    intent = sure_intent(situation.understanding)
    best = matches[0] if matches else None
    if best is None or best.score < 1.0:
        if intent is not None and intent in wording.FEEDBACK:
            return _take_feedback(situation, intent)
        if intent in (AFFIRM, DENY) and situation.prompt is None:
            return Decision(Action.NONE, "acknowledged", (say(wording.ACKNOWLEDGED, "acknowledged"),))
    if best is not None and (is_sure(matches) or _is_small_talk(best.entry, intent)):
        if best.entry.intent in wording.FEEDBACK:
            return _take_feedback(situation, best.entry.intent)
        return _answer(situation, best.entry, f"faq={best.entry.slug} score={best.score:.2f}")
    likely = [match for match in matches if match.score >= LIKELY][:MOST_CHOICES]
    if likely:
        return _offer_choices(situation, likely)
    return _miss(situation, f"best_score={matches[0].score:.2f}" if matches else "no_match")


def _is_small_talk(entry: FaqEntry, intent: str | None) -> bool:
    """Whether a sure greeting or thanks found its entry: choices would be a cold answer to that."""
    return entry.category == SMALL_TALK and bool(entry.intent) and entry.intent == intent


def _take_feedback(situation: Situation, intent: str) -> Decision:
    """Thanks for what was told, in the shop's own words where it has some. It is no answer to a question."""
    if situation.lately_answered is not None and not looks_like_a_question(situation.text):
        return _continue_comment(situation, situation.lately_answered)
    own = next((entry.answer for entry in situation.faq.values() if entry.intent == intent), None)
    text = wording.FEEDBACK[intent] if own is None else fill(own, situation.variables)
    reason = f"told {intent}"
    return Decision(Action.NONE, reason, (say(text, reason),))


def _answer(situation: Situation, entry: FaqEntry, reason: str) -> Decision:
    text = fill(entry.answer, situation.variables)
    if entry.action is not None and situation.orders:
        text = order_answers.answer(entry.action, situation.orders)
        reason += f" action={entry.action}"
    return Decision(Action.ANSWER, reason, (say(text, reason),))


def _offer_choices(situation: Situation, likely: Sequence[FaqMatch]) -> Decision:
    options = [
        Option(match.entry.question, str(position), f"faq:{match.entry.id}")
        for position, match in enumerate(likely, start=1)
    ]
    options.append(Option(wording.CHOICE_PERSON, str(len(options) + 1), "person"))
    reason = f"unsure best={likely[0].entry.slug} score={likely[0].score:.2f}"
    prompt = Prompt(PromptKind.CHOICE, tuple(options), situation.message_id)
    return Decision(Action.OFFER, reason, (say(wording.CHOICES, reason, prompt),), misses=situation.misses)


def _miss(situation: Situation, why: str) -> Decision:
    lately = situation.lately_answered
    if lately is not None and not looks_like_a_question(situation.text):
        return _continue_comment(situation, lately)
    misses = situation.misses + 1
    reason = f"{NOT_UNDERSTOOD}{why} misses={misses}"
    if misses >= LOST_AFTER:
        reply = say(wording.LOST_TWICE, reason, person_offer())
        return Decision(Action.OFFER, reason, (reply,), misses=misses, missed=True)
    return Decision(Action.NONE, reason, (say(wording.NOT_UNDERSTOOD, reason),), misses=misses, missed=True)


def _continue_comment(situation: Situation, lately: Survey) -> Decision:
    # People write in pieces: the second half of what they had to say.
    comment = situation.text if lately.comment is None else f"{lately.comment}\n{situation.text}"
    return Decision(
        Action.NONE,
        "survey_comment_continued",
        (say(wording.SURVEY_THANKS, "survey_done"),),
        survey_id=lately.id,
        comment=comment,
        survey_done=True,
    )


def _offer_after_anger(situation: Situation) -> Decision:
    reply = say(wording.OFFER_AFTER_ANGER, "one_anger_word", person_offer())
    return Decision(Action.OFFER, "one_anger_word", (reply,), misses=situation.misses)


def _call_person(escalation: Escalation, situation: Situation) -> Decision:
    # The sentence carries the case number, which only storage knows: ``ServiceDesk`` fills it in.
    text = wording.HANDOFF[escalation.reason.value]
    reply = say(text, f"handoff {escalation.reason.value}", speakers=WHILE_WAITING)
    return Decision(Action.PERSON, f"escalated {escalation.reason.value}", (reply,), escalation=escalation)


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Fills shop variables in; an unknown one stays as it is, so that staff see what is missing."""
    for name, value in variables.items():
        text = text.replace("{" + name + "}", value)
    return text
