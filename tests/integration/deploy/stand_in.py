"""A process to supervise: answers 200 on a port, leaves a worker below it if asked to, or dies at once."""

import http.server
import os
import subprocess
import sys


class Ready(http.server.BaseHTTPRequestHandler):
    """200 to everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if sys.argv[1] == "die":
        sys.exit("refusing to live")
    if sys.argv[2:] == ["with-worker"]:
        subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
