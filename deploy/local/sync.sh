#!/bin/sh
# Makes .venv hold exactly what requirements/dev.lock says. Needs a Python >= 3.11 and nothing else.
set -eu
stamp=.venv/.synced # a copy of what was installed and built
sources='requirements/dev.lock libs/inference/pyproject.toml libs/inference/src/inference/boosters/forest.c'
# shellcheck disable=SC2086
if [ -x .venv/bin/python ] && cat $sources | cmp -s - "$stamp"; then
    exit 0
fi

if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=
    for candidate in python3.11 python3.12 python3.13 python3 python; do
        # Asked, not only found: version managers put names on the PATH that do not run.
        if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "No Python 3.11 or newer on the PATH." >&2
        exit 1
    fi
    echo "creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    .venv/bin/python -m ensurepip --upgrade >/dev/null
fi
.venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
echo "installing requirements/dev.lock"
# The certificates of the system: a company mirror is known to it, and not to the list that uv brings along.
.venv/bin/uv pip sync --quiet --system-certs --python .venv/bin/python requirements/dev.lock
# shellcheck disable=SC2086
cat $sources >"$stamp"
