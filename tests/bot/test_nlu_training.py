"""Training: only when something changed, told step by step, and never half a model."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.nlu_server.inputs import fingerprint, input_files, known_intents
from bot.nlu_server.keeper import RasaKeeper
from bot.nlu_server.model_store import ModelStore
from bot.nlu_server.optional_rasa import OptionalRasa
from bot.nlu_server.preparation import Preparation
from bot.nlu_server.training import StartTraining, TrainingFailedError, train
from desk import intents
from nlu.faq_search import FaqSearch

WELL = """
import json, sys
print("a library says something")
print(json.dumps({"stage": "starting", "done": 0, "total": 1}))
print(json.dumps({"stage": "training", "done": 1, "total": 2}))
open(sys.argv[1], "w").write("weights")
print(json.dumps({"stage": "saved", "done": 2, "total": 2}))
"""
ILL = """
import json, sys
open(sys.argv[1], "w").write("half a mod")
print(json.dumps({"stage": "failed", "error": "ValueError"}))
sys.exit(1)
"""


def training(program: str) -> StartTraining:
    """A training that does what the program says."""

    async def start(output: Path, private: Path) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(output), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd=private
        )

    return start


def now() -> datetime:
    return datetime.now(UTC)


def test_it_trains_once_and_again_only_by_force(tmp_path: Path) -> None:
    async def story() -> None:
        store = ModelStore(tmp_path)
        told: list[tuple[str, int, int]] = []

        def report(stage: str, done: int, total: int) -> None:
            told.append((stage, done, total))

        first, trained = await train(store, report, now, start=training(WELL))
        assert trained
        assert told == [("starting", 0, 1), ("training", 1, 2), ("saved", 2, 2)]
        assert first.fingerprint == fingerprint()
        assert first.intents == known_intents()
        assert store.check(store.current_name() or "") == first
        again, trained = await train(store, report, now, start=training(ILL))
        assert (again, trained) == (first, False)
        await asyncio.sleep(1.1)
        forced, trained = await train(store, report, now, force=True, start=training(WELL))
        assert trained
        assert forced.name != first.name
        # A person who went back to the first one is not overruled until something changes.
        store.use(first.name, chosen_for=fingerprint())
        await train(store, report, now, start=training(ILL))
        assert store.current_name() == first.name

    asyncio.run(story())


def test_a_failed_training_leaves_nothing_and_the_model_in_force_stays(tmp_path: Path) -> None:
    async def story() -> None:
        store = ModelStore(tmp_path)
        first, _ = await train(store, lambda *_: None, now, start=training(WELL))
        with pytest.raises(TrainingFailedError, match="训练失败"):
            await train(store, lambda *_: None, now, force=True, start=training(ILL))
        assert store.names() == [first.name]
        assert store.current_name() == first.name
        assert sorted(path.name for path in store.folder.glob(".*")) == []

    asyncio.run(story())


def test_where_rasa_cannot_be_installed_the_start_goes_on_in_words(tmp_path: Path) -> None:
    async def story() -> None:
        store = ModelStore(tmp_path)
        keeper = RasaKeeper(store, OptionalRasa(FaqSearch()))
        told: list[str] = []

        async def cannot() -> bool:
            return False

        preparation = Preparation(store, keeper, now, told.append, cannot, lambda: False)
        assert keeper.state() == "starting"
        await preparation.run()
        assert keeper.state().startswith("degraded: ")
        (sentence,) = told
        assert "问答检索" in sentence
        assert "the FAQ search understands alone" in sentence

    asyncio.run(story())


def test_the_domain_knows_what_the_desk_knows() -> None:
    assert set(known_intents()) == set(intents.INTENTS)


def test_every_input_counts() -> None:
    names = {file.name for file in input_files()}
    assert {"config.yml", "domain.yml", "train.py", "requirements.lock", "shop_words.txt"} <= names
    assert any(name.endswith(".py") for name in names - {"train.py"})
