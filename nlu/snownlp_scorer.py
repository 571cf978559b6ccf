"""Sentiment by SnowNLP 0.12.3: naive Bayes over the words of a text, trained on shop reviews.

SnowNLP loads its models when it is imported: 3 to 4 seconds and about 400 MB, of which more than two
seconds are one call that holds the interpreter lock (measured), so that even on a thread it would stop
the event loop. So it lives in a child process, started by the first score, that this module speaks
to line by line. The child ends with its standard input, hence with us, however we end.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from desk.errors import UnderstandingError
from desk.values import Sentiment, SentimentLabel

SCORER = "snownlp-0.12.3"
MAX_TEXT = 2_000
MAX_EVIDENCE = 5

# Between these a text is neutral. SnowNLP only knows glad and unhappy reviews and pulls calm questions
# towards unhappy, so the band reaches further down than up. Chosen for the best mean F1 over the three
# labels on 5,200 reviews (shop, food delivery, air conditioners, cosmetics) and 1,800 calm turns.
NEGATIVE_BELOW = -0.6
POSITIVE_ABOVE = 0.4

# A word speaks for a label when it is at least twice as likely there, and was seen often enough in training.
_SPEAKS = math.log(2.0)
_MIN_SEEN = 5

# Loading takes 4 s and the longest text 0.2 s on one core; a child that is silent for so long has failed.
_PATIENCE_SECONDS = 60.0

_WORD = re.compile(r"[^\W_]")
# What SnowNLP's code and model files may raise; the desk knows only its own errors.
_FOREIGN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What SnowNLP says of one text.

    Attributes:
        probability: That the text is glad, from 0 to 1.
        words: Words of the text with their log odds; above 0 speaks for glad. Rare ones are left out.
    """

    probability: float
    words: tuple[tuple[str, float], ...] = ()


class Reader(Protocol):
    """Reads a text with SnowNLP, taking its time."""

    def read(self, text: str) -> Reading:
        """Reads one text that is not blank; may raise anything in ``_FOREIGN``."""
        ...

    def close(self) -> None:
        """Gives back what it holds."""
        ...


class SnowNlpScorer:
    """Scores a text by SnowNLP's own model.

    One thread does all the waiting, so the library loads once and calls that come meanwhile do not use
    up the threads that others need.
    """

    def __init__(self, reader: Reader | None = None) -> None:
        self._reader = reader or ChildReader()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snownlp")

    async def score(self, text: str) -> Sentiment:
        """Scores one text.

        Args:
            text: What the customer wrote; its first 2,000 characters count.

        Returns:
            The score is twice SnowNLP's probability of "glad", minus 1. Evidence are at most five
            words of the text, strongest first. A text without a letter, digit or character is neutral, 0.

        Raises:
            UnderstandingError: SnowNLP failed or answered no probability.
        """
        text = text[:MAX_TEXT]
        if not _WORD.search(text):
            return Sentiment(SentimentLabel.NEUTRAL, 0.0, (), SCORER)
        try:
            reading = await asyncio.get_running_loop().run_in_executor(self._thread, self._reader.read, text)
        except _FOREIGN as error:
            raise UnderstandingError(f"SnowNLP failed: {type(error).__name__}") from error
        if not 0.0 <= reading.probability <= 1.0:
            raise UnderstandingError("SnowNLP answered no probability")
        score = 2.0 * reading.probability - 1.0
        label = _label(score)
        return Sentiment(label, score, _evidence(reading, label, text), SCORER)

    def close(self) -> None:
        """Ends the child process. A text that is being scored fails; the scorer is of no use afterwards."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._reader.close()
        self._thread.shutdown(wait=True)


def _label(score: float) -> SentimentLabel:
    """The label of a score from -1 to 1."""
    if score < NEGATIVE_BELOW:
        return SentimentLabel.NEGATIVE
    if score > POSITIVE_ABOVE:
        return SentimentLabel.POSITIVE
    return SentimentLabel.NEUTRAL


def _evidence(reading: Reading, label: SentimentLabel, text: str) -> tuple[str, ...]:
    """The words that speak strongest for the label; none for a neutral one."""
    if label is SentimentLabel.NEUTRAL:
        return ()
    sign = 1.0 if label is SentimentLabel.POSITIVE else -1.0
    strengths = {word: sign * odds for word, odds in reading.words if word in text and sign * odds >= _SPEAKS}
    return tuple(sorted(strengths, key=lambda word: -strengths[word])[:MAX_EVIDENCE])


class ChildReader:
    """Reads texts in a child process, which it starts when it has none. For one thread at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[[subprocess.Popen[bytes]], ChildReader] | None = None

    def read(self, text: str) -> Reading:
        """Reads one text.

        Raises:
            OSError: The child could not be started, or ended; the next text starts another.
            RuntimeError: SnowNLP failed; the message names its error.
        """
        child = self._child or self._start()
        # Pipes of subprocess.PIPE are never None.
        assert child.stdin is not None
        assert child.stdout is not None
        watch = threading.Timer(_PATIENCE_SECONDS, child.kill)
        watch.daemon = True
        watch.start()
        try:
            child.stdin.write(json.dumps(text).encode() + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except (OSError, ValueError):
            line = b""
        finally:
            watch.cancel()
        if not line:
            self.close()
            raise OSError("the SnowNLP process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return Reading(answer["probability"], tuple((word, odds) for word, odds in answer["words"]))

    def close(self) -> None:
        """Ends the child, if there is one."""
        finalizer, self._finalizer, self._child = self._finalizer, None, None
        if finalizer is not None:
            finalizer()

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        # It needs none of our settings, some of which are secrets.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUIYIN_")}
        # A session of its own: Ctrl-C is for us, and we end the child in order.
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", "from nlu.snownlp_scorer import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=inherited | {"PYTHONPATH": path},
            start_new_session=True,
        )
        self._child, self._finalizer = child, weakref.finalize(self, _end, child)
        return child


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends a child for good; it holds nothing that could be lost."""
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                # What was still to be written is of no use to a child that is gone.
                continue


def serve() -> None:
    """The child: reads JSON texts line by line and answers each with a line, until its input ends."""
    library: Any = None
    for line in sys.stdin.buffer:
        try:
            if library is None:
                from snownlp import sentiment

                library = sentiment.classifier
            reading = _read(library, json.loads(line))
            answer: dict[str, Any] = {"probability": reading.probability, "words": reading.words}
        except _FOREIGN as error:
            answer = {"error": type(error).__name__}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _read(library: Any, text: str) -> Reading:
    """What SnowNLP's classifier says of a text."""
    glad, unhappy = (library.classifier.d[name] for name in ("pos", "neg"))
    words: dict[str, float] = {}
    for word in library.handle(text):
        if word in words or not _WORD.search(word):
            continue
        seen = sum(counts.get(word)[1] for counts in (glad, unhappy) if counts.exists(word))
        if seen >= _MIN_SEEN:
            words[word] = math.log(glad.freq(word)) - math.log(unhappy.freq(word))
    return Reading(float(library.classify(text)), tuple(words.items()))
