"""``nlu``: training the understanding, and which of its models is in force."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.terminal import fail, note, quiet_settings, run, say

if TYPE_CHECKING:
    from bot.settings import Settings

program = typer.Typer(
    help="语义理解：训练和选择模型。 The understanding: train it, choose a model.", no_args_is_help=True
)

_STAGES = {
    "starting": "加载 Rasa loading Rasa",
    "training": "训练 training",
    "saved": "保存 saving",
}
_TAKEN_UP = "正在运行的服务会在几秒后自动换用。 A running service takes it up by itself within seconds."


@program.command("train")
def train(
    force: Annotated[
        bool, typer.Option("--force", help="没有改动也重新训练。 Train although nothing has changed.")
    ] = False,
) -> None:
    """训练语义理解，有改动才训练。 Train the understanding if anything it learns from has changed."""
    run(_train(quiet_settings(), force=force))


async def _train(settings: Settings, *, force: bool) -> None:
    from bot.nlu_server.inputs import environment_is_ready
    from bot.nlu_server.model_store import ModelStore
    from bot.nlu_server.training import NO_ENVIRONMENT
    from bot.nlu_server.training import train as train_model

    if not environment_is_ready():
        fail(NO_ENVIRONMENT)
    shown = ""

    def report(stage: str, done: int, total: int) -> None:
        nonlocal shown
        line = f"  {_STAGES.get(stage, stage)} {done}/{total}"
        if sys.stderr.isatty():
            # The longest line is shorter than this, so nothing of the one before stays.
            typer.echo(f"\r{line:<40}", err=True, nl=stage == "saved")
        elif line != shown:
            note(line)
        shown = line

    model, trained = await train_model(
        ModelStore(settings.var_dir), report, lambda: datetime.now(UTC), force=force
    )
    if not trained:
        say(f"没有改动，不用训练。 Nothing has changed since {model.name} was trained.")
        return
    say(f"训练好了，用时 {model.figures['seconds']:.0f} 秒。 Trained: {model.name}.")
    note(_TAKEN_UP)


@program.command("models")
def models() -> None:
    """列出模型，* 是正在用的。 List the models; * marks the one in force."""
    from bot.nlu_server.inputs import fingerprint
    from bot.nlu_server.model_store import ModelRefusedError, ModelStore

    store = ModelStore(quiet_settings().var_dir)
    names, current = store.names(), store.current_name()
    if not names:
        note("还没有模型；运行 huiyin nlu train。 There is no model yet; train one with: huiyin nlu train")
        return
    now = fingerprint()
    refused = False
    for name in names:
        mark = "*" if name == current else " "
        try:
            model = store.check(name)
        except ModelRefusedError as error:
            say(f"{mark} {name}  ✗ {error}")
            refused = refused or name == current
            continue
        fresh = "最新 fresh" if model.fingerprint == now else "之后有改动 made before changes"
        say(f"{mark} {name}  {len(model.intents)} intents, {model.figures['seconds']:.0f} s, {fresh}")
    if refused:
        fail("正在用的模型不会被加载。 The model in force will not be loaded.")


@program.command("use")
def use(
    name: Annotated[
        str, typer.Argument(help="huiyin nlu models 列出的名称。 A name from huiyin nlu models.")
    ],
) -> None:
    """换用另一个模型，例如退回上一个。 Put another model in force, for instance an earlier one."""
    from bot.nlu_server.inputs import fingerprint
    from bot.nlu_server.model_store import ModelStore

    model = ModelStore(quiet_settings().var_dir).use(name, chosen_for=fingerprint())
    say(f"现在用 {model.name}。 In force: {model.name}.")
    note(_TAKEN_UP)
