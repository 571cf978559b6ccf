"""Finds the FAQ entries that a customer's text is nearest to, by its characters alone.

It needs no model and no training, so it answers from the first minute and while the better
understander is away. A text is cleaned, turned into weighted single characters and character pairs,
and compared with every question and variant (cosine, mixed with rapidfuzz's ratio and with how much
of the text the entry's own words cover). Characters that many entries share weigh little; characters that
no entry knows weigh most, which is what keeps chit-chat from being answered.

The weights were measured by ``benchmarks/faq_search.py``; the thresholds belong to the desk's policy.
"""

from __future__ import annotations

import asyncio
import math
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rapidfuzz import fuzz

from desk.values import FaqBook, FaqEntry, FaqMatch, Understanding

SOURCE = "faq-search"
MAX_INPUT = 1_000
MAX_MATCHES = 5

# How much of a text is compared: whole, and clause by clause. It bounds the time of one search.
_MAX_WHOLE = 100
_MAX_CLAUSE = 60
_MAX_CLAUSES = 6
_MIN_CLAUSE = 4
_CANDIDATES = 60

_SINGLE_WEIGHT = 0.3
_PAIR_WEIGHT = 1.0
_EDGE_WEIGHT = 0.5
_COSINE_SHARE = 0.6
_RATIO_SHARE = 0.3
_COVERAGE_SHARE = 0.1
# Several variants that agree are better evidence than one that happens to look alike.
_AGREEMENT_SHARE = 0.3
_AGREEING = 3
# A clause that is a small part of what was said proves less than the whole text would.
_CLAUSE_FLOOR = 0.7
_CLAUSE_POWER = 0.7
# Texts of so few characters look like too many things; only an exact one counts fully.
_SHORT_FACTORS = (0.0, 0.5, 0.7, 0.85, 0.95)

_NOT_WORD = re.compile(r"[\W_]+")
_NUMBERS = re.compile(r"https?://\S+|(?<![a-z0-9-])(?=[a-z-]*\d)[a-z0-9-]{8,}|\d{6,}")
# Atomic and possessive: a row of courtesies that ends in something else must not be tried in every split.
_SOCIAL = re.compile(
    r"(?>[你您]好[呀啊]?|[在再][吗么不]|在不在|有人[吗么]|亲爱的|亲|hello|hi|哈[喽罗啰]|嗨|请?问一?下?|咨询一?下?"
    r"|麻烦[你您]?了?|麻烦问?一下|我?想问一?下?|谢谢[你您]?[了啦哈]?|谢了|多谢|感谢|辛苦[你您]?了?|好[的吧]?|嗯|哦|喂"
    r"|老板娘?|店家|客服|掌柜的?|那个|早上好|[上中下]午好|晚上好)++"
)
_OPENING = re.compile(
    r"(?>[你您]好[呀啊]?|在[吗么]|在不在|亲爱的|亲(?![子自手友人情戚密])|哈[喽罗啰]|嗨|请问一?下?|我?想?[问咨]询?一下|我?想问"
    r"|麻烦(?:问一?下)?|老板(?!娘)|店家|掌柜的?|那个|嗯|哦)++"
)
_ASSENT = re.compile(r"^(?:好[的吧]?|嗯|哦)+")
_PARTICLES = "啊呀呢哦噢吧嘛哈呗哟喔啦了"
_CLOSING = re.compile(
    r"(?:谢谢[你您]?[了啦哈]?|(?<![母父])亲|(?<![什怎多那这])么|[啊呀呢哦噢吧嘛哈呗哟喔啦吗的了])$"
)
_SAME = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"啥时候|几时|何时|什么时间|多会儿", "什么时候"),
        (r"为何|为啥|为嘛", "为什么"),
        (r"咋|如何|怎样", "怎么"),
        (r"啥", "什么"),
        (r"木有", "没有"),
        (r"能不能|可不可以|可否|能否|可以|能够", "能"),
        (r"有没有", "有"),
        (r"是不是", "是"),
        (r"您", "你"),
        (r"邮费|快递费", "运费"),
        (r"退钱", "退款"),
        (r"寄出|发出|寄货", "发货"),
        (r"帐", "账"),
    )
)


