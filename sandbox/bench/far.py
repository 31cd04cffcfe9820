"""An object store that is far away: a folder's files by S3's GET, HEAD and list, each answered late.

``python -m sandbox.bench.far PORT DELAY_MS FOLDER``. Asks for no key and takes no object: it measures who reads, and
costs the machine as little as it can. What a real S3 server says is tested in ``tests/storage``.
"""

from __future__ import annotations

import os
import re
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

HOST = "127.0.0.1"
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class Far(ThreadingHTTPServer):
    """Serves ``folder`` as if each bucket were a folder in it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, delay_s: float, folder: Path) -> None:
        super().__init__((HOST, port), _Answers)
        self.delay_s, self.folder = delay_s, folder.resolve()


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    server: Far

    def do_HEAD(self) -> None:
        self._object(body=False)

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        if "list-type" in asked:
            self._list(asked.get("prefix", [""])[0])
        else:
            self._object(body=True)

    def log_message(self, *said: object) -> None:
        """Nothing is printed."""

    def _object(self, *, body: bool) -> None:
        time.sleep(self.server.delay_s)
        try:
            file = open(self._path(), "rb")  # noqa: SIM115 - closed below
        except OSError:
            self._begin(HTTPStatus.NOT_FOUND, 0)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            found = _RANGE.fullmatch(self.headers.get("Range", ""))
            first, last = (int(found[1]), min(int(found[2]), size - 1)) if found else (0, size - 1)
            self._begin(HTTPStatus.PARTIAL_CONTENT if found else HTTPStatus.OK, last + 1 - first)
            while body and first <= last:
                first += os.sendfile(self.connection.fileno(), file.fileno(), first, last + 1 - first)

    def _list(self, prefix: str) -> None:
        time.sleep(self.server.delay_s)
        bucket = self.server.folder / unquote(urlsplit(self.path).path).strip("/").partition("/")[0]
        folder = bucket / prefix
        names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        listed = "".join(f"<Contents><Key>{escape(prefix + name)}</Key></Contents>" for name in names)
        data = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>".encode()
        self._begin(HTTPStatus.OK, len(data), "application/xml")
        self.wfile.write(data)

    def _begin(self, status: HTTPStatus, length: int, kind: str = "binary/octet-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _path(self) -> Path:
        """Inside the folder, whatever is asked for."""
        found = (self.server.folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        if not found.is_relative_to(self.server.folder):
            raise PermissionError
        return found


def main() -> int:
    port, delay_ms, folder = sys.argv[1:]
    Far(int(port), float(delay_ms) / 1000, Path(folder)).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
