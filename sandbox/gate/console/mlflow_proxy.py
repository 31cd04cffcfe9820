"""MLflow's own pages, read-only: paths and methods are allowed by name, everything else is refused.

Behind a proxy on the same host MLflow's assistant, job and gateway endpoints are dangerous (LINEAGE), so nothing is
forwarded that does not stand here, and MLflow always learns that it is not the one being asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PREFIX = "/mlflow"
_API = rf"{PREFIX}/(?:ajax-api|api)/(?:2\.0|3\.0)/mlflow"
#: Reads of runs, experiments, metrics, models. No artifact: what is kept there is sealed, and stays with the gate.
READS = re.compile(
    rf"{_API}/(?:experiments/(?:get|get-by-name|search|list)|runs/get|metrics/get-history(?:-bulk(?:-interval)?)?"
    r"|registered-models/(?:get|search|list|alias)|model-versions/(?:get|search)|logged-models/[\w-]+"
    r"|users/current|server-info|server-features|gateway-proxy-disabled)"
)
#: Searches, which MLflow's pages ask by POST; none of them writes.
SEARCHES = re.compile(
    rf"{_API}/(?:runs/search|experiments/search|logged-models/search|datasets/search|experiments/search-datasets"
    r"|metrics/get-history-bulk-interval|traces/search)"
)
PAGES = re.compile(
    rf"{PREFIX}/?|{PREFIX}/(?:static-files/[\w./-]+|version|health|ajax-api/2\.0/mlflow/experiments/search-datasets"
    r"|graphql-disabled)"
)
_PASSED = ("content-type", "cache-control", "etag", "last-modified")
BODY_BYTES = 256 << 10


def proxy(uds: Path, admitted: Callable[[str], bool], cookie: str) -> list[Route]:
    """The routes below ``/mlflow``. ``admitted`` says whether a cookie is a session."""
    client = httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(uds)),
        base_url="http://localhost",
        timeout=30.0,
        trust_env=False,
    )

    async def forward(request: Request) -> Response:
        if not admitted(request.cookies.get(cookie, "")):
            return Response("no session: sandbox open\n", 401, media_type="text/plain")
        path = request.url.path
        if not allowed(request.method, path):
            return Response("this path of MLflow is not shown here\n", 403, media_type="text/plain")
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_BYTES:
                return Response(status_code=413)
        try:
            answer = await client.request(
                request.method,
                path,
                params=httpx.QueryParams(request.url.query),
                content=body,
                headers={
                    "X-Forwarded-For": "127.0.0.1",
                    "Content-Type": request.headers.get("content-type", "application/json"),
                },
            )
        except httpx.HTTPError:
            return Response("MLflow does not answer\n", 503, media_type="text/plain")
        headers = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
        return Response(answer.content, answer.status_code, {**headers, "X-Frame-Options": "DENY"})

    return [
        Route(PREFIX, forward, methods=["GET"]),
        Route(PREFIX + "/{rest:path}", forward, methods=["GET", "POST"]),
    ]


def allowed(method: str, path: str) -> bool:
    """Whether this method on this path may be forwarded."""
    if ".." in path or "//" in path or "%" in path:
        return False
    if method == "GET":
        return any(pattern.fullmatch(path) for pattern in (PAGES, READS, SEARCHES))
    return method == "POST" and SEARCHES.fullmatch(path) is not None
