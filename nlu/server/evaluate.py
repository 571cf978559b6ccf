"""Measures the understanding: ``python -m nlu.server.evaluate [--data FOLDER]`` from the repository root.

First the examples themselves in stratified cross-validation: precision, recall and F1 per intent, what is taken for
what, and how much is left unanswered. Then, where the folder has ``customer_utterances/dev.csv`` (columns ``text``
and ``intent``; ``none`` means that no intent can be known), the model of all examples on those real turns. A text
counts as answered when the fallback of config.yml does not reject it. Everything runs through Rasa as it is served.
"""

# Rasa lives in another environment than the one in which types are checked.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import logging
import random
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlu.server.train import ROOT, SEED, SERVER, quiet_environment, train

FALLBACK = "nlu_fallback"
NONE = "none"
LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
TOP_PAIRS = 25
HEADLINES = ("accuracy", "macro_f1", "coverage", "fallback_rate", "precision_of_answered", "none_answered")


@dataclass(frozen=True)
class Example:
    """A text as it stands in the data, entity marks included, and its intent."""

    text: str
    intent: str


@dataclass(frozen=True)
class Judged:
    """What a model made of one text: `guess` is its best intent, whether or not it was sure enough."""

    truth: str
    guess: str
    confidence: float
    answered: bool


def read_examples(folder: Path) -> list[Example]:
    """Returns all examples of the data files, in the order of the files."""
    from ruamel.yaml import YAML

    examples: list[Example] = []
    for file in sorted(folder.rglob("*.yml")):
        for block in YAML(typ="safe").load(file)["nlu"]:
            lines = block["examples"].splitlines()
            examples += [Example(line.removeprefix("- "), block["intent"]) for line in lines if line.strip()]
    return examples


def split_folds(examples: list[Example], folds: int) -> list[list[Example]]:
    """Returns `folds` lists in which each intent has its even share; the same ones every time."""
    chance = random.Random(SEED)  # noqa: S311 - the split must repeat, not surprise.
    by_intent: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_intent[example.intent].append(example)
    result: list[list[Example]] = [[] for _ in range(folds)]
    place = 0
    for intent in sorted(by_intent):
        chance.shuffle(by_intent[intent])
        for example in by_intent[intent]:
            result[place % folds].append(example)
            place += 1
    return result


def train_on(examples: list[Example], folder: Path) -> Path:
    """Trains on `examples` with the pipeline of the repository and returns the model."""
    by_intent: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        by_intent[example.intent].append(f"- {example.text}\n")
    blocks = [{"intent": intent, "examples": "".join(lines)} for intent, lines in by_intent.items()]
    data = folder / "examples.yml"
    # JSON is YAML, and it is the one form in which no text needs care; the keys are what Rasa knows a data file by.
    data.write_text(f'version: "3.1"\nnlu: {json.dumps(blocks, ensure_ascii=False)}\n', "utf-8")
    model = folder / "model.tar.gz"
    train(ROOT / "config.yml", SERVER / "domain.yml", [data], model, lambda stage, done, total: None)
    return model


def plain(text: str) -> str:
    """Returns an example as a customer would have typed it, without entity marks."""
    from rasa.shared.nlu.training_data.entities_parser import parse_training_example

    return str(parse_training_example(text).get("text"))


async def judge(model: Path, examples: list[Example]) -> list[Judged]:
    """Returns what the model says to each text."""
    from rasa.core.agent import Agent

    agent = Agent.load(str(model))
    judged = []
    for example in examples:
        answer: dict[str, Any] = await agent.parse_message(plain(example.text))
        best = next(entry for entry in answer["intent_ranking"] if entry["name"] != FALLBACK)
        answered = answer["intent"]["name"] != FALLBACK
        judged.append(Judged(example.intent, best["name"], float(best["confidence"]), answered))
    return judged


def share(part: float, whole: float) -> float | None:
    """Returns the quotient, or None where there is nothing to divide."""
    return round(part / whole, 4) if whole else None


def per_intent(judged: list[Judged]) -> dict[str, dict[str, float]]:
    """Returns precision, recall, F1 and support of each intent that occurs, by its best guess."""
    known = [one for one in judged if one.truth != NONE]
    rows = {}
    for intent in sorted({one.truth for one in known}):
        hits = sum(one.truth == one.guess == intent for one in known)
        guessed = sum(one.guess == intent for one in known)
        support = sum(one.truth == intent for one in known)
        precision = hits / guessed if guessed else 0.0
        recall = hits / support
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        rows[intent] = {
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "f1": round(f1, 4),
            "support": support,
        }
    return rows


