"""Exit code 0 when the URL (by default this container's `/readyz`) answers 200; images have no curl."""

import os
import sys
import urllib.request

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    url = arguments[0] if arguments else f"http://127.0.0.1:{os.environ['OFFERS_PORT']}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=4) as answer:  # noqa: S310  # the image's own command names the URL
            return 0 if answer.status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
