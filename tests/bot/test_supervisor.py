"""Background tasks are watched: started again after a crash, ended in good order."""

import asyncio
from collections.abc import Callable

from bot.supervisor import Supervisor


def run_supervised(supervisor: Supervisor, stop_when: Callable[[], bool]) -> None:
    async def run() -> None:
        async def watch() -> None:
            async with asyncio.timeout(10):
                while not stop_when():
                    await asyncio.sleep(0.01)
            supervisor.stop()
            supervisor.stop()

        await asyncio.gather(supervisor.run(), watch())

    asyncio.run(run())


def test_a_crashed_task_is_started_again_and_takes_no_other_along() -> None:
    supervisor = Supervisor()
    starts: list[str] = []

    async def crashes() -> None:
        starts.append("crashes")
        raise RuntimeError("on purpose")

    async def steady() -> None:
        starts.append("steady")
        while not supervisor.is_stopping():
            await asyncio.sleep(0.01)

    supervisor.add("crashes", crashes)
    supervisor.add("steady", steady)
    run_supervised(supervisor, lambda: starts.count("crashes") >= 2)
    assert starts.count("steady") == 1
    assert supervisor.restarts["crashes"] >= 1
    assert supervisor.restarts["steady"] == 0


def test_what_is_to_run_once_runs_once_but_again_after_a_crash() -> None:
    supervisor = Supervisor()
    tries: list[int] = []

    async def prepare() -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            raise RuntimeError("on purpose")

    supervisor.add("prepare", prepare, once=True)
    run_supervised(supervisor, lambda: len(tries) == 2)
    assert tries == [0, 1]
    assert supervisor.restarts == {"prepare": 1}


def test_stopping_lets_a_task_finish_what_it_has_in_hand() -> None:
    supervisor = Supervisor()
    done: list[str] = []

    async def works() -> None:
        while not supervisor.is_stopping():
            done.append("began")
            await asyncio.sleep(0.05)
            done.append("finished")

    async def waits_for_news() -> None:
        await asyncio.Event().wait()

    stopped: list[str] = []
    supervisor.add("works", works)
    supervisor.add("waits", waits_for_news, listens=True)
    supervisor.on_stop(lambda: stopped.append("told"))
    run_supervised(supervisor, lambda: len(done) >= 3)
    assert done[-1] == "finished"
    assert stopped == ["told"]
