#!/bin/sh
# Makes, or brings up to date, the Python environment of the third-party clients.
#
#   tests/thirdparty/setup.sh [VENV]        (default: target/venv)
#
# Holds exactly what requirements.txt pins. Does nothing when that is so already.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-$here/../../target/venv}
requirements=$here/requirements.txt
stamp=$venv/installed-requirements.txt

if [ -x "$venv/bin/python3" ] && cmp -s "$requirements" "$stamp" && "$venv/bin/python3" -c ''; then
    exit 0
fi

if ! command -v python3 >/dev/null; then
    echo "setup.sh: python3 is missing (on Debian: apt-get install python3 python3-venv)" >&2
    exit 1
fi
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup.sh: $(python3 --version) is too old, the clients need Python 3.11 or newer" >&2
    exit 1
fi
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    echo "setup.sh: python3 can't make environments (on Debian: apt-get install python3-venv)" >&2
    exit 1
fi

echo "setup.sh: installing the third-party clients in $venv" >&2
mkdir -p "$(dirname "$venv")"
python3 -m venv --clear "$venv"
pip() { "$venv/bin/python3" -m pip --quiet --disable-pip-version-check "$@"; }
# slacker and bagit are built from source: with the pinned builders, not with whatever is newest today.
builders=$(grep -E '^(setuptools|setuptools-scm|vcs-versioning|packaging)==' "$requirements")
# shellcheck disable=SC2086 # a list of packages is meant to be split
pip install --no-deps $builders
# slack-export-viewer asks for a newer Python than it needs.
pip install --no-deps --no-build-isolation --ignore-requires-python --requirement "$requirements"
pip check
# Written last: an interrupted run leaves no stamp and starts again.
cp "$requirements" "$stamp"
