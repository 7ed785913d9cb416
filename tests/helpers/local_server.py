"""An HTTP server on this machine that breaks connections, redirects and answers ranges as it is told."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

REDIRECT = b"to "  # A file whose content begins so stands for a redirect to the address that follows.


@contextlib.contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[SimpleNamespace]:
    """Serves `files`; `break_after` lists how many bytes the next answers send before they are cut."""
    state = SimpleNamespace(files=dict(files), break_after=[], requests=[], ranges=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            state.requests.append((self.path, wanted))
            content = state.files.get(self.path.lstrip("/"))
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if content is None or (start and start >= len(content)):
                self.send_error(404 if content is None else 416)
                return
            if content.startswith(REDIRECT):
                self.send_response(302)
                self.send_header("Location", content.removeprefix(REDIRECT).decode())
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            body = content[start:]
            self.wfile.write(body[: state.break_after.pop(0)] if state.break_after else body)

        def log_message(self, *arguments):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()
