#!/bin/sh
# All checks, each even when one before it failed.
# usage: lint.sh DIRECTORY...
set -u
bin=.venv/bin
failed=0
check() {
    echo "$1"
    shift
    "$@" || failed=1
}
check 'ruff format' "$bin/ruff" format --check --quiet "$@"
check 'ruff check' "$bin/ruff" check --quiet "$@"
check 'mypy' "$bin/mypy" libs/*/src services/*/src deploy/local
check 'import rules' "$bin/lint-imports" --no-logo
exit "$failed"