def summarise(judged: list[Judged]) -> dict[str, Any]:
    """Returns all figures of one measurement; those named `none_…` are about texts without an intent."""
    known = [one for one in judged if one.truth != NONE]
    unknowable = [one for one in judged if one.truth == NONE]
    answered = [one for one in known if one.answered]
    intents = per_intent(judged)
    levels = []
    for level in LEVELS:
        sure = [one for one in known if one.confidence >= level]
        levels.append(
            {
                "level": level,
                "coverage": share(len(sure), len(known)),
                "precision": share(sum(one.truth == one.guess for one in sure), len(sure)),
                "none_answered": share(sum(one.confidence >= level for one in unknowable), len(unknowable)),
            }
        )
    pairs = Counter((one.truth, one.guess) for one in known if one.truth != one.guess)
    return {
        "texts": len(known),
        "accuracy": share(sum(one.truth == one.guess for one in known), len(known)),
        "macro_f1": share(sum(row["f1"] for row in intents.values()), len(intents)),
        "coverage": share(len(answered), len(known)),
        "fallback_rate": share(len(known) - len(answered), len(known)),
        "precision_of_answered": share(sum(one.truth == one.guess for one in answered), len(answered)),
        "none_texts": len(unknowable),
        "none_answered": share(sum(one.answered for one in unknowable), len(unknowable)),
        "levels": levels,
        "intents": intents,
        "confusions": [[truth, guess, count] for (truth, guess), count in pairs.most_common(TOP_PAIRS)],
    }


def show(title: str, figures: dict[str, Any]) -> None:
    """Prints one measurement for people."""
    print(f"\n== {title}: {figures['texts']} texts with an intent, {figures['none_texts']} without")
    for name in HEADLINES:
        if figures[name] is not None:
            print(f"{name:22} {figures[name]:.3f}")
    print("\nconfidence ≥   answered   right of those   none answered")
    for row in figures["levels"]:
        cells = (row["coverage"], row["precision"], row["none_answered"])
        shown = [" " * 8 if cell is None else f"{cell:8.3f}" for cell in cells]
        print(f"{row['level']:12}   " + "   ".join(shown))
    print(f"\n{'intent':22} precision  recall     f1  support")
    for intent, row in figures["intents"].items():
        print(
            f"{intent:22} {row['precision']:9.2f} {row['recall']:7.2f} {row['f1']:6.2f} {row['support']:8.0f}"
        )
    print("\nmost often taken for another")
    for truth, guess, count in figures["confusions"]:
        print(f"{count:4}  {truth} → {guess}")


def read_turns(data: Path) -> list[Example] | None:
    """Returns the labelled real turns, or None where they are not."""
    file = data / "customer_utterances" / "dev.csv"
    if not file.is_file():
        return None
    with file.open(encoding="utf-8", newline="") as lines:
        return [Example(row["text"], row["intent"]) for row in csv.DictReader(lines) if row["text"].strip()]


def main() -> int:
    """Measures as the command line says and returns the exit status."""
    parser = argparse.ArgumentParser(description="Measure the understanding.")
    parser.add_argument("--data", type=Path, help="folder with customer_utterances/dev.csv")
    parser.add_argument("--folds", type=int, default=5, help="0 leaves cross-validation out")
    parser.add_argument("--report", type=Path, help="also write all figures there, as JSON")
    arguments = parser.parse_args()
    quiet_environment()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)

    examples = read_examples(SERVER / "data")
    report: dict[str, Any] = {"examples": len(examples)}
    with tempfile.TemporaryDirectory(prefix="huiyin-evaluate-") as folder:
        if arguments.folds:
            folds = split_folds(examples, arguments.folds)
            judged: list[Judged] = []
            for number, held_out in enumerate(folds, 1):
                print(f"fold {number} of {arguments.folds} …", file=sys.stderr, flush=True)
                rest = [one for fold in folds if fold is not held_out for one in fold]
                judged += asyncio.run(judge(train_on(rest, Path(folder)), held_out))
            report["cross_validation"] = summarise(judged)
            show(f"Cross-validation of the examples, {arguments.folds} folds", report["cross_validation"])
        turns = read_turns(arguments.data) if arguments.data else None
        if turns is None:
            print("\nNo customer_utterances/dev.csv to score: give its folder with DATA=…")
        else:
            known = {plain(one.text).strip() for one in examples}
            report["turns_among_examples"] = sum(one.text.strip() in known for one in turns)
            report["turns"] = summarise(asyncio.run(judge(train_on(examples, Path(folder)), turns)))
            show("Real turns (dev.csv)", report["turns"])
            print(f"\nturns that occur word for word among the examples: {report['turns_among_examples']}")
    if arguments.report:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
        arguments.report.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
