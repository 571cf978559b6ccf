"""Reading a request's body within bounds of size and time."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

_SLOWEST = 15.0


async def read_body(request: Request, largest: int) -> bytes:
    """The whole body.

    Raises:
        HTTPException: 413 above ``largest`` bytes, 408 when it takes more than 15 seconds, 400 when the
            sender hangs up.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > 15 or int(announced) > largest):
        raise HTTPException(413)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_SLOWEST):
            async for chunk in request.stream():
                size += len(chunk)
                if size > largest:
                    raise HTTPException(413)
                chunks.append(chunk)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    return b"".join(chunks)
