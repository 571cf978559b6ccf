"""Hypothesis strategies over the corpus, and how many inputs each test must send.

The default run is the same each time. ``HUIYIN_TEST_ODD_SEED=NUMBER`` explores elsewhere (or ``random``,
which prints the number it chose).
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from typing import Any

import corpus
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st

SHARES = {
    "chat_messages": 1000,
    "chat_requests": 1000,
    "orders_forged": 2000,
    "orders_signed": 400,
    "console": 800,
}
"""Inputs that the tests send at least, by test; each counts what it really sent."""


def odd_settings(max_examples: int) -> Callable[[Any], Any]:
    """How examples are chosen: always the same, unless a seed is given.

    Examples are not made smaller over and over on failure: the inputs have names or are short, and each
    attempt talks to a whole installation.
    """
    given = os.environ.get("HUIYIN_TEST_ODD_SEED", "")
    chosen = settings(
        max_examples=max_examples,
        derandomize=not given,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    def apply(test: Any) -> Any:
        if given:
            number = random.SystemRandom().randrange(2**32) if given == "random" else int(given)
            print(f"HUIYIN_TEST_ODD_SEED={number}")
            test = seed(number)(test)
        return chosen(test)

    return apply


# Everything that a JSON string can spell, lone surrogates and NUL included.
any_character = st.characters(exclude_categories=())
generated_texts = st.text(any_character, max_size=60)
# By name: Hypothesis writes its strategies out when something fails, and some texts are long.
corpus_texts = st.sampled_from(list(corpus.TEXTS)).map(lambda name: corpus.TEXTS[name])
corpus_bodies = st.sampled_from(list(corpus.BODIES)).map(lambda name: corpus.BODIES[name])
_seasoned = st.tuples(generated_texts, corpus_texts, generated_texts).map("".join)
odd_texts = st.one_of(corpus_texts, corpus_texts, generated_texts, _seasoned)


def is_plain(text: str) -> bool:
    """Whether the order API takes the text: no control characters, no lone surrogates, not blank."""
    return bool(text.strip()) and not any(
        ord(c) < 32 or 0x7F <= ord(c) <= 0x9F or 0xD800 <= ord(c) <= 0xDFFF for c in text
    )


plain_corpus = [text for text in corpus.TEXTS.values() if is_plain(text)]


def plain_texts(longest: int) -> st.SearchStrategy[str]:
    """Odd texts that are valid names and ids of the order API, at most ``longest`` characters."""
    known = [text[:longest] for text in plain_corpus]
    drawn = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=min(longest, 40))
    return st.one_of(st.sampled_from(known), drawn).filter(is_plain)


odd_json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(2**80), 2**80),
        st.floats(allow_nan=True),
        odd_texts,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(generated_texts, inner, max_size=4)),
    max_leaves=8,
)


def json_bytes(value: Any) -> bytes:
    """As lenient writers send it: NaN, infinities and lone surrogates are spelled out."""
    return json.dumps(value, ensure_ascii=True).encode()


FIELDS = (
    "client_session_id",
    "order_token",
    "client_msg_id",
    "text",
    "button_id",
    "seq",
    "type",
    "id",
    "order",
)
odd_objects = st.dictionaries(st.sampled_from(FIELDS), odd_json_values, max_size=5).map(json_bytes)
cut_bodies = st.builds(lambda body, at: body[:at], odd_objects, st.integers(0, 200))
odd_bodies = st.one_of(
    corpus_bodies,
    corpus_bodies,
    odd_objects,
    cut_bodies,
    st.binary(max_size=200),
)

# What an HTTP parser lets through in a header: anything but line ends and NUL.
header_bytes = st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\x00\r\n"))
odd_header_values = st.one_of(st.sampled_from(corpus.HEADER_VALUES), header_bytes)
odd_headers = st.lists(st.tuples(st.sampled_from(corpus.HEADER_NAMES), odd_header_values), max_size=4)
