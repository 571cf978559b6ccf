"""Docs that cannot lag: what they name exists, and what exists and matters is named."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
import typer

from bot.cli.program import program
from bot.secret_files import make_shop_secret
from console.api.order_schemas import parse_order_event
from console.api.signatures import ShopSignatures
from desk.values import CaseReason, CaseState, Delivery, SkipReason, SurveyState

ROOT = Path(__file__).parents[2]
ROOMS = ("bot", "console", "desk", "nlu", "storage")
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(path for room in ("docs", "benchmarks") for path in (ROOT / room).rglob("*.md")),
]

_FENCE = re.compile(r"^(```+)[^\n]*\n(.*?)^\1\s*$", re.M | re.S)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?<![\w./-])(?:\.venv/bin/)?huiyin((?: [a-z]+)+)")


def each_page() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def prose(page: Path) -> str:
    """The page without its examples of code."""
    return _FENCE.sub("", page.read_text("utf-8"))


def code(page: Path) -> str:
    """The examples of code and the words in backquotes, a piece a line."""
    text = page.read_text("utf-8")
    return "\n".join(
        [*(block[1] for block in _FENCE.findall(text)), *re.findall(r"`([^`\n]+)`", prose(page))]
    )


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the page's headings."""
    titles = re.findall(r"^#+ (.+?)\s*$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page()
def test_every_relative_link_and_image_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / unquote(name)).resolve() if name else page
        exists = target.exists() and target.is_relative_to(ROOT)
        if not exists or (anchor and unquote(anchor) not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_picture_is_tracked() -> None:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a git checkout")
    tracked = set(listed.stdout.decode().split("\0"))
    pictures = {
        (page.parent / link).resolve().relative_to(ROOT).as_posix()
        for page in PAGES
        for link in _LINK.findall(prose(page))
        if link.endswith(".png")
    }
    assert pictures
    assert pictures - tracked == set()


def targets(text: str) -> set[str]:
    """The targets of make that a text names."""
    return set(re.findall(r"\bmake ([a-z][a-z-]*)\b", text))


@each_page()
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    known = set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.M))
    assert targets(code(page)) - known == set()


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_the_two_commands_come_first(page: Path) -> None:
    first = _FENCE.search(page.read_text("utf-8"))
    assert first is not None
    assert re.findall(r"^make [a-z]+", first[2], re.M) == ["make run", "make test"]
    assert "make demo" in code(page)


def commands() -> Iterator[tuple[str, ...]]:
    """Every command of the command line, by the words that call it."""

    def walk(command: object, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        within = getattr(command, "commands", None)
        if within is None:
            yield words
        else:
            for name, inner in within.items():
                yield from walk(inner, (*words, name))

    yield from walk(typer.main.get_command(program), ())


@each_page()
def test_every_command_that_is_named_exists(page: Path) -> None:
    known = set(commands())
    unknown = []
    for named in _COMMAND.findall(code(page)):
        words = tuple(named.split())
        # A command may be followed by an argument in small letters.
        if words[:1] not in known and words[:2] not in known:
            unknown.append(named.strip())
    assert unknown == []


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_every_command_is_in_both_readmes(page: Path) -> None:
    text = code(page)
    assert [words for words in commands() if f"huiyin {' '.join(words)}" not in text] == []


def test_both_readmes_say_the_same() -> None:
    english, chinese = READMES
    outline = [re.findall(r"^(#+) ", prose(page), re.M) for page in READMES]
    assert outline[0] == outline[1]
    assert targets(code(english)) == targets(code(chinese))
    links = [
        {link for link in _LINK.findall(prose(page)) if not link.startswith("README")} for page in READMES
    ]
    assert links[0] == links[1]
    examples = [
        [_without_comments(block[1]) for block in _FENCE.findall(p.read_text("utf-8"))] for p in READMES
    ]
    assert examples[0] == examples[1]


def _without_comments(example: str) -> str:
    return re.sub(r'\s*(?:#.*|""".*""")$', "", example, flags=re.M)


@each_page()
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:bot|console|desk|nlu|storage|tests|benchmarks|docs)/[\w./*-]*)`", page.read_text("utf-8")
    )
    # The number of a migration to come stands with an ellipsis, which is no part of a name.
    assert [name for name in named if not any(ROOT.glob(name))] == []


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_the_example_signs_an_order_event_that_is_accepted(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = dict(re.findall(r"^```(json|python)\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S))
    secret = make_shop_secret()
    (tmp_path / "var" / "secrets").mkdir(parents=True)
    (tmp_path / "var" / "secrets" / "SHOP_SECRET").write_text(f"{secret}\n")
    monkeypatch.chdir(tmp_path)
    sent: list[urllib.request.Request] = []

    def answer(request: urllib.request.Request, timeout: float) -> AbstractContextManager[Any]:
        sent.append(request)
        return nullcontext(SimpleNamespace(status=202))

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    example: dict[str, Any] = {"__name__": "example"}
    exec(compile(examples["python"], page.name, "exec"), example)
    assert example["report"](json.loads(examples["json"])) == 202
    (request,) = sent
    assert isinstance(request.data, bytes)
    headers = {name.lower(): value for name, value in request.header_items()}
    assert ShopSignatures([secret]).fit(request.data, headers)
    assert parse_order_event(request.data, datetime.now(UTC)).order.external_id == "A20261121001"


def test_every_decision_is_numbered_whole_and_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(
        r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \|$", (folder / "README.md").read_text("utf-8"), re.M
    )
    pages = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert [(path.name[:4], path.name) for path in pages] == [(number, name) for number, name, _ in listed]
    assert [number for number, _, _ in listed] == [f"{n:04}" for n in range(1, len(listed) + 1)]
    for path, (number, _, title) in zip(pages, listed, strict=True):
        text = path.read_text("utf-8")
        assert text.splitlines()[0] == f"# {number} {title}"
        assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Decision", "Consequences", "Not chosen"]


@pytest.mark.parametrize(
    ("heading", "values"),
    [
        ("Survey states", SurveyState),
        ("Skip reasons", SkipReason),
        ("Case states", CaseState),
        ("Case reasons", CaseReason),
        ("Delivery states", Delivery),
    ],
)
def test_the_glossary_lists_exactly_the_values_of_the_code(heading: str, values: type[StrEnum]) -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    section = re.search(rf"^### {heading}.*?$(.*?)(?=^#|\Z)", text, re.M | re.S)
    assert section is not None
    rows = re.findall(r"^\| `(\w+)` \| (\S.*?) \| (\S.*?) \|$", section[1], re.M)
    assert [name for name, _, _ in rows] == [value.value for value in values]
    assert all(re.search(r"[一-鿿]", chinese) for _, chinese, _ in rows)


def test_every_log_event_is_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    table = text.partition("## Log events")[2].partition("\n## ")[0]
    logged = {
        name
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if ".venv" not in path.parts
        for name in re.findall(
            r'\b_log\.(?:debug|info|warning|error|critical|exception)\(\s*"([a-z_.]+)"',
            path.read_text("utf-8"),
        )
    }
    explained = set(re.findall(r"`([a-z_.]+)`", table))
    assert logged - explained == set()


def test_what_is_published_says_nothing_about_who_wrote_it() -> None:
    telling = re.compile(r"/work/|/tmp/|shared/", re.I)
    assert [page.name for page in PAGES if telling.search(page.read_text("utf-8"))] == []
