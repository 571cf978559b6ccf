"""The FAQ as a YAML file: read strictly, written back, checked.

A file holds ``variables`` (name: value) and ``entries``; see ``bot/defaults/faq.yml``. Whatever a person
may get wrong is refused with a sentence that names the entry and the field, and never repeats its text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from desk.errors import InvalidInputError
from desk.intents import INTENTS
from desk.values import FaqBook, FaqEntry
from nlu.faq_search import FaqSearch

DEFAULT_FAQ = Path(__file__).parent / "defaults" / "faq.yml"

MAX_FILE_CHARACTERS = 4_000_000
MAX_ENTRIES = 2_000
MAX_VARIANTS = 50
MAX_QUESTION = 200
MAX_ANSWER = 2_000
MAX_CATEGORY = 40
MAX_SLUG = 64
MAX_VARIABLES = 200
MAX_VALUE = 500
MAX_QUICK = 6
# Above this two entries are so alike that the search would waver between them.
NEAR_DUPLICATE = 0.8

_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
# Surrogates and control characters: neither can be stored, nor does any person type them.
_UNSTORABLE = re.compile(r"[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f]")


def _storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("it holds a control character or half a character")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError("it must be one line")
    return text


def _known_intent(intent: str) -> str:
    if intent and intent not in INTENTS:
        raise ValueError("there is no such intent; it must be one like shipping_time, or be left out")
    return intent


_Stored = AfterValidator(_storable)
_Line = AfterValidator(_one_line)
_Question = Annotated[str, StringConstraints(min_length=1, max_length=MAX_QUESTION), _Line, _Stored]


class FaqFileEntry(BaseModel):
    """One entry of the file. Texts come without blanks at either end."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, str_strip_whitespace=True)

    slug: Annotated[str, StringConstraints(max_length=MAX_SLUG, pattern=r"^[a-z0-9-]+$")]
    category: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CATEGORY), _Line, _Stored]
    question: _Question
    variants: Annotated[list[_Question], Field(max_length=MAX_VARIANTS)] = []
    answer: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ANSWER), _Stored]
    action: Literal["order_status", "tracking", "refund_status"] | None = None
    quick: bool = False
    enabled: bool = True
    intent: Annotated[str, AfterValidator(_known_intent)] = ""


class FaqFile(BaseModel):
    """A whole file. ``variables`` holds the default of every variable that an answer may use."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, str_strip_whitespace=True)

    variables: Annotated[
        dict[
            Annotated[str, StringConstraints(max_length=MAX_SLUG, pattern=r"^[a-z][a-z0-9_]*$")],
            Annotated[str, StringConstraints(min_length=1, max_length=MAX_VALUE), _Stored],
        ],
        Field(max_length=MAX_VARIABLES),
    ] = {}
    entries: Annotated[list[FaqFileEntry], Field(max_length=MAX_ENTRIES)]


class FaqFileError(InvalidInputError):
    """The file breaks a rule.

    Attributes:
        problems: Every problem found, a sentence each; ``field`` and ``reason`` tell the first.
    """

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(*problems[0])
        self.problems = tuple(f"{field}: {reason}" for field, reason in problems)


_REASONS = {
    "missing": "it is missing.",
    "extra_forbidden": "there is no such field; check its spelling.",
    "string_type": "it must be text; put it in quotation marks if it looks like a number, a date or yes/no.",
    "bool_type": "it must be true or false.",
    "list_type": "it must be a list.",
    "dict_type": "it must be names with values.",
    "model_type": "it must be names with values.",
    "literal_error": "it must be order_status, tracking or refund_status, or be left out.",
}


def _reason(error: Any) -> str:
    """Why pydantic refused, as a sentence without the input."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _REASONS:
        return _REASONS[kind]
    if kind == "string_too_short":
        return "it must not be empty."
    if kind == "string_too_long":
        return f"it must be at most {context['max_length']} characters."
    if kind == "too_long":
        return f"it must have at most {context['max_length']} items."
    if kind == "string_pattern_mismatch":
        return f"it must be made as {context['pattern']}."
    if kind == "value_error":
        return f"{context['error']}."
    return "it is not allowed here."


