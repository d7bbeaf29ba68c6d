"""A process to supervise: `stand_in.py PORT [with-worker]`, or `stand_in.py die`.

Ready at once; scores anybody who has the key in `OFFERS_API_KEYS_FILE`.
"""

import http.server
import json
import os
import subprocess
import sys
from pathlib import Path


class Answers(http.server.BaseHTTPRequestHandler):
    """200 to every GET, an answer that repeats the request to every POST."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = Path(os.environ["OFFERS_API_KEYS_FILE"]).read_text().strip()
        self._answer(200 if self.headers["X-API-Key"] == key else 401, {"prediction": "stand-in", **body})

    def _answer(self, status: int, document: dict[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if sys.argv[1] == "die":
        sys.exit("refusing to live")
    if sys.argv[2:] == ["with-worker"]:
        subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
