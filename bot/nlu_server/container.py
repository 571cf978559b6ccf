"""Runs Rasa by itself, as the container ``nlu`` does; ``HUIYIN_NLU_URL`` of the app points there.

Works with Rasa's Python 3.10 and imports nothing of ours. The token comes from the environment, because
everybody who may list processes sees arguments.
"""

from __future__ import annotations

import os
import sys

_SHORTEST_TOKEN = 24
_MODEL = "model/understanding.tar.gz"


def main() -> None:
    """Serves the model that the image was built with."""
    token = os.environ.pop("HUIYIN_NLU_TOKEN", "")
    if len(token) < _SHORTEST_TOKEN:
        sys.exit(
            "请把 HUIYIN_NLU_TOKEN 设为至少 24 个随机字符。"
            " Set HUIYIN_NLU_TOKEN to at least 24 random characters."
        )
    sys.path.insert(0, os.getcwd())
    sys.argv = [
        "rasa", "run", "--quiet", "--enable-api",
        # Beyond loopback, for the app is in another container; compose.yml gives the two a network of their own.
        "--interface", "0.0.0.0", "--port", "5005",  # noqa: S104
        "--model", _MODEL,
        "--endpoints", "nlu/server/endpoints.yml", "--credentials", "nlu/server/credentials.yml",
        "--request-timeout", "10", "--response-timeout", "10",
        "--auth-token", token,
    ]  # fmt: skip
    import runpy

    runpy.run_module("rasa", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
