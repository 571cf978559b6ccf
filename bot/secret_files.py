"""Secrets that nobody set: made once, kept in private files."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from bot.setting_rules import PREFIX, SECRET_PREFIX, RefusedError, SettingsError


def make_shop_secret() -> str:
    """A new signing secret with 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def make_key() -> str:
    """A new key with 32 random bytes."""
    return secrets.token_urlsafe(32)


def keep_secret(
    var_dir: Path, name: str, make: Callable[[], str], check: Callable[[str], str], notes: list[str]
) -> str:
    """The secret in ``var_dir/secrets/name``, made on first use.

    The file is readable by its owner only. One that others could read is made private again, and a
    sentence in ``notes`` says so. Of several processes that start at once, one makes it and all use it.

    Raises:
        SettingsError: The file cannot be read, written or made private, or ``check`` refuses what it holds.
    """
    folder = var_dir / "secrets"
    path = folder / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        if not path.exists():
            _create(path, make())
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
            notes.append(
                f"{path} 原来别人也能读，已改为只有本人可读；若有他人用这台机器，请删除它以换新的。"
                f" Others could read {path}; it is private again. If other people use this machine,"
                " delete it to get a new one."
            )
        if path.stat().st_mode & 0o077:
            raise SettingsError(
                [
                    f"{path} 无法设为只有本人可读，请把 HUIYIN_VAR_DIR 放到别的磁盘，或设置 {PREFIX}{name}。"
                    f" {path} cannot be made private on this disk; move HUIYIN_VAR_DIR to another disk"
                    f" or set {PREFIX}{name}."
                ]
            )
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            [
                f"无法读写密钥文件 {path}（{type(error).__name__}），请检查目录权限和磁盘。"
                f" The secret file {path} cannot be read or written ({type(error).__name__});"
                " check the folder's owner and the disk."
            ]
        ) from error
    try:
        return check(text)
    except RefusedError as error:
        raise SettingsError(
            [
                f"密钥文件 {path} 里的内容不能用，请删除它，会自动生成新的。{error.zh}"
                f" What {path} holds cannot be used; delete it and a new one is made. {error.en}"
            ]
        ) from error


def _create(path: Path, text: str) -> None:
    """Write a whole private file or none; the first of several writers wins."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
        ) as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)
