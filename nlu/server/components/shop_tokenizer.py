"""Cuts Chinese shop talk into words with jieba and a dictionary of shop terms."""

# Rasa lives in another environment than the one in which types are checked.
# mypy: disable-error-code="import-not-found", allow-subclassing-any, allow-untyped-decorators

from __future__ import annotations

import json
import logging
import re
import tempfile
from pathlib import Path
from typing import Any

import jieba
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.tokenizers.tokenizer import Token, Tokenizer
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.server.components.folding import FoldedText, fold

WORDS_FILE = Path(__file__).with_name("shop_words.txt")
_STORED = "shop_words.json"

# What stands for many texts of one kind gets one lemma, for the single number or link says nothing. The marks in
# brackets are how exported chat logs hide such things. The letters of a lemma keep it from being taken for a word.
_KINDS = re.compile(
    r"(?P<订单标记>\[订单x\]|(?<![\da-z])(?=[a-z-]*\d)[a-z0-9-]{9,}(?![\da-z]))"
    r"|(?P<链接标记>\[链接x\]|https?://[!-~]+)"
    r"|(?P<数字标记>\[数字x\])"
    r"|(?P<名称标记>\[(?:姓名|地址|组织机构)x\])"
    r"|(?P<举报热线>(?<!\d)12315(?!\d))"
)


def read_words(path: Path) -> list[str]:
    """Returns the terms of a dictionary file: one a line, ``#`` starts a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def build_cutter(words: list[str]) -> jieba.Tokenizer:
    """Returns jieba's tokenizer with `words` added, made without reading any cache.

    jieba unmarshals ``jieba.cache`` from the shared temporary folder whoever owns it. A fresh folder that only we
    can enter holds no cache, so the dictionary of the installed package is always what is used.
    """
    jieba.setLogLevel(logging.WARNING)
    cutter = jieba.Tokenizer()
    with tempfile.TemporaryDirectory(prefix="huiyin-jieba-") as private:
        cutter.tmp_dir = private
        cutter.initialize()
    for word in words:
        cutter.add_word(word)
    return cutter


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=True)
class ShopTokenizer(Tokenizer):
    """Gives tokens whose text and place are the customer's and whose lemma is the folded word.

    It counts as trainable only to store its words in the model, which thereby never depends on a later edit.
    """

    @staticmethod
    def supported_languages() -> list[str]:
        """Returns the languages that it can be used for."""
        return ["zh"]

    @staticmethod
    def required_packages() -> list[str]:
        """Returns what Rasa checks for, as a module and as a distribution: names that are both."""
        return ["jieba"]

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """Returns the settings that the base class reads; none of them matters here."""
        return {
            "intent_tokenization_flag": False,
            "intent_split_symbol": "_",
            "token_pattern": None,
            "prefix_separator_symbol": None,
        }

    def __init__(
        self, config: dict[str, Any], words: list[str], model_storage: ModelStorage, resource: Resource
    ) -> None:
        """Makes the tokenizer with `words` beside jieba's own dictionary."""
        super().__init__(config)
        self._words = words
        self._cutter = build_cutter(words)
        self._model_storage = model_storage
        self._resource = resource

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> ShopTokenizer:
        """Returns a tokenizer with the words of the dictionary file."""
        return cls(config, read_words(WORDS_FILE), model_storage, resource)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> ShopTokenizer:
        """Returns the tokenizer with the words that the model was trained with."""
        with model_storage.read_from(resource) as folder:
            words = json.loads((folder / _STORED).read_text("utf-8"))
        return cls(config, words, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Stores the words in the model."""
        with self._model_storage.write_to(self._resource) as folder:
            (folder / _STORED).write_text(json.dumps(self._words, ensure_ascii=False), "utf-8")
        return self._resource

    def tokenize(self, message: Message, attribute: str) -> list[Token]:
        """Returns the tokens of the message: at least one, unless it is blank.

        A blank text stays without tokens, which Rasa answers with an error. With an empty token it would be
        answered with whatever intent the classifier leans to when it knows nothing.
        """
        text = message.get(attribute)
        if not text.strip():
            return []
        folded = fold(text)
        tokens: list[Token] = []
        done = 0
        for kind in _KINDS.finditer(folded.text):
            self._cut(folded, done, kind.start(), text, tokens)
            start, end = folded.original_span(*kind.span())
            tokens.append(Token(text[start:end], start, lemma=kind.lastgroup))
            done = kind.end()
        self._cut(folded, done, len(folded.text), text, tokens)
        return tokens or [Token(text, 0)]

    def _cut(self, folded: FoldedText, start: int, end: int, text: str, tokens: list[Token]) -> None:
        for word, first, last in self._cutter.tokenize(folded.text[start:end], HMM=False):
            if word.isspace():
                continue
            begin, stop = folded.original_span(start + first, start + last)
            tokens.append(Token(text[begin:stop], begin, lemma=word))
