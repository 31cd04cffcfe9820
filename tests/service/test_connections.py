"""Connections that say nothing: those of one caller shut nobody else out."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from sandbox.deployment.settings import free_port

SERVICE = """
import resource, sys
from pathlib import Path
from sandbox.service import Caller, Route, application, serve
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
app = application([Route("GET", "/healthz", lambda c: {"ok": True}, open=True)], lambda t: Caller(t, 2e9))
serve.run(app, Path(sys.argv[1]), web=serve.Web(app, int(sys.argv[2])))
"""


def test_idle_connections_of_one_do_not_shut_others_out(tmp_path: Path) -> None:
    path, port = tmp_path / "api.sock", free_port()
    with contextlib.ExitStack() as stack:
        service = subprocess.Popen([sys.executable, "-c", SERVICE, str(path), str(port)])
        stack.callback(service.wait)
        stack.callback(service.kill)
        while not path.exists():
            assert service.poll() is None
            time.sleep(0.05)
        for _ in range(1100):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.settimeout(0.5)
            try:
                one.connect(os.fspath(path))
            except OSError:
                break
        other = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        stack.callback(other.close)
        other.request("GET", "/healthz")
        assert b"true" in other.getresponse().read()
