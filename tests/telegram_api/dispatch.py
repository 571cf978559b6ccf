"""From an HTTP request to a method, with every call written down and every ordered fault made."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from telegram_api import methods_change, methods_send
from telegram_api.errors import ApiError, flood
from telegram_api.faults import Fault
from telegram_api.forms import Params, read_params
from telegram_api.http_door import Answer, Request
from telegram_api.methods_webhook import delete_webhook, get_webhook_info, set_webhook
from telegram_api.seen import Call
from telegram_api.world import World

if TYPE_CHECKING:
    from telegram_api.api import TelegramApi

_WRITES = ({*methods_send.METHODS} - {"sendChatAction"}) | {
    name for name in methods_change.METHODS if "Topic" in name
}
_WRITES |= {name for name in methods_change.METHODS if name.startswith("edit")}
_PAGE = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
_PAGES = {502: "502 Bad Gateway", 504: "504 Gateway Time-out"}


def _json(body: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"), status)


class Dispatch:
    """Finds the method, runs it under the lock, and spoils the answer if a test ordered that."""

    def __init__(self, api: TelegramApi, methods: dict[str, Callable[[World, Params], Any]]) -> None:
        self._api = api
        self._methods = {name.lower(): (name, run) for name, run in methods.items()}
        self._about_webhook: dict[str, Callable[[TelegramApi, Params], Any]] = {
            "setWebhook": set_webhook,
            "deleteWebhook": delete_webhook,
            "getWebhookInfo": get_webhook_info,
        }
        names = (*methods, *self._about_webhook, "getUpdates")
        self._names = {name.lower(): name for name in names}
        self.calls: list[Call] = []

    def handle(self, request: Request) -> Answer | Any:
        """Answers a request, at once or (getUpdates) later."""
        with self._api.lock:
            path = unquote(request.path)
            if path.startswith("/file/bot"):
                return self._file(path.removeprefix("/file/bot"))
            token, slash, name = path.removeprefix("/bot").partition("/")
            if not path.startswith("/bot") or not slash:
                return _json(ApiError(404).body(), 404)
            method = self._names.get(name.lower())
            call = self._note(method or name)
            try:
                if token != self._api.token:
                    raise ApiError(401, "Unauthorized")
                if method is None:
                    raise ApiError(404)
                params = read_params(request)
            except ApiError as error:
                return self._refused(call, error)
            return self._work(call, params)

    def call_from_webhook(self, body: dict[str, Any]) -> None:
        """Carries out a method that a webhook answered with; nobody learns what came of it."""
        with self._api.lock:
            name = str(body["method"])
            method = self._names.get(name.lower())
            call = self._note(method or name)
            if method is not None:
                self._execute(call, Params({key: value for key, value in body.items() if key != "method"}))

    def _note(self, method: str) -> Call:
        clock = self._api.clock
        call = Call(len(self.calls) + 1, method, {}, None, clock.now(), clock.wall())
        self.calls.append(call)
        return call

    def _work(self, call: Call, params: Params) -> Answer | Any:
        chat = params.get("chat_id")
        call.chat = chat if isinstance(chat, int) else None
        call.params = dict(params)
        call.early = call.method in _WRITES and self._api.limits.shut_until(call.chat) > call.at + 0.001
        fault = self._api.faults.take(call.method, call.chat)
        if fault is not None:
            call.fault = fault.kind
            if not fault.executed:
                return self._spoil(fault, call, None)
        if call.method == "getUpdates":
            return self._get_updates(call, params, fault)
        answer = self._execute(call, params)
        return answer if fault is None else self._spoil(fault, call, answer)

    def _execute(self, call: Call, params: Params) -> Answer:
        call.params = dict(params)
        try:
            about = self._about_webhook.get(call.method)
            if about is not None:
                result = about(self._api, params)
            else:
                result = self._methods[call.method.lower()][1](self._api.world, params)
        except ApiError as error:
            return self._refused(call, error)
        call.executed = True
        body: dict[str, Any] = {"ok": True, "result": result}
        if isinstance(result, tuple):
            body = {"ok": True, "result": result[0], "description": result[1]}
        if isinstance(result, dict):
            call.message_id = result.get("message_id")
        return self._done(call, _json(body))

    async def _get_updates(self, call: Call, params: Params, fault: Fault | None) -> Answer:
        try:
            updates = await self._api.poller.get_updates(params, self._api.webhook.active)
        except ApiError as error:
            answer = self._refused(call, error)
        else:
            call.executed = True
            answer = self._done(call, Answer(b'{"ok":true,"result":' + updates + b"}"))
        return answer if fault is None else self._spoil(fault, call, answer)

    def _refused(self, call: Call, error: ApiError) -> Answer:
        call.description = error.description
        call.retry_after = error.parameters.get("retry_after", 0)
        return self._done(call, _json(error.body(), error.code))

    def _done(self, call: Call, answer: Answer) -> Answer:
        call.status = answer.status
        call.ended = self._api.clock.now()
        return answer

    def _spoil(self, fault: Fault, call: Call, answer: Answer | None) -> Answer:
        options = fault.options
        right = answer or _json({"ok": True, "result": True})
        if fault.kind == "flood":
            seconds = options.get("retry_after", 1)
            self._api.limits.told_to_wait(call.chat, seconds)
            return self._refused(call, flood(seconds))
        if fault.kind == "error":
            code = options.get("code", 400)
            error = ApiError(code, options.get("description", ""), **options.get("parameters", {}))
            return self._refused(call, error)
        if fault.kind == "status":
            code = options.get("code", 500)
            if code in _PAGES:
                return self._done(call, Answer(_PAGE.format(_PAGES[code]).encode(), code, "text/html"))
            return self._refused(call, ApiError(code, options.get("description", "Internal Server Error")))
        if fault.kind == "not_ok":
            call.description = options.get("description", "Bad Request: something is wrong")
            body = {"ok": False, "error_code": options.get("code", 400), "description": call.description}
            return self._done(call, _json(body))
        if fault.kind == "html":
            return self._done(call, Answer(_PAGE.format("Welcome").encode(), 200, "text/html"))
        if fault.kind == "slow":
            right.delay = options.get("seconds", 1.0)
            return right
        call.status = 0
        endings = {
            "lost_request": "rst",
            "lost_answer": options.get("how", "rst"),
            "hang": "never",
            "cut": "cut",
        }
        right.ending = endings[fault.kind]
        return right

    def _file(self, rest: str) -> Answer:
        token, _, path = rest.partition("/")
        if token != self._api.token:
            return _json(ApiError(401, "Unauthorized").body(), 401)
        for file in self._api.world.files.values():
            if path and file.path == path and self._api.clock.wall() < file.path_until:
                return Answer(file.content, 200, "application/octet-stream")
        return _json(ApiError(404).body(), 404)
