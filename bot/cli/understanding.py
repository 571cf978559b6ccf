"""``understand``: what a text is taken to mean, what the bot would do, and why."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.reading import NotReadyError, snapshot
from bot.cli.terminal import note, quiet_settings, run

if TYPE_CHECKING:
    from bot.settings import Settings
    from desk.decision import Situation
    from desk.ports import SentimentScorer, Understander
    from desk.values import FaqBook, Sentiment, Understanding


def add_to(program: typer.Typer) -> None:
    """Adds the command."""
    program.command("understand")(understand)


def understand(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="文本；不写就逐行读标准输入。")
    ] = None,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="当作回访的评价来看。 Take the texts for comments on an order.")
    ] = False,
) -> None:
    """看机器人怎么理解一句话、会怎么做、为什么。 What the bot makes of a text; one JSON object a line."""
    settings = quiet_settings()
    faq = _find_faq(settings)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    lines: Iterable[str] = texts or (line.rstrip("\r\n") for line in sys.stdin)
    run(_understand_all(settings, faq, lines, feedback))


def _find_faq(settings: Settings) -> FaqBook:
    """The FAQ in force, or the one that a fresh installation starts with."""
    try:
        with snapshot(settings) as found:
            if found.unit.faq.version() > 0:
                return found.unit.faq.book()
    except NotReadyError:
        pass
    from bot.faq_file import DEFAULT_FAQ, faq_book, read_faq

    note("还没有自己的问答，用的是自带的。 No FAQ is stored yet; this is the one that comes along.")
    return faq_book(read_faq(DEFAULT_FAQ.read_text("utf-8")))


async def _understand_all(settings: Settings, faq: FaqBook, lines: Iterable[str], feedback: bool) -> None:
    from bot.commands.faq import known_variables
    from desk.texts import storable
    from nlu.snownlp_scorer import SnowNlpScorer

    scorer = SnowNlpScorer()
    variables = known_variables(settings)
    understander, close = _understander(settings)
    try:
        for line in lines:
            text = storable(line)
            understanding = await understander.understand(text, faq)
            situation = _fresh(text, understanding, faq, variables, feedback)
            told = await tell(situation, scorer)
            sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
            # Whoever feeds us line by line waits for each answer.
            sys.stdout.flush()
    finally:
        await close()
        scorer.close()


def _understander(settings: Settings) -> tuple[Understander, Callable[[], Awaitable[None]]]:
    """Who understands, and how to end it: the server of ``NLU_URL`` beside the FAQ search, or that alone."""
    from desk.intents import INTENTS
    from nlu.faq_search import FaqSearch
    from nlu.intent_entries import entries_of
    from nlu.rasa_client import RasaClient, RasaUnderstander

    if settings.nlu_url is None:

        async def nothing_to_end() -> None:
            """The search holds nothing."""

        note(
            "没有设置 HUIYIN_NLU_URL，只按问答搜索。 HUIYIN_NLU_URL is not set; this is the FAQ search alone."
        )
        return FaqSearch(), nothing_to_end
    token = settings.nlu_token.get_secret_value() if settings.nlu_token is not None else None
    client = RasaClient(settings.nlu_url, token, INTENTS)
    return RasaUnderstander(client, FaqSearch(), entries_of), client.close


async def tell(situation: Situation, scorer: SentimentScorer) -> dict[str, Any]:
    """What the bot would do in that situation, as one JSON-ready object."""
    from desk import policy

    decision = policy.decide(situation)
    understanding = situation.understanding
    sentiment = await scorer.score(situation.text)
    return {
        "text": situation.text,
        "intent": _intent(understanding),
        "source": understanding.source,
        "degraded": understanding.degraded,
        "confidence": round(understanding.confidence, 4),
        "action": decision.action.value,
        "entities": [{"name": name, "value": value} for name, value in understanding.entities],
        "sentiment": _sentiment(situation.text, sentiment),
        "aspects": [],
        "reason": decision.reason,
        "matches": [
            {"slug": match.entry.slug, "question": match.entry.question, "score": round(match.score, 4)}
            for match in understanding.matches
        ],
    }


def _intent(understanding: Understanding) -> str | None:
    """The intent, or where the understander names none, that of the FAQ entry that is likely meant."""
    from desk import policy

    if understanding.intent is not None or not understanding.matches:
        return understanding.intent
    best = understanding.matches[0]
    return (best.entry.intent or None) if best.score >= policy.LIKELY else None


def _sentiment(text: str, sentiment: Sentiment) -> dict[str, Any]:
    from desk.values import SentimentLabel
    from desk.words.anger import anger_words, threat_words

    angry = (*anger_words(text), *threat_words(text))
    upset = "calm"
    if angry:
        upset = "angry"
    elif sentiment.label is SentimentLabel.NEGATIVE:
        upset = "displeased"
    return {
        "label": sentiment.label.value,
        "score": round(sentiment.score, 4),
        "p_negative": round((1 - sentiment.score) / 2, 4),
        "upset": upset,
        "evidence": list(dict.fromkeys((*angry, *sentiment.evidence))),
    }


def _fresh(
    text: str, understanding: Understanding, faq: FaqBook, variables: Any, feedback: bool
) -> Situation:
    """A customer's first words; with ``feedback`` their words after a rating of 4."""
    from desk.decision import Situation
    from desk.values import Prompt, PromptKind, Speaker, Survey, SurveyState

    now = datetime.now(UTC)
    survey = None
    if feedback:
        survey = Survey(
            id=0, subject_type="order", subject_id=0, kind="post_delivery", round=1,
            state=SurveyState.ANSWERING, skip_reason=None, identity_id=None, conversation_id=None,
            rating=4, comment=None, due_at=now, asked_at=now, reminded_at=None, expires_at=None,
            finished_at=None,
        )  # fmt: skip
    return Situation(
        text=text,
        tap=None,
        speaker=Speaker.BOT,
        misses=0,
        angered_at=None,
        message_id=0,
        prompt=Prompt(PromptKind.SURVEY_COMMENT, (), 0) if feedback else None,
        survey=survey,
        lately_answered=None,
        orders=(),
        faq={entry.id: entry for entry in faq.entries},
        understanding=understanding,
        variables=variables,
        case_number="",
        now=now,
    )