def _entry_name(raw: Any, position: int) -> str:
    """How a person finds an entry: its slug where that is sound, always its position from 1."""
    slug = raw.get("slug") if isinstance(raw, dict) else None
    if isinstance(slug, str) and len(slug) <= MAX_SLUG and re.fullmatch(r"[a-z0-9-]+", slug):
        return f"entry {position + 1} ({slug})"
    return f"entry {position + 1}"


def _field_name(location: tuple[int | str, ...], raw: Any) -> str:
    """The place that pydantic names, in words."""
    parts: list[str] = []
    rest = list(location)
    if len(rest) > 1 and rest[0] == "entries" and isinstance(rest[1], int):
        parts.append(_entry_name(raw["entries"][rest[1]], rest[1]))
        rest = rest[2:]
    for part in rest:
        if part == "[key]":
            parts.append("name")
        elif isinstance(part, int):
            parts.append(str(part + 1))
        else:
            # A key is the writer's own text: only a plain name is repeated.
            parts.append(part if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", part) else "a field")
    return " ".join(parts) or "the file"


def _refuse_tricks(text: str) -> None:
    """Refuses what YAML allows and nobody means: a key twice (the last would win), and aliases.

    Raises:
        FaqFileError: One of them is there, or the file is not YAML.
    """
    problems: list[tuple[str, str]] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise FaqFileError([(f"line {line}", "references (*name) are not allowed; write the text out.")])
    nodes = [yaml.compose(text, Loader=yaml.SafeLoader)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen if isinstance(key, yaml.ScalarNode) else True:
                    problems.append(
                        (f"line {key.start_mark.line + 1}", "this name stands twice or is no name.")
                    )
                else:
                    seen.add(key.value)
                nodes.append(value)
    if problems:
        raise FaqFileError(sorted(problems))


def _load(text: str) -> Any:
    """What the YAML says, as plain Python values.

    Raises:
        FaqFileError: It is not YAML, or uses what is refused.
    """
    if len(text) > MAX_FILE_CHARACTERS:
        raise FaqFileError([("the file", f"it must be at most {MAX_FILE_CHARACTERS} characters.")])
    try:
        _refuse_tricks(text)
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}" if mark else "the file"
        raise FaqFileError([(place, "this is not valid YAML; check indents, quotes and colons.")]) from None
    except RecursionError:
        raise FaqFileError([("the file", "it is nested too deeply.")]) from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError):
        # PyYAML lets errors of the values it builds (dates, numbers, tags) through as they are.
        raise FaqFileError([("the file", "this is not valid YAML.")]) from None


def _across(file: FaqFile) -> Iterator[tuple[str, str]]:
    """The problems that no field has alone: things that stand twice, unknown variables."""
    slugs: dict[str, int] = {}
    questions: dict[str, int] = {}
    for position, entry in enumerate(file.entries):
        name = f"entry {position + 1} ({entry.slug})"
        if entry.slug in slugs:
            yield f"{name} slug", f"entry {slugs[entry.slug] + 1} has the same slug."
        slugs.setdefault(entry.slug, position)
        question = _folded(entry.question)
        if question in questions:
            yield f"{name} question", f"entry {questions[question] + 1} has the same question."
        questions.setdefault(question, position)
        for variable in dict.fromkeys(_VARIABLE.findall(entry.answer)):
            if variable not in file.variables:
                shown = f"{{{variable}}}" if len(variable) <= MAX_SLUG else "a variable"
                yield f"{name} answer", f"{shown} is not among the variables."
        if re.search(r"[{}]", _VARIABLE.sub("", entry.answer)):
            yield f"{name} answer", "curly brackets are only for variables, written as {shop_name}."


