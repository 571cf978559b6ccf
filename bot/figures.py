"""The figures of ``/metrics``: how much waits, and what was restarted. No texts, no names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.nlu_server.optional_rasa import ALL_FIGURES
from storage.reports.values import Figures

_READ_WITHIN = 5.0
_HELP = {
    "inbox_waiting": "Input that was acknowledged and is not worked yet",
    "oldest_inbox_seconds": "How long the oldest of it has waited",
    "outbox_waiting": "Messages that are not sent yet",
    "timers_waiting": "Timers that are set",
    "late_timer_seconds": "How late the earliest due timer is",
    "dead_letters": "Work that failed for good and waits for a person",
    "cases_waiting": "Customers who wait for a person",
    "cases_with_person": "Customers whom a person looks after",
}
_CHANNELS_HELP = {
    "telegram_updates_pending": "Updates that wait at Telegram",
    "telegram_webhook_last_error_timestamp_seconds": "When Telegram last failed to bring an update; 0 = never",
}


class InstallationFigures(Collector):
    """Reads the figures anew whenever they are asked for.

    Args:
        read: Reads them; awaited in ``loop``, whose thread must not be the caller's.
        restarts: How often each background task was started again.
        of_channels: Figures that channels keep themselves, by names of ``_CHANNELS_HELP``.
        of_understanding: Figures of Rasa, by names of ``ALL_FIGURES``; none where there is no Rasa.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Figures]],
        restarts: Mapping[str, int],
        loop: Callable[[], asyncio.AbstractEventLoop],
        of_channels: Callable[[], Mapping[str, float]] = dict,
        of_understanding: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._read = read
        self._restarts = restarts
        self._loop = loop
        self._of_channels = of_channels
        self._of_understanding = of_understanding

    def describe(self) -> Iterator[Metric]:
        """Names the figures without reading them, so that registering needs no database."""
        for name, text in {**_HELP, **_CHANNELS_HELP, **ALL_FIGURES}.items():
            yield GaugeMetricFamily(f"huiyin_{name}", text)
        yield CounterMetricFamily("huiyin_task_restarts", "Background tasks started again", labels=["task"])

    def collect(self) -> Iterator[Metric]:
        """The figures now."""

        async def read() -> Figures:
            return await self._read()

        found = asyncio.run_coroutine_threadsafe(read(), self._loop()).result(_READ_WITHIN)
        for name, value in asdict(found).items():
            yield GaugeMetricFamily(f"huiyin_{name}", _HELP[name], value)
        for name, value in self._of_channels().items():
            yield GaugeMetricFamily(f"huiyin_{name}", _CHANNELS_HELP[name], value)
        for name, value in self._of_understanding().items():
            yield GaugeMetricFamily(f"huiyin_{name}", ALL_FIGURES[name], value)
        restarts = CounterMetricFamily(
            "huiyin_task_restarts", "Background tasks started again", labels=["task"]
        )
        for task, count in self._restarts.items():
            restarts.add_metric([task], count)
        yield restarts
