"""The trained models of this installation, in ``VAR_DIR/models``.

A model is code: Rasa imports whatever classes a model names. So each lies beside a manifest that is signed
with a key of this installation, and only a model whose hash is the signed one is ever given to Rasa.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.secret_files import keep_secret, make_key
from bot.setting_rules import key as check_key
from desk.errors import ConflictError, DeskError, NotFoundError

KEY_FILE = "MODEL_KEY"
KEPT = 3
"""Models that are kept; older ones go, but never the current one."""
_ENDING = ".tar.gz"
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
_CURRENT = "current"
_LOCK = "train.lock"
_PIECE = 1024 * 1024
_MOST_MANIFEST = 256 * 1024


class ModelRefusedError(DeskError):
    """A model may not be loaded; the message says why in words."""


@dataclass(frozen=True, slots=True)
class Model:
    """What the signed manifest of a model says.

    Attributes:
        name: ``<time>-<start of the fingerprint>``; the files are called by it.
        sha256: Of the model's file.
        fingerprint: Of everything that it was made from.
        trained_at: ISO 8601, in UTC.
        intents: What it may answer.
        figures: How the training went, such as ``seconds``.
    """

    name: str
    sha256: str
    fingerprint: str
    trained_at: str
    intents: tuple[str, ...]
    figures: Mapping[str, float]


class ModelStore:
    """The models in one folder.

    Args:
        var_dir: Of the installation.
    """

    def __init__(self, var_dir: Path) -> None:
        self._var_dir = var_dir
        self.folder = (var_dir / "models").absolute()
        self._rooms: set[Path] = set()

    # --- Reading --------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The names of all models, the newest first, valid or not."""
        with suppress(OSError):
            found = (file.name.removesuffix(_ENDING) for file in self.folder.iterdir())
            return sorted({name for name in found if _NAME.fullmatch(name)}, reverse=True)
        return []

    def current_name(self) -> str | None:
        """The name of the model in force; None where there is none. It says nothing on whether it is valid."""
        name, _ = self._current()
        return name if _NAME.fullmatch(name) else None

    def read(self, name: str) -> Model:
        """The manifest of a model, if its signature is ours; the model itself is not looked at.

        Raises:
            ModelRefusedError: There is no manifest, or it is not signed by this installation.
        """
        if not _NAME.fullmatch(name):
            raise ModelRefusedError("模型名称不对。 This is no name of a model.")
        try:
            with self._manifest(name).open("rb") as file:
                signed = json.loads(file.read(_MOST_MANIFEST))
            manifest, signature = signed["manifest"], str(signed["signature"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise ModelRefusedError(
                f"模型 {name} 没有可用的签名清单，不会加载。"
                f" The model {name} has no readable signed manifest and is not loaded."
            ) from None
        # Without a key nothing was ever signed here; looking must not make one.
        ours = (self._var_dir / "secrets" / KEY_FILE).exists() and hmac.compare_digest(
            self._sign(manifest).encode(), signature.encode(errors="replace")
        )
        if not ours:
            raise ModelRefusedError(
                f"模型 {name} 的签名不是本机的，不会加载；请运行 huiyin nlu train --force 重新训练。"
                f" The model {name} is not signed by this installation and is not loaded;"
                " train one with: huiyin nlu train --force"
            )
        try:
            model = Model(**{**manifest, "intents": tuple(manifest["intents"])})
        except (TypeError, KeyError):
            raise ModelRefusedError(
                f"模型 {name} 的清单来自别的版本，不会加载。"
                f" The manifest of the model {name} is another version's; it is not loaded."
            ) from None
        if model.name != name:
            # A true manifest under another name would bring an old model back unnoticed.
            raise ModelRefusedError(
                f"模型 {name} 的清单属于别的模型，不会加载。"
                f" The manifest of the model {name} belongs to another one; it is not loaded."
            )
        return model

    def check(self, name: str) -> Model:
        """As ``read``, and the model's file is the one that was signed.

        Raises:
            ModelRefusedError: It is not.
        """
        model = self.read(name)
        with self._opened(model) as pieces:
            found = hashlib.sha256()
            for piece in pieces:
                found.update(piece)
        _refuse_other(model, found.hexdigest())
        return model

    def take_out(self, name: str, target: Path) -> Model:
        """Copies a model to ``target`` and checks the very bytes that were copied.

        What is checked is what will be loaded, whatever happens to the original in between.

        Raises:
            ModelRefusedError: It is not the model that was signed; nothing is left at ``target``.
            OSError: It cannot be copied.
        """
        model = self.read(name)
        found = hashlib.sha256()
        try:
            with self._opened(model) as pieces, target.open("xb") as copy:
                for piece in pieces:
                    found.update(piece)
                    copy.write(piece)
            _refuse_other(model, found.hexdigest())
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return model

    # --- Changing -------------------------------------------------------------------------------------

    @contextmanager
    def training(self) -> Iterator[None]:
        """The right to train: one at a time, whichever process asks.

        Raises:
            ConflictError: Another process trains.
        """
        self._make_folder()
        with (self.folder / _LOCK).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConflictError("a training is running already 已经有一个训练在进行") from None
            yield

    def draft(self) -> Path:
        """A name in the folder for a model that is being made; what earlier trainings left there goes."""
        self._make_folder()
        for left in self.folder.glob(".training-*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self.folder.glob(".draft-*"):
            left.unlink(missing_ok=True)
        return self.folder / f".draft-{secrets.token_hex(8)}{_ENDING}"

    def add(
        self,
        draft: Path,
        fingerprint: str,
        intents: tuple[str, ...],
        figures: Mapping[str, float],
        now: datetime,
    ) -> Model:
        """Signs a model that was just trained here, puts it in force and drops the oldest ones.

        Raises:
            OSError: It cannot be stored.
        """
        self._make_folder()
        now = now.astimezone(UTC)
        name = f"{now:%Y%m%dT%H%M%SZ}-{fingerprint[:12]}"
        model = Model(
            name, _hash(draft), fingerprint, now.isoformat(timespec="seconds"), intents, dict(figures)
        )
        manifest = asdict(model) | {"intents": list(intents)}
        text = json.dumps({"manifest": manifest, "signature": self._sign(manifest)}, indent=1) + "\n"
        draft.chmod(0o600)
        _sync(draft)
        # The manifest comes last: a model without one is never loaded, so there is never half a model.
        draft.replace(self._file(name))
        self._write(self._manifest(name), text)
        self._write(self.folder / _CURRENT, name + "\n")
        self._prune()
        return model

    def use(self, name: str, chosen_for: str = "") -> Model:
        """Puts a model in force.

        Args:
            chosen_for: Fingerprint of the inputs while a person chose it; until they change, training
                leaves the choice alone.

        Raises:
            NotFoundError: There is no such model.
            ModelRefusedError: It is not valid.
        """
        if name not in self.names():
            raise NotFoundError(f"no model {name[:64]!r}; huiyin nlu models 列出现有的 lists what is there")
        model = self.check(name)
        self._write(self.folder / _CURRENT, f"{name}\n{chosen_for}\n")
        return model

    def is_chosen_for(self, fingerprint: str) -> bool:
        """Whether a person chose the current model while the inputs were these."""
        return self._current()[1] == fingerprint

    @contextmanager
    def room(self) -> Iterator[Path]:
        """A private folder for a child, gone afterwards; those of processes that were killed go now."""
        self._make_folder()
        for left in self.folder.glob(".room-*"):
            if left not in self._rooms and not _is_alive(left.name.split("-")[1]):
                shutil.rmtree(left, ignore_errors=True)
        room = Path(tempfile.mkdtemp(prefix=f".room-{os.getpid()}-", dir=self.folder))
        self._rooms.add(room)
        try:
            yield room
        finally:
            shutil.rmtree(room, ignore_errors=True)
            self._rooms.discard(room)

    def newest_for(self, fingerprint: str) -> Model | None:
        """The newest valid model made from exactly these inputs."""
        for name in self.names():
            if name.endswith(fingerprint[:12]):
                with suppress(ModelRefusedError):
                    model = self.check(name)
                    if model.fingerprint == fingerprint:
                        return model
        return None

    # --- Inside ---------------------------------------------------------------------------------------

    def _current(self) -> tuple[str, str]:
        """The name in force, and for which inputs a person chose it; empty where there is none."""
        try:
            lines = (self.folder / _CURRENT).read_text("ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            return "", ""
        return (*lines, "", "")[0], (*lines, "", "")[1]

    def _prune(self) -> None:
        current = self.current_name()
        for name in self.names()[KEPT:]:
            if name != current:
                self._file(name).unlink(missing_ok=True)
                self._manifest(name).unlink(missing_ok=True)

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}{_ENDING}"

    def _manifest(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _sign(self, manifest: Any) -> str:
        key = keep_secret(self._var_dir, KEY_FILE, make_key, check_key, [])
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
        return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()

    @contextmanager
    def _opened(self, model: Model) -> Iterator[Iterator[bytes]]:
        try:
            file = self._file(model.name).open("rb")
        except OSError:
            raise ModelRefusedError(
                f"模型 {model.name} 的文件读不了。 The file of the model {model.name} cannot be read."
            ) from None
        with file:
            yield iter(lambda: file.read(_PIECE), b"")

    def _write(self, path: Path, text: str) -> None:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _sync(path.parent)
        finally:
            draft.unlink(missing_ok=True)


def _is_alive(pid: str) -> bool:
    """Whether another process has that number; our own rooms of an earlier life count as left over."""
    try:
        if int(pid) == os.getpid():
            return False
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _refuse_other(model: Model, sha256: str) -> None:
    if not hmac.compare_digest(model.sha256, sha256):
        raise ModelRefusedError(
            f"模型 {model.name} 的内容和签名时不同，不会加载。"
            f" The model {model.name} is not the file that was signed and is not loaded."
        )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