def _folded(text: str) -> str:
    """A text with what nobody sees as a difference taken out: width, case, blanks, final marks."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold()) or text


def read_faq(text: str) -> FaqFile:
    """Reads a FAQ file.

    Args:
        text: YAML, at most ``MAX_FILE_CHARACTERS`` characters.

    Raises:
        FaqFileError: It breaks a rule; the error names entry and field and lists all problems.
    """
    raw = _load(text)
    if not isinstance(raw, dict):
        raise FaqFileError(
            [("the file", "it must hold `entries:` and, where answers use them, `variables:`.")]
        )
    try:
        file = FaqFile.model_validate(raw)
    except ValidationError as error:
        raise FaqFileError(
            [(_field_name(each["loc"], raw), _reason(each)) for each in error.errors(include_input=False)]
        ) from None
    problems = list(_across(file))
    if problems:
        raise FaqFileError(problems)
    return file


class _Dumper(yaml.SafeDumper):
    """Writes long and several-line texts so that a person can edit them."""

    def ignore_aliases(self, data: Any) -> bool:
        """Writes everything out: reading refuses references."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indents list items below their name."""
        super().increase_indent(flow, False)


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Texts of several lines become blocks."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _write_text)


def write_faq(file: FaqFile) -> str:
    """The file as YAML; reading it again gives an equal value. What has its default is left out."""
    return yaml.dump(
        file.model_dump(exclude_defaults=True),
        Dumper=_Dumper,
        allow_unicode=True,
        sort_keys=False,
        width=1_000_000,
    )


def faq_book(file: FaqFile, version: int = 1) -> FaqBook:
    """The enabled entries as the search wants them; ids count from 1 in the order of the file."""
    return FaqBook(
        version,
        tuple(
            FaqEntry(
                id=number,
                slug=entry.slug,
                category=entry.category,
                question=entry.question,
                variants=tuple(entry.variants),
                answer=entry.answer,
                action=entry.action,
                quick=entry.quick,
                intent=entry.intent,
            )
            for number, entry in enumerate(file.entries, start=1)
            if entry.enabled
        ),
    )


def check_faq(file: FaqFile) -> list[str]:
    """What is allowed and still probably not meant, a sentence each; empty when all is well."""
    warnings: list[str] = []
    used = {name for entry in file.entries for name in _VARIABLE.findall(entry.answer)}
    warnings += [f"Variable {name} is not used by any answer." for name in file.variables if name not in used]
    quick = sum(entry.quick for entry in file.entries if entry.enabled)
    if quick > MAX_QUICK:
        warnings.append(
            f"{quick} entries are quick questions; more than {MAX_QUICK} buttons are hard to read."
        )
    owners: dict[str, str] = {}
    for entry in file.entries:
        if not entry.variants:
            warnings.append(f"Entry {entry.slug} has no variants, so only its own wording will be found.")
        wordings = Counter(_folded(wording) for wording in (entry.question, *entry.variants))
        if len(wordings) < wordings.total():
            warnings.append(f"Entry {entry.slug} has the same wording twice.")
        for wording in wordings:
            other = owners.setdefault(wording, entry.slug)
            if other != entry.slug:
                warnings.append(
                    f"Entries {other} and {entry.slug} share a wording; neither will surely answer it."
                )
    return warnings + _alike(faq_book(file))


def _alike(book: FaqBook) -> list[str]:
    """Warnings about questions that the search nearly takes for another entry's."""
    search = FaqSearch()
    pairs: dict[tuple[str, str], None] = {}
    for entry in book.entries:
        for match in search.find_nearest(entry.question, book):
            if match.entry.id != entry.id and match.score >= NEAR_DUPLICATE:
                first, second = sorted((entry.slug, match.entry.slug))
                pairs[first, second] = None
    return [
        f"Entries {first} and {second} ask nearly the same; perhaps they are one." for first, second in pairs
    ]
