"""One person's requests wait behind each other, and behind nobody's kill."""

from __future__ import annotations

import threading

import anyio
import httpx

from sandbox.service import Call, Caller, Route, application
from sandbox.service.second_factor import FreshCodes
from tests.service.test_second_factor import Codes


def test_one_engineer_holds_up_no_kill_while_vault_hangs() -> None:
    """48 requests without a code hang at Vault; the operator's comes through before they have had their turns."""
    codes, ended = Codes(hang=threading.Event()), list[str]()

    def kill(call: Call) -> dict[str, str]:
        return {"by": call.caller.name}

    route = Route("POST", "/v1/incidents", kill, urgent=True, fresh=True)
    prove = FreshCodes(codes, lambda: True).prove
    app = application([route], lambda token: Caller(token, 2e9), prove=prove)

    async def ask(client: httpx.AsyncClient, who: str) -> None:
        await client.post("/v1/incidents", headers={"Authorization": f"Bearer {who}"})
        ended.append(who)

    async def everybody() -> None:
        transport = httpx.ASGITransport(app=app)
        client = httpx.AsyncClient(transport=transport, base_url="http://gate", timeout=60)
        async with client, anyio.create_task_group() as group:
            for _ in range(48):
                group.start_soon(ask, client, "eng.li")
            await anyio.sleep(0.3)
            await ask(client, "b.operator")
            group.cancel_scope.cancel()

    anyio.run(everybody)
    codes.hang.set()
    assert ended.count("eng.li") < 16
