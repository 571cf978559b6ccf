"""Models: signed where they are trained, and loaded only as they were signed."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.nlu_server.model_store import KEPT, Model, ModelRefusedError, ModelStore
from desk.errors import ConflictError, NotFoundError

BEGAN = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
INTENTS = ("greet", "refund_request")


def trained(
    store: ModelStore, content: bytes = b"weights", days: int = 0, fingerprint: str = "a" * 64
) -> Model:
    draft = store.draft()
    draft.write_bytes(content)
    return store.add(draft, fingerprint, INTENTS, {"seconds": 79.0}, BEGAN + timedelta(days=days))


def test_a_trained_model_is_in_force_and_private(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    assert store.current_name() is None
    assert store.names() == []
    model = trained(store)
    assert model.name == "20261121T040000Z-aaaaaaaaaaaa"
    assert store.current_name() == model.name
    assert ModelStore(tmp_path).check(model.name) == model
    for path in (store.folder, *store.folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert store.newest_for("a" * 64) == model
    assert store.newest_for("b" * 64) is None


def test_what_is_copied_out_is_what_was_checked(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    model = trained(store)
    copy = tmp_path / "copy.tar.gz"
    assert store.take_out(model.name, copy) == model
    assert copy.read_bytes() == b"weights"


def test_a_changed_model_is_refused_and_no_copy_stays(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    model = trained(store)
    (store.folder / f"{model.name}.tar.gz").write_bytes(b"import os")
    copy = tmp_path / "copy.tar.gz"
    with pytest.raises(ModelRefusedError, match="not the file that was signed"):
        store.take_out(model.name, copy)
    assert not copy.exists()
    with pytest.raises(ModelRefusedError, match="内容和签名时不同"):
        store.use(model.name)
    assert store.newest_for("a" * 64) is None


def test_a_manifest_that_was_rewritten_is_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    model = trained(store)
    manifest = store.folder / f"{model.name}.json"
    signed = json.loads(manifest.read_text())
    signed["manifest"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(signed))
    with pytest.raises(ModelRefusedError, match="not signed by this installation"):
        store.check(model.name)
    for rubbish in ("", "{}", "[]", "null", '{"manifest": {}, "signature": 7}', "[" * 100_000):
        manifest.write_text(rubbish)
        with pytest.raises(ModelRefusedError):
            store.check(model.name)
    manifest.unlink()
    with pytest.raises(ModelRefusedError, match="no readable signed manifest"):
        store.check(model.name)


def test_a_model_of_another_installation_is_refused(tmp_path: Path) -> None:
    here, there = ModelStore(tmp_path / "here"), ModelStore(tmp_path / "there")
    trained(here)
    model = trained(there, b"somebody else's")
    for ending in (".json", ".tar.gz"):
        (here.folder / f"{model.name}{ending}").write_bytes(
            (there.folder / f"{model.name}{ending}").read_bytes()
        )
    with pytest.raises(ModelRefusedError, match="签名不是本机的"):
        here.check(model.name)


def test_a_true_manifest_does_not_vouch_for_another_name(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    old, new = trained(store, b"old"), trained(store, b"new", 1)
    for ending in (".json", ".tar.gz"):
        (store.folder / f"{new.name}{ending}").write_bytes(
            (store.folder / f"{old.name}{ending}").read_bytes()
        )
    with pytest.raises(ModelRefusedError, match="belongs to another one"):
        store.check(new.name)


def test_going_back_is_pointing_at_an_earlier_one(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    first, second = trained(store, b"first"), trained(store, b"second", 1)
    assert store.current_name() == second.name
    assert store.use(first.name) == first
    assert store.current_name() == first.name
    with pytest.raises(NotFoundError):
        store.use("20200101T000000Z-bbbbbbbbbbbb")
    with pytest.raises(NotFoundError):
        store.use("../../etc/passwd")
    with pytest.raises(ModelRefusedError):
        store.read("../../etc/passwd")


def test_the_last_three_are_kept_and_always_the_one_in_force(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    models = [trained(store, days=day) for day in range(KEPT + 2)]
    assert store.names() == [model.name for model in reversed(models[-KEPT:])]
    store.use(models[-KEPT].name)
    newest = trained(store, days=9)
    assert store.current_name() == newest.name
    assert models[-KEPT].name not in store.names()
    assert len(list(store.folder.glob("*.json"))) == KEPT


def test_what_a_broken_training_left_goes_with_the_next(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.draft().write_bytes(b"half a model")
    (store.folder / ".training-x").mkdir()
    (store.folder / ".training-x" / "data").write_text("half")
    trained(store)
    assert sorted(path.name for path in store.folder.glob(".*")) == []


def test_two_cannot_train_at_once(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with store.training(), pytest.raises(ConflictError), ModelStore(tmp_path).training():
        raise AssertionError("two trained at once")
    with store.training():
        pass


def test_a_pointer_that_is_damaged_points_nowhere(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    trained(store)
    for damaged in (b"", b"\xff\xfe", b"../secrets/API_KEY\n"):
        (store.folder / "current").write_bytes(damaged)
        assert store.current_name() is None
