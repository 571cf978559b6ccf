"""All commands in one program. Only what ``--help`` needs is imported here."""

from __future__ import annotations

import typer

from bot.cli import contacts, dead_letters, faq, feedback, nlu, orders, serving, staff, understanding

program = typer.Typer(
    name="huiyin",
    help="回音 Huiyin：客服机器人与回访。 Customer-service bot and feedback collector.\n\n"
    "第一次用：huiyin demo 看演示，huiyin serve 正式启动，huiyin doctor 检查安装。"
    " New here: huiyin demo shows a sample shop, huiyin serve starts yours, huiyin doctor checks it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
serving.add_to(program)
program.add_typer(staff.program, name="staff")
program.add_typer(orders.program, name="orders")
program.add_typer(faq.program, name="faq")
program.add_typer(feedback.program, name="feedback")
program.add_typer(feedback.surveys_program, name="surveys")
program.add_typer(contacts.program, name="contact")
program.add_typer(dead_letters.program, name="dead")
program.add_typer(nlu.program, name="nlu")
understanding.add_to(program)
