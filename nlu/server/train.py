"""Trains the understanding model: ``python -m nlu.server.train --output PATH.tar.gz`` from the repository root.

Standard output carries one JSON object a line, ``{"stage", "done", "total"}``; the last stage is ``saved``, or
``failed`` with an ``error`` and exit status 1. Everything that Rasa itself says goes to standard error. No line
holds a text of the training data.
"""

# Rasa lives in another environment than the one in which types are checked.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SERVER = Path(__file__).resolve().parent
ROOT = SERVER.parents[1]
SEED = 20_251

Report = Callable[[str, int, int], None]


def quiet_environment() -> None:
    """Makes Rasa keep to itself: call it before anything of Rasa is imported.

    Nothing is reported to anybody, no text is printed, TensorFlow, which Rasa imports although this pipeline never uses it, stays
    silent, and SQLAlchemy does not advertise its next version.
    """
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["SQLALCHEMY_SILENCE_UBER_WARNING"] = "1"
    # Nothing must look for an accelerator; the model is a linear one.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    # Threads of the mathematics gain nothing on sparse counts, take the cores that the web needs, and sum up in
    # an order of their own, so that two trainings would differ.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"

    import structlog

    # Without this Rasa prints every text that it understands, for outside its own command line nobody sets a level.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


class _StepHandler(logging.Handler):
    """Counts the components that Rasa says it has finished; the names it logs are class names."""

    def __init__(self, finished: Callable[[], None]) -> None:
        super().__init__(logging.INFO)
        self._finished = finished

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(("Finished training", "Restored component")):
            self._finished()


@contextlib.contextmanager
def _steps(finished: Callable[[], None]) -> Iterator[None]:
    logger = logging.getLogger("rasa.engine.training.hooks")
    handler = _StepHandler(finished)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _gather(data: list[Path], folder: Path) -> Path:
    """Copies the examples of several places into `folder`, for Rasa takes one place only, and returns it."""
    folder.mkdir()
    files = [file for path in data for file in (sorted(path.rglob("*.yml")) if path.is_dir() else [path])]
    for number, file in enumerate(files):
        shutil.copyfile(file, folder / f"{number:04}-{file.name}")
    return folder


def trainable_components(config: Path) -> int:
    """Returns how many components of the pipeline learn something."""
    from rasa.engine.recipes.default_recipe import DefaultV1Recipe
    from rasa.shared.data import TrainingType
    from rasa.shared.utils.io import read_yaml_file

    graph = DefaultV1Recipe().graph_config_for_recipe(
        read_yaml_file(str(config)), cli_parameters={}, training_type=TrainingType.NLU
    )
    return sum(node.is_target and not node.is_input for node in graph.train_schema.nodes.values())


def train(config: Path, domain: Path, data: list[Path], output: Path, report: Report) -> None:
    """Trains on all of `data` and puts the model at `output` in one step: there is never half a model.

    Args:
        config: The pipeline.
        domain: The intents and entities.
        data: Files or folders of examples.
        output: Where the model goes, ending in ``.tar.gz``.
        report: Is told the stage, the steps done and how many there are.

    Raises:
        RuntimeError: Rasa made no model.
    """
    import numpy as np
    from rasa.model_training import train_nlu

    random.seed(SEED)
    np.random.seed(SEED)
    # Reading the data and packing the model are steps as well.
    total = trainable_components(config) + 2
    done = 1
    report("training", done, total)

    def finished() -> None:
        nonlocal done
        done += 1
        report("training", done, total)

    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".training-", dir=output.parent) as workshop,
        tempfile.TemporaryDirectory(prefix="huiyin-train-") as cache,
        contextlib.redirect_stdout(sys.stderr),
        _steps(finished),
    ):
        # A cache that outlives the training would be one more thing that is loaded and must be guarded.
        os.environ["RASA_CACHE_DIRECTORY"] = cache
        os.environ["RASA_MAX_CACHE_SIZE"] = "0"
        made = train_nlu(
            str(config),
            str(_gather(data, Path(workshop) / "data")),
            workshop,
            fixed_model_name="model",
            domain=str(domain),
        )
        if not made:
            raise RuntimeError("Rasa made no model.")
        os.replace(made, output)
    report("saved", total, total)


def main() -> int:
    """Trains as the command line says and returns the exit status."""
    parser = argparse.ArgumentParser(description="Train the understanding model.")
    parser.add_argument("--output", type=Path, required=True, help="where the model goes (.tar.gz)")
    parser.add_argument("--config", type=Path, default=ROOT / "config.yml")
    parser.add_argument("--domain", type=Path, default=SERVER / "domain.yml")
    parser.add_argument("--data", type=Path, action="append", help="a file or folder of examples; repeatable")
    arguments = parser.parse_args()
    if not arguments.output.name.endswith(".tar.gz"):
        parser.error("--output must end in .tar.gz")

    stdout = sys.stdout

    def report(stage: str, done: int, total: int) -> None:
        print(json.dumps({"stage": stage, "done": done, "total": total}), file=stdout, flush=True)

    report("starting", 0, 1)
    quiet_environment()
    try:
        train(
            arguments.config,
            arguments.domain,
            arguments.data or [SERVER / "data"],
            arguments.output.absolute(),
            report,
        )
    except Exception as error:
        # A boundary: the parent reads lines. They name the kind only, for the words may quote the training data.
        print(json.dumps({"stage": "failed", "error": type(error).__name__}), file=stdout, flush=True)
        logging.getLogger(__name__).exception("Training failed.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
