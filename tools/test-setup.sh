#!/bin/sh
# Installs what `make test` needs: programs with apt when it may, Python readers into a virtual
# environment, Node packages for the browser tests. Quick when all is there. Says what is missing
# when it may not install. usage: test-setup.sh VENV
set -eu

venv=$1
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

packages=
need() { # need PROGRAM PACKAGE…
    program=$1
    shift
    command -v "$program" >/dev/null 2>&1 || packages="$packages $*"
}

need chromium chromium fonts-noto-core fonts-noto-cjk
need java default-jre-headless
need node nodejs
need npm npm
need sqlite3 sqlite3
need zstd zstd
need xxd xxd
need openssl openssl
need python3 python3
need unshare util-linux
need strace strace
# Sets the clock of a served archive ahead.
need faketime faketime
# Judge exports: the tree of XML, the text of printed pages.
need xmllint libxml2-utils
need pdftotext poppler-utils
# Reads pictures: with it, their text has to be found.
need tesseract tesseract-ocr
python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || packages="$packages python3-venv"
# Go's packages for signed notes and transparent logs, as source; Go itself comes into the environment.
[ -d "${TEAMCHAT_ARCHIVE_TEST_GOPATH:-/usr/share/gocode}/src/golang.org/x/mod/sumdb/note" ] || packages="$packages golang-golang-x-mod-dev"

if [ -n "$packages" ]; then
    if command -v apt-get >/dev/null 2>&1; then
        if [ "$(id -u)" = 0 ]; then
            apt=apt-get
        elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
            apt='sudo apt-get'
        else
            apt=
        fi
    else
        apt=
    fi
    if [ -z "$apt" ]; then
        echo "test-setup: these are missing and can't be installed from here:$packages" >&2
        exit 1
    fi
    echo "test-setup: installing$packages"
    $apt update -qq
    # shellcheck disable=SC2086 # a list of packages is meant to be split
    DEBIAN_FRONTEND=noninteractive $apt install -y -qq --no-install-recommends $packages >/dev/null
fi

sh tests/thirdparty/setup.sh "$venv"

stamp=tests/e2e/node_modules/.installed
if ! cmp -s tests/e2e/package-lock.json "$stamp" 2>/dev/null; then
    echo "test-setup: installing the browser tests' packages"
    (cd tests/e2e && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
    cp tests/e2e/package-lock.json "$stamp"
fi
