"""What keepers do in these tests, besides training well."""

from __future__ import annotations

import time

from sandbox.errors import SandboxError
from tests.fakes.keeper import SLICE_S, Keeper, begin


def waits(keeper: Keeper) -> None:
    """In training for as long as it is let."""
    begin(keeper)
    rests(keeper)


def rests(keeper: Keeper) -> None:
    while True:
        keeper._container.check()
        time.sleep(SLICE_S)


def chats(keeper: Keeper) -> None:
    """Says a number, and waits."""
    begin(keeper)
    keeper.metric(1)
    rests(keeper)


def ends_when_asked(keeper: Keeper) -> None:
    begin(keeper)
    while keeper.door.stop_reason is None:
        keeper._container.check()
        time.sleep(SLICE_S)
    keeper.finish()


def fails(keeper: Keeper) -> None:
    """After one artifact, the recipe raises."""
    begin(keeper)
    keeper.artifact("model-2.safetensors", 2, b"half of it")
    confesses(keeper, "recipe.failed")


def confesses(keeper: Keeper, code: str) -> None:
    keeper.say("failed", code=code)
    keeper.say("done")
    keeper._patiently(keeper.door.flush)
    raise SandboxError("it failed", code=code)


def says_too_much(keeper: Keeper) -> None:
    begin(keeper)
    keeper.artifact("model-2.safetensors", 2, b"half of it")
    keeper.metric(4, value=1e9)
    rests(keeper)


def leaves(keeper: Keeper) -> None:
    """Without a word."""
    keeper._container.read_order()
    raise SandboxError("killed by its own memory")


def leaves_in_training(keeper: Keeper) -> None:
    begin(keeper)
    raise SandboxError("killed by its own memory")


def is_robbed(keeper: Keeper) -> None:
    """Somebody opened the wrap on its way."""
    keeper.take_order()
    keeper._vault.session(keeper.order.unlock.token if keeper.order.unlock else None)
    try:
        keeper.unlock()
    except SandboxError as fault:
        confesses(keeper, fault.code)


def keeps_its_credential(keeper: Keeper) -> None:
    """Says that it is unlocked, and goes on holding a live token."""
    keeper.take_order()
    keeper._vault.session(keeper.order.unlock.token if keeper.order.unlock else None)
    keeper.say("unlocked", subjects=len(keeper.grant.subjects), seconds=0.1)
    keeper.wait_for_go()
    keeper.finish()


def talks(keeper: Keeper) -> None:
    """A dry run: nothing to unlock, lines to say."""
    keeper.take_order()
    keeper.say("unlocked", subjects=0, seconds=0.0)
    keeper.wait_for_go()
    keeper.say("text", line="step 1")
    keeper.metric(1)
    keeper.finish()
