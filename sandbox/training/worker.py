"""The trainer: ``python -m sandbox.training.worker FD``. Speaks to the keeper over one descriptor and to nobody else.

1. ``ready``, before anything else is imported.
2. ``prepare``: import torch and coqui's model now, while no key exists anywhere.
3. ``job``: what the grant asks, without any credential.
4. ``go``: the credential is proved dead; only now is the recipe imported, and run.
5. ``end``, or ``failed`` with a code that quotes nothing.

It writes no file, opens no socket, and keeps no log (``redaction``). At the job it starts espeak-ng where the
recipe reads phonemes; after the ``go`` it starts nothing.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from sandbox.errors import FrameError, RecipeError, SandboxError
from sandbox.frames import Frame
from sandbox.runs import RECIPE, Kind
from sandbox.training import phonemes, redaction
from sandbox.training.pipe import Channel, Pipe
from sandbox.training.run import Job, Run

RECIPE_FILE = "recipe.py"


def serve(channel: Channel, recipe_folder: Path) -> bool:
    """One run's story, from ``ready`` to ``end`` or ``failed``. True when it ended well."""
    redaction.hush()
    recipe_file = str(recipe_folder / RECIPE_FILE)
    job: Job | None = None
    try:
        channel.send("ready")  # 1
        prepare(_expect(channel, "prepare"))  # 2
        job = Job.from_body(_expect(channel, "job").body)  # 3
        warm(job)
        _expect(channel, "go")  # 4
        if job.kind == Kind.DRY.value:
            redaction.speak_up(lambda line: channel.send("text", line=line))
        perform(load(recipe_folder), job, channel)
        channel.send("end")  # 5
        return True
    except BaseException as error:  # noqa: BLE001 - whatever a recipe raises, SystemExit included
        return _tell(channel, job, error, recipe_file)
    finally:
        phonemes.stop()


def warm(job: Job) -> None:
    """Start what turns text into phonemes, where the recipe asks for it: no program is started once data is here."""
    if job.parameters.get("text") == "phonemes":
        asked = [str(job.parameters["language"])] if "language" in job.parameters else []
        phonemes.start(asked + [record.language for record in job.records])


def prepare(frame: Frame) -> None:
    """Import what takes long, and say how many threads there are."""
    if not frame.body["torch"]:
        return
    import torch
    import torch._dynamo  # the first optimizer would, and it looks the user up and tries a folder for files

    torch.set_num_threads(max(1, frame.body["threads"]))
    from sandbox.training import (  # noqa: F401 - warm before any key exists
        batches,
        evaluation,
        fastpitch,
        glowtts,
        heldout,
        hifigan,
        lengths,
        loop,
        membership,
        sound,
        speaking,
        tacotron2,
        vits,
        voiceprint,
        yourtts,
    )

    voiceprint.encoder()  # 20 ms; its weights are read while there is nothing that a file could hold


def load(folder: Path) -> ModuleType:
    """The recipe's module, compiled from its approved bytes; no bytecode is cached and nothing joins ``sys.path``.

    Raises:
        RecipeError: there is no ``recipe.py``.
    """
    path = folder / RECIPE_FILE
    try:
        source = path.read_bytes()
    except OSError:
        raise RecipeError("the recipe folder holds no recipe.py", code="recipe.missing") from None
    module = ModuleType("recipe")
    module.__file__ = str(path)
    sys.modules["recipe"] = module  # dataclasses and pickling look a module up by its name
    exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - running the recipe is the purpose
    return module


def perform(module: ModuleType, job: Job, channel: Channel) -> None:
    """Hand the job to the recipe; under differential privacy to the engine, which asks it for model and loss."""
    if job.privacy is not None:
        from sandbox.training import privacy

        privacy.train(module, job, channel)
        return
    main = getattr(module, "main", None)
    if not callable(main):
        raise RecipeError("the recipe defines no main(run)", code="recipe.no_main")
    main(Run(job, channel))


def _expect(channel: Channel, kind: str) -> Frame:
    while True:
        frame = channel.receive()
        if frame.kind == kind:
            return frame
        if frame.kind == "stop":
            raise RecipeError("the run was stopped before it began", code="run.stopped")
        raise FrameError(f"{frame.kind}: expected {kind}")


def _tell(channel: Channel, job: Job | None, error: BaseException, recipe_file: str) -> bool:
    try:
        if job is not None and job.kind == Kind.DRY.value:
            for line in redaction.full_text(error):
                channel.send("text", line=line)
        records = frozenset(record.record for record in job.records) if job is not None else frozenset()
        channel.send("failed", code=redaction.failure_code(error, recipe_file, records))
    except SandboxError:
        pass  # nobody is left to hear it
    return False


def main(argv: list[str]) -> int:
    fd = int(argv[1])
    pipe: Any = Pipe(socket.socket(fileno=fd))
    return 0 if serve(pipe, Path(RECIPE)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
