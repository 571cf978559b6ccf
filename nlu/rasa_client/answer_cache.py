"""Answers to texts that were asked before, as long as the same model is loaded."""

from __future__ import annotations

from collections import OrderedDict

from nlu.rasa_client.values import Parsed

# A longer text hardly comes twice, and would only fill the memory.
_MAX_TEXT = 100


class AnswerCache:
    """The answers used last, all by one model.

    A generation is the time between two changes of the model. An answer belongs to the generation in
    which its question left; one that comes from an earlier generation says nothing about the model of today.

    Args:
        most: How many answers are kept; 0 keeps none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[str, Parsed] = OrderedDict()
        self.model: str | None = None
        self.generation = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, text: str) -> Parsed | None:
        """The answer of the model of today, or None."""
        found = self._answers.get(text)
        if found is not None:
            self._answers.move_to_end(text)
        return found

    def keep(self, text: str, parsed: Parsed, generation: int) -> None:
        """Keeps an answer, unless a model gave it that is or may be gone."""
        if generation == self.generation:
            self.learn(parsed.model, generation)
        elif parsed.model is None or parsed.model != self.model:
            return
        if self._most <= 0 or len(text) > _MAX_TEXT:
            return
        self._answers[text] = parsed
        self._answers.move_to_end(text)
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)

    def learn(self, model: str | None, generation: int) -> None:
        """Drops everything when another model answers now; None and old news change nothing."""
        if model is None or generation != self.generation or model == self.model:
            return
        self.drop()
        self.model = model

    def drop(self) -> None:
        """Forgets the answers and the model, and starts a generation."""
        self._answers.clear()
        self.model = None
        self.generation += 1
