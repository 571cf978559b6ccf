"""Console pages read as a suspicious browser would read them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from odd_door import Answer

# What our own pages are made of. Anything else on a page came from data.
_NEVER = {"iframe", "frame", "object", "embed", "applet", "base", "math", "style", "noscript", "template"}
_LINKS = {
    "href",
    "src",
    "action",
    "formaction",
    "xlink:href",
    "poster",
    "data",
    "srcset",
    "background",
    "ping",
}
_OWN_LINK = re.compile(r"(/(console|chat|api|static)[/?#\w]|#|/chat$|/console$|\?)")
_OWN_FILE = re.compile(r"/console/static/[\w.-]+(\?v=[0-9a-f]+)?(#[\w-]+)?")


@dataclass
class Form:
    """A form of a page, with the values that the page put into it."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class PageReader(HTMLParser):
    """Collects links, forms and text of one page, and what should not be on it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.links: set[str] = set()
        self.forms: list[Form] = []
        self.text: list[str] = []
        self._inside_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Looks at one element."""
        given = {name: value or "" for name, value in attrs}
        if tag in _NEVER:
            self.faults.append(f"<{tag}>")
        if tag == "meta" and "http-equiv" in given:
            self.faults.append("<meta http-equiv>")
        if tag in {"script", "img"} and not _OWN_FILE.fullmatch(given.get("src", "")):
            self.faults.append(f"<{tag} src={given.get('src', '')!r}>")
        if tag in {"use", "image"} and not _OWN_FILE.fullmatch(given.get("href", "")):
            self.faults.append(f"<{tag} href={given.get('href', '')!r}>")
        if len(given) != len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        for name, value in given.items():
            if name.startswith("on") or name in {"style", "srcdoc", "autofocus=", "http-equiv"}:
                self.faults.append(f"<{tag} {name}>")
            if not re.fullmatch(r"[a-z:-]+", name):
                self.faults.append(f"<{tag} {name[:40]!r}>")
            if name in _LINKS and not _OWN_LINK.match(value):
                self.faults.append(f"<{tag} {name}={value[:80]!r}>")
        self._inside_script = tag == "script"
        if tag == "a":
            self.links.add(given.get("href", ""))
        elif tag == "form":
            self.forms.append(Form(given.get("method", "get").upper(), given.get("action", "")))
        elif tag in {"input", "textarea", "select", "button"} and "name" in given and self.forms:
            self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Leaves one element."""
        self._inside_script = False

    def handle_data(self, data: str) -> None:
        """Keeps the text; a script of ours has none."""
        if self._inside_script and data.strip():
            self.faults.append(f"inline script {data[:40]!r}")
        self.text.append(data)

    def handle_decl(self, decl: str) -> None:
        """The one declaration."""
        if decl.lower() != "doctype html":
            self.faults.append(f"<!{decl[:40]}>")

    def unknown_decl(self, data: str) -> None:
        """CDATA and the like."""
        self.faults.append(f"<![{data[:40]}")

    def handle_pi(self, data: str) -> None:
        """Processing instructions."""
        self.faults.append(f"<?{data[:40]}")

    def handle_comment(self, data: str) -> None:
        """Our pages have no comments: templates drop theirs."""
        self.faults.append(f"<!--{data[:40]}")


def read_page(answer: Answer) -> PageReader:
    """Reads a page and fails for whatever could run or load something foreign."""
    page = PageReader()
    page.feed(answer.body.decode())
    page.close()
    assert page.faults == []
    policy = answer.header("content-security-policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.header("x-content-type-options") == "nosniff"
    return page


def check_answer(answer: Answer) -> PageReader | None:
    """Whatever the console answers: safe as a page, a file, or a way on."""
    for name, value in answer.headers:
        assert not re.search(rb"[\r\n\0]", name + value), (name, value)
    # Starlette itself writes whole addresses, of ours, where it takes a slash off the end.
    where = answer.header("location")
    assert not where or re.match(r"(http://127\.0\.0\.1:8080/|/(console|chat)([/?]|$))", where), where
    kind = answer.header("content-type").partition(";")[0]
    if kind == "text/html":
        return read_page(answer)
    if kind == "text/csv":
        check_table(answer.body.decode("utf-8-sig"))
    assert kind in {
        "",
        "application/json",
        "text/csv",
        "text/event-stream",
        "text/css",
        "text/javascript",
        "image/svg+xml",
        "text/plain",
    }
    return None


def check_table(text: str) -> None:
    """No cell, and no line of one, that a spreadsheet would calculate."""
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            for line in re.split(r"[\r\n]", cell):
                assert not re.match(r"[\s\u00a0]*[=+@＝＋＠\t\r]|[\s\u00a0]*[-－](?![\d.]+$)", line), cell


def routes_of(app: Any) -> list[tuple[str, str]]:
    """Every (method, path pattern) that the application's router knows, included routers' too."""
    found: list[tuple[str, str]] = []
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            found += routes_of(inner)
        elif getattr(route, "path", None):
            found += [(method, route.path) for method in sorted(route.methods or {"GET"}) if method != "HEAD"]
    return found
