#!/bin/sh
# Reads the pages of a demo in a browser: starts it, waits until it is ready, runs pages.mjs, ends it. Before
# that it runs verifier.mjs: the page that checks proofs, on proofs from the same demo's archive; and export.mjs:
# the pages of a set of that archive.
#
#   tests/e2e/run.sh BINARY [ARGUMENTS OF pages.mjs…]
#
# Needs node, java, chromium (CHROMIUM names another) and the packages of package.json beside it.
# Its status is 0 when both pass; 2 when something is missing.
set -eu

fail() {
    echo "run.sh: $1" >&2
    exit "${2:-2}"
}

[ $# -ge 1 ] || fail "usage: tests/e2e/run.sh BINARY [ARGUMENTS OF pages.mjs]"
[ -x "$1" ] || fail "$1 is no program (build it: cargo build)"
binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)

command -v node >/dev/null || fail "node is missing (on Debian: apt-get install nodejs npm)"
command -v java >/dev/null || fail "java is missing (on Debian: apt-get install default-jre-headless)"
CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
[ -x "$CHROMIUM" ] || fail "$CHROMIUM is missing (on Debian: apt-get install chromium)"
export CHROMIUM
command -v pdftotext >/dev/null || fail "pdftotext is missing (on Debian: apt-get install poppler-utils)"
for package in playwright-core axe-core @axe-core/playwright vnu-jar; do
    [ -d "$here/node_modules/$package" ] || fail "node_modules/$package is missing (npm ci in tests/e2e)"
done

folder=$(mktemp -d)
demo=
# The demo ends on SIGTERM; the folder goes after it.
clean() {
    if [ -n "$demo" ]; then
        kill "$demo" 2>/dev/null || true
        wait "$demo" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$binary" demo --json --listen 127.0.0.1:0 --dir "$folder/demo" >"$folder/said" 2>"$folder/errors" &
demo=$!

# Its last line is the ready line, the only one with a password.
tries=0
until grep -q '"password"' "$folder/said"; do
    if ! kill -0 "$demo" 2>/dev/null; then
        cat "$folder/said" "$folder/errors" >&2
        demo=
        fail "the demo ended before it was ready" 1
    fi
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ]; then
        cat "$folder/said" "$folder/errors" >&2
        fail "the demo was not ready within a minute" 1
    fi
    sleep 0.1
done

status=0

# What a stranger gets in hand: the page, the key, and the proofs of a message and of a file.
archive() { "$binary" --archive "$folder/demo/archive" "$@"; }
mkdir "$folder/handed"
cp "$folder/demo/keys/ledger.vkey" "$folder/handed"
archive verifier --html >"$folder/handed/verify.html"
for kind in messages files; do
    archive search crane --json --kind "$kind" --limit 1 >"$folder/found"
    record=$(node -p 'const found = JSON.parse(fs.readFileSync(process.argv[1])); found[process.argv[2]].matches[0].archive.record' "$folder/found" "$kind")
    archive show "$record" --proof >"$folder/handed/$kind.tlog-proof"
done
(cd "$here" && node verifier.mjs "$folder/handed" "$@") || status=$?

# The same as pages to keep: a set of the format html, opened from its files.
TEAMCHAT_ARCHIVE_KEYS_DIR="$folder/demo/keys" archive export --format html --output "$folder/set" >"$folder/exported" || status=$?
(cd "$here" && node export.mjs "$folder/set/data" "$@") || status=$?

(
    cd "$here"
    # The ready line is JSON; node is there to read it.
    exec node -e '
        const { spawnSync } = require("node:child_process");
        const { readFileSync } = require("node:fs");
        const [file, ...rest] = process.argv.slice(1);
        const ready = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line)).find((line) => line.password);
        const env = { ...process.env, BASE_URL: ready.url, USER: ready.username, PASSWORD: ready.password };
        const run = spawnSync(process.execPath, ["pages.mjs", ...rest], { env, stdio: "inherit" });
        process.exit(run.status ?? 1);
    ' "$folder/said" "$@"
) || status=$?
exit "$status"
