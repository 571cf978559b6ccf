"""Media in messages: what a file looks like as a photo, a document and so on."""

from __future__ import annotations

from typing import Any

from telegram_api.errors import bad
from telegram_api.forms import Params
from telegram_api.world import File, Json, World

MOST_BYTES = 20 * 1024 * 1024
KINDS = ("photo", "document", "voice", "video", "audio", "animation", "sticker", "video_note")
_MIME = {
    "photo": "image/jpeg", "voice": "audio/ogg", "video": "video/mp4", "audio": "audio/mpeg",
    "animation": "video/mp4", "sticker": "image/webp", "video_note": "video/mp4",
}  # fmt: skip


def mime_of(kind: str) -> str:
    """What a file of that kind usually is."""
    return _MIME.get(kind, "application/octet-stream")


def describe(kind: str, file: File) -> Any:
    """The file as a message carries it."""
    basic: Json = {"file_id": file.file_id, "file_unique_id": file.unique_id, "file_size": file.size}
    if kind == "photo":
        # Two sizes, the smaller one first, as people send them.
        small = {**basic, "file_unique_id": f"{file.unique_id}s", "width": 90, "height": 67}
        return [small, {**basic, "width": 1280, "height": 960}]
    if kind == "document":
        return {**basic, "file_name": file.name, "mime_type": file.mime}
    if kind == "voice":
        return {**basic, "duration": 3, "mime_type": file.mime}
    if kind == "sticker":
        size = {"width": 512, "height": 512}
        return {**basic, **size, "type": "regular", "is_animated": False, "is_video": False, "emoji": "👍"}
    if kind == "video_note":
        return {**basic, "length": 240, "duration": 3}
    if kind == "audio":
        return {**basic, "duration": 3, "file_name": file.name, "mime_type": file.mime}
    return {
        **basic,
        "width": 640,
        "height": 480,
        "duration": 3,
        "file_name": file.name,
        "mime_type": file.mime,
    }


def file_of(body: Json) -> tuple[str, str] | None:
    """The kind and the file id of a message's file."""
    for kind in KINDS:
        if kind in body:
            found = body[kind][-1] if kind == "photo" else body[kind]
            return kind, found["file_id"]
    return None


def given_file(world: World, params: Params, kind: str, given: Any) -> File:
    """The file that a method names: by id, uploaded, or ``attach://`` one of the uploads.

    Raises:
        ApiError: If there is no such file.
    """
    upload = params.files.get(kind)
    if isinstance(given, str) and given.startswith("attach://"):
        upload = params.files.get(given.removeprefix("attach://"))
        given = None
    if upload is not None:
        return world.add_file(upload[1], upload[0], mime_of(kind))
    if not given:
        raise bad(f"there is no {kind.replace('_', ' ')} in the request")
    file = world.files.get(str(given))
    if file is None:
        raise bad("wrong file identifier/HTTP URL specified")
    return file
