"""``dead list`` and ``dead replay``: work that failed for good until somebody replays it."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.reading import snapshot
from bot.cli.terminal import note, printable, quiet_settings, run, say

program = typer.Typer(help="死信：处理失败、等人来看的事。 Work that failed for good.", no_args_is_help=True)

_PAGE = 500


@program.command("list")
def list_all(
    bodies: Annotated[
        bool, typer.Option("--bodies", help="连原文一起显示。 Also show what came in, word for word.")
    ] = False,
) -> None:
    """列出死信，新的在前。 List them, newest first."""
    with snapshot(quiet_settings()) as found:
        total, offset = found.unit.dead_letters.count(), 0
        while letters := found.unit.dead_letters.all(_PAGE, offset):
            for one in letters:
                say(
                    f"{one.origin} {one.id}\t{one.kind}\t{one.lane}\t{one.error}"
                    f"\t{one.attempts}×\t{one.created_at:%Y-%m-%d %H:%M}Z"
                )
                if bodies:
                    say(f"    {printable(one.body)}")
            offset += len(letters)
    note(f"共 {total} 条。 {total} in all.")


@program.command("replay")
def replay(
    origin: Annotated[str, typer.Argument(help="inbox、outbox 或 timer。 inbox, outbox or timer.")],
    id: Annotated[int, typer.Argument(help="编号。 Its number.")],
) -> None:
    """重新处理一条死信。 Make one ready again."""
    from bot.commands.handover import run_command

    run(run_command(quiet_settings(), "replay_dead_letter", {"origin": origin, "id": id}))
    say("已放回队列。 It is ready again.")