class _Simplified(dict[int, str]):
    """A ``str.translate`` table from traditional to simplified characters, filled as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._converter: Any = None

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if 0x3400 <= code <= 0x9FFF or 0x20000 <= code <= 0x3FFFF:
            if self._converter is None:
                from opencc import OpenCC

                self._converter = OpenCC("t2s")
            character = str(self._converter.convert(character))
        if len(self) < 50_000:
            self[code] = character
        return character


_SIMPLIFIED = _Simplified()


@dataclass(frozen=True, slots=True)
class _Cleaned:
    """A text made comparable.

    Attributes:
        plain: Everything that was said, without punctuation; courtesies among themselves lose their
            particles and a leading 好的.
        whole: Without greetings, thanks, particles and long numbers, unless nothing else was said.
        clauses: The parts of ``whole`` between punctuation marks.
    """

    plain: str
    whole: str
    clauses: tuple[str, ...]


def _strip(clause: str) -> str:
    """Takes off opening courtesies and closing particles; never leaves nothing."""
    opening = _OPENING.match(clause)
    stripped = clause[opening.end() :] if opening else clause
    while len(stripped) > 2:
        closing = _CLOSING.search(stripped[-6:])
        if closing is None:
            break
        stripped = stripped[: -len(closing.group())]
    stripped = stripped or clause
    for pattern, replacement in _SAME:
        stripped = pattern.sub(replacement, stripped)
    return stripped


def _clean(text: str) -> _Cleaned:
    """Makes a text comparable; all parts are empty when it holds no letter, digit or character."""
    text = unicodedata.normalize("NFKC", text[:MAX_INPUT])[:MAX_INPUT].lower().translate(_SIMPLIFIED)
    plain = _NOT_WORD.sub("", text)
    parts = _NOT_WORD.sub(" ", _NUMBERS.sub(" ", text)).split()
    telling = [part for part in parts if not _SOCIAL.fullmatch(part)]
    if not telling:
        said = "".join(parts)
        core = _ASSENT.sub("", said).rstrip(_PARTICLES) or said
        return _Cleaned(core or plain, core, ())
    clauses = tuple(_strip(part) for part in telling)
    return _Cleaned(plain, _strip("".join(telling)), clauses if len(clauses) > 1 else ())


def _features(text: str) -> dict[str, float]:
    """Single characters and pairs with their weights; the first and last character count as pairs too."""
    weights: defaultdict[str, float] = defaultdict(float)
    for character in text:
        weights[character] += _SINGLE_WEIGHT
    for first, second in pairwise(text):
        weights[first + second] += _PAIR_WEIGHT
    weights["^" + text[:1]] += _EDGE_WEIGHT
    weights[text[-1:] + "$"] += _EDGE_WEIGHT
    return weights


class _Index:
    """Everything about one ``FaqBook`` that a search needs."""

    def __init__(self, book: FaqBook) -> None:
        self.book = book
        self.entries: list[FaqEntry] = [entry for entry in book.entries if entry.enabled]
        self._owners: list[int] = []
        self._texts: list[str] = []
        self._sizes: list[int] = []
        self._vocabularies: list[set[str]] = []
        self._exact: defaultdict[str, list[int]] = defaultdict(list)
        known: defaultdict[str, int] = defaultdict(int)
        for position, entry in enumerate(self.entries):
            vocabulary: set[str] = set()
            wholes: dict[str, None] = {}
            for wording in (entry.question, *entry.variants):
                cleaned = _clean(wording)
                if not cleaned.whole:
                    continue
                wholes[cleaned.whole[:_MAX_WHOLE]] = None
                if position not in self._exact[cleaned.plain]:
                    self._exact[cleaned.plain].append(position)
            for whole in wholes:
                vocabulary.update(_features(whole))
                self._owners.append(position)
                self._texts.append(whole)
            self._sizes.append(len(wholes))
            self._vocabularies.append(vocabulary)
            for feature in vocabulary:
                known[feature] += 1
        total = len(self.entries) + 1
        self._unknown = math.log(total / 0.5)
        self._rarity = {feature: math.log(total / (count + 0.5)) for feature, count in known.items()}
        self._postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, text in enumerate(self._texts):
            vector, length = self._vector(text)
            for feature, weight in vector.items():
                self._postings[feature].append((number, weight / length))

    def _vector(self, text: str) -> tuple[dict[str, float], float]:
        """The weighted features and their Euclidean length, which is never 0."""
        rarity, unknown = self._rarity, self._unknown
        vector = {
            feature: weight * rarity.get(feature, unknown) for feature, weight in _features(text).items()
        }
        return vector, math.sqrt(sum(weight * weight for weight in vector.values())) or 1.0

    def _compare(self, text: str) -> dict[int, float]:
        """Scores of the entries that share anything with a cleaned text, by position."""
        vector, length = self._vector(text)
        cosines: defaultdict[int, float] = defaultdict(float)
        for feature, weight in vector.items():
            share = weight / length
            for number, other in self._postings.get(feature, ()):
                cosines[number] += share * other
        nearest = sorted(cosines.items(), key=lambda item: (-item[1], item[0]))[:_CANDIDATES]
        found: defaultdict[int, list[float]] = defaultdict(list)
        for number, cosine in nearest:
            ratio = fuzz.ratio(text, self._texts[number]) / 100.0
            found[self._owners[number]].append(_COSINE_SHARE * cosine + _RATIO_SHARE * ratio)
        mass = sum(vector.values()) or 1.0
        factor = _SHORT_FACTORS[len(text)] if len(text) < len(_SHORT_FACTORS) else 1.0
        scores: dict[int, float] = {}
        for position, values in found.items():
            values.sort(reverse=True)
            agreeing = min(_AGREEING, self._sizes[position])
            agreement = sum(values[:agreeing]) / agreeing
            vocabulary = self._vocabularies[position]
            coverage = sum(weight for feature, weight in vector.items() if feature in vocabulary) / mass
            nearness = (1.0 - _AGREEMENT_SHARE) * values[0] + _AGREEMENT_SHARE * agreement
            scores[position] = factor * (nearness + _COVERAGE_SHARE * coverage)
        return scores

    def search(self, text: str) -> tuple[FaqMatch, ...]:
        """The nearest distinct entries, nearest first; none for an empty text."""
        cleaned = _clean(text)
        if not cleaned.whole:
            return ()
        best = self._compare(cleaned.whole[:_MAX_WHOLE])
        clauses = [clause for clause in cleaned.clauses if len(clause) >= _MIN_CLAUSE]
        if len(clauses) > _MAX_CLAUSES:
            half = _MAX_CLAUSES // 2
            clauses = clauses[:half] + clauses[-half:]
        for clause in clauses:
            part = len(clause) / max(len(cleaned.whole), len(clause))
            factor = _CLAUSE_FLOOR + (1.0 - _CLAUSE_FLOOR) * part**_CLAUSE_POWER
            for position, score in self._compare(clause[:_MAX_CLAUSE]).items():
                best[position] = max(best.get(position, 0.0), factor * score)
        for position in self._exact.get(cleaned.plain, ()):
            best[position] = 1.0
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:MAX_MATCHES]
        return tuple(
            FaqMatch(self.entries[position], min(1.0, max(0.0, score)))
            for position, score in ranked
            if score > 0.0
        )


class FaqSearch:
    """The understander that knows nothing but the FAQ.

    It names no intent and finds no entities. The index is built once per FAQ version, off the event
    loop; one search over 100 entries with ten variants each takes a few milliseconds.
    """

    def __init__(self) -> None:
        self._index: _Index | None = None

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        """Finds the FAQ entries nearest to a text.

        Args:
            text: What the customer wrote; only its first 1,000 characters are read.
            faq: The entries to search. Disabled ones are passed over.

        Returns:
            Up to five distinct entries, nearest first, with scores from 0 to 1 (1 is the very wording of
            the entry); ``confidence`` is the best score, 0 without matches. It never raises.
        """
        if not self._is_current(faq):
            self._index = await asyncio.to_thread(_Index, faq)
        matches = self.find_nearest(text, faq)
        return Understanding(source=SOURCE, confidence=matches[0].score if matches else 0.0, matches=matches)

    def find_nearest(self, text: str, faq: FaqBook) -> tuple[FaqMatch, ...]:
        """The matches alone, for callers without an event loop; builds the index at once if need be."""
        index = self._index
        if index is None or not self._is_current(faq):
            self._index = index = _Index(faq)
        return index.search(text)

    def _is_current(self, faq: FaqBook) -> bool:
        """True while the index was built from this book. Equal versions with other entries do not count."""
        index = self._index
        return index is not None and index.book.version == faq.version and index.book.entries == faq.entries
