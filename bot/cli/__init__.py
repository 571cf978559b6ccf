"""The command line ``huiyin``."""

from __future__ import annotations


def main() -> None:
    """Runs the command that ``sys.argv`` names; every error becomes a sentence and an exit code."""
    # Inside, so that importing the package costs nothing.
    from bot.cli.terminal import ending_in_words

    with ending_in_words():
        from bot.cli.program import program

        program(prog_name="huiyin")
