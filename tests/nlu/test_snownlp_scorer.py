"""SnowNLP scores on a thread of its own, loads late and speaks in the desk's errors only."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from desk.errors import UnderstandingError
from desk.values import Sentiment, SentimentLabel
from nlu.snownlp_scorer import ChildReader, Reading, SnowNlpScorer


@pytest.fixture(scope="module")
def scorer() -> Iterator[SnowNlpScorer]:
    one = SnowNlpScorer()
    yield one
    one.close()


def score(scorer: SnowNlpScorer, text: str) -> Sentiment:
    return asyncio.run(scorer.score(text))


class FakeReader:
    """Stands for a SnowNLP that fails in its own way, or answers this."""

    def __init__(self, error: Exception | None, reading: Reading | None = None) -> None:
        self._error, self._reading = error, reading or Reading(0.5)

    def read(self, text: str) -> Reading:
        if self._error:
            raise self._error
        return self._reading

    def close(self) -> None:
        pass


def test_an_unhappy_review_is_negative_with_its_words(scorer: SnowNlpScorer) -> None:
    text = "质量太差了，用了两天就坏，客服还不理人，非常失望，要求退货"
    found = score(scorer, text)
    assert found.label is SentimentLabel.NEGATIVE
    assert -1.0 <= found.score < -0.6
    assert found.scorer == "snownlp-0.12.3"
    assert 0 < len(found.evidence) <= 5
    assert all(word in text for word in found.evidence)
    assert {"太差", "差", "失望", "退货"} & set(found.evidence)


def test_a_glad_review_is_positive_with_its_words(scorer: SnowNlpScorer) -> None:
    text = "非常喜欢，质量很好，物流也快，值得推荐给朋友"
    found = score(scorer, text)
    assert found.label is SentimentLabel.POSITIVE
    assert 0.4 < found.score <= 1.0
    assert found.evidence
    assert all(word in text for word in found.evidence)


@pytest.mark.parametrize("text", ["", "  \n", "\u3000", "。。。", "😡", "\x00"])
def test_a_text_without_words_is_neutral_and_does_not_reach_the_library(text: str) -> None:
    found = score(SnowNlpScorer(FakeReader(ZeroDivisionError())), text)
    assert (found.label, found.score, found.evidence) == (SentimentLabel.NEUTRAL, 0.0, ())


def test_neutral_has_no_evidence(scorer: SnowNlpScorer) -> None:
    found = score(scorer, "1")
    assert found.label is SentimentLabel.NEUTRAL
    assert found.evidence == ()


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        KeyError("pos"),
        OSError("no model"),
        ValueError("bad marshal data"),
        RuntimeError(),
    ],
)
def test_foreign_errors_become_the_desks_own(error: Exception) -> None:
    with pytest.raises(UnderstandingError) as caught:
        score(SnowNlpScorer(FakeReader(error)), "秘密的话")
    assert "秘密" not in str(caught.value)


@pytest.mark.parametrize("probability", [float("nan"), -0.1, 1.5])
def test_what_is_no_probability_is_refused(probability: float) -> None:
    with pytest.raises(UnderstandingError):
        score(SnowNlpScorer(FakeReader(None, Reading(probability))), "还行")


@pytest.mark.parametrize(
    "text", ["\ud800好", "a" * 50_000, "好" * 50_000, "1 2 3", "很差\n\n很差", "ok good 👍", "﷽"]
)
def test_odd_texts_are_scored(scorer: SnowNlpScorer, text: str) -> None:
    assert -1.0 <= score(scorer, text).score <= 1.0


def test_only_the_first_two_thousand_characters_count(scorer: SnowNlpScorer) -> None:
    start = "很好" * 1000
    assert score(scorer, start + "太差了退货" * 900) == score(scorer, start)


def test_evidence_is_the_five_strongest_words_of_the_text() -> None:
    words = tuple(
        (word, -strength) for word, strength in zip("甲乙丙丁戊己庚", (1, 2, 3, 4, 5, 6, 0.1), strict=True)
    )
    found = score(
        SnowNlpScorer(FakeReader(None, Reading(0.01, (*words, ("辛", -9), ("好", 8))))), "甲乙丙丁戊己庚好"
    )
    assert found.evidence == ("己", "戊", "丁", "丙", "乙")


def test_a_child_that_died_is_replaced_by_the_next_text() -> None:
    reader = ChildReader()
    scorer = SnowNlpScorer(reader)
    assert score(scorer, "质量很好").label is SentimentLabel.POSITIVE
    first = reader._child
    assert first is not None
    first.kill()
    first.wait()
    with pytest.raises(UnderstandingError):
        score(scorer, "质量很好")
    assert score(scorer, "质量很好").label is SentimentLabel.POSITIVE
    second = reader._child
    assert second is not None
    scorer.close()
    assert second.returncode is not None


def test_the_loop_keeps_its_beat_while_the_library_loads() -> None:
    """Several first scores at once load the library once, elsewhere, and without a word."""
    code = """
import asyncio, sys, time
from nlu.snownlp_scorer import SnowNlpScorer
async def main():
    scorer = SnowNlpScorer()
    work = asyncio.gather(*(scorer.score(t) for t in ("很好", "太差了", "还行吧")))
    longest, last = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0.01)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    assert [found.scorer for found in await work] == ["snownlp-0.12.3"] * 3
    assert not {"snownlp", "jieba"} & set(sys.modules)
    print(longest)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    # On a thread it would be more than two seconds.
    assert float(done.stdout) < 1.0


def test_importing_loads_no_model() -> None:
    code = "import sys, nlu.snownlp_scorer; print(sorted({'snownlp', 'jieba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_child_ends_with_its_parent() -> None:
    code = """
import asyncio, os
from nlu.snownlp_scorer import ChildReader, SnowNlpScorer
reader = ChildReader()
asyncio.run(SnowNlpScorer(reader).score("很好"))
print(reader._child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    child = int(done.stdout)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child outlived its parent")
