#!/bin/sh
# Reads a served archive in a browser, as those who use it do: makes one of the built-in company, serves it, and runs
# the scripts beside this file. Each prints what failed and a line of counts.
#
#   tests/e2e/run.sh BINARY [ARGUMENTS OF pages.mjs]
#
#   verifier.mjs   the page that checks proofs, on proofs from the archive
#   export.mjs     the pages of a set of it
#   entering.mjs   the first account, signing in and out
#   pages.mjs      every page that there is
#   searching.mjs  the search
#   edges.mjs      refusals, other roles, the past, nothing found, right to left
#   reading.mjs    a channel, a record, coverage, the access log
#   printing.mjs   the sheets of a day and of an exhibit on paper
#   exhibit.mjs    a sheet to hand over, and the file that proves itself elsewhere
#   called.mjs     programs and their tokens, what is refused and what fails, and the headers of every answer
#   hostile.mjs    what is written and uploaded to do harm (an archive of its own)
#   damaged.mjs    what is missing, and what is wrong (an archive of its own)
#   verified.mjs   what somebody did to the files, as the page of the check tells it (an archive of its own, and copies)
#   logged.mjs     what the access log has of each view, and what is shown when its disk is full (an archive of its own)
#   arriving.mjs   what time does to a set-up token, a session, and who tries passwords (an archive of its own)
#   counting.mjs   what a search counts, by the clocks of several zones (an archive of its own)
#   scoped.mjs     a reviewer, before whom the rest might as well not be (two archives of its own)
#
# Needs node, java, faketime, sqlite3, unshare, chromium (CHROMIUM names another) and the packages of package.json beside it.
# Its status is 0 when all pass; 2 when something is missing.
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
command -v faketime >/dev/null || fail "faketime is missing (on Debian: apt-get install faketime)"
command -v sqlite3 >/dev/null || fail "sqlite3 is missing (on Debian: apt-get install sqlite3)"
unshare -rm true || fail "unshare -rm is refused here: a small disk cannot be mounted (unprivileged user namespaces)"
command -v pdftotext >/dev/null || fail "pdftotext is missing (on Debian: apt-get install poppler-utils)"
for package in playwright-core axe-core @axe-core/playwright vnu-jar; do
    [ -d "$here/node_modules/$package" ] || fail "node_modules/$package is missing (npm ci in tests/e2e)"
done

folder=$(mktemp -d)
served=
beside=
# The server ends on SIGTERM, and so do the scripts beside it; the folder goes after them.
clean() {
    for process in $beside $served; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$binary" demo --once --json --dir "$folder/demo" >"$folder/said" 2>"$folder/errors" || {
    cat "$folder/said" "$folder/errors" >&2
    fail "the archive could not be made" 1
}
export TEAMCHAT_ARCHIVE_KEYS_DIR="$folder/demo/keys"
archive() { "$binary" --archive "$folder/demo/archive" "$@"; }
status=0
run() { (cd "$here" && node "$@") || status=$?; }

# The same archive as pages to keep: a set of the format html, opened from its files.
archive export --format html --output "$folder/set" >"$folder/exported" || status=$?

# Those that need nothing that is served here go on beside the others. What they say is said at the end.
alone() {
    for script in hostile damaged verified logged arriving counting scoped; do
        (cd "$here" && exec node "$script.mjs" "$binary") || echo "$script" >>"$folder/failed"
    done
    (cd "$here" && exec node export.mjs "$folder/set/data" "$@") || echo export >>"$folder/failed"
}
alone "$@" >"$folder/alone" 2>&1 &
beside=$!

# What a stranger gets in hand: the page, the key, and the proofs of a message and of a file.
mkdir "$folder/handed"
cp "$folder/demo/keys/ledger.vkey" "$folder/handed"
archive verifier --html >"$folder/handed/verify.html"
for kind in messages files; do
    archive search crane --json --kind "$kind" --limit 1 >"$folder/found"
    record=$(node -p 'const found = JSON.parse(fs.readFileSync(process.argv[1])); found[process.argv[2]].matches[0].archive.record' "$folder/found" "$kind")
    archive show "$record" --proof >"$folder/handed/$kind.tlog-proof"
done
run verifier.mjs "$folder/handed" "$@"

# It says all that it can say: none of it is a secret (called.mjs). Started itself, since a signal to a function in
# the background would end the function's shell alone.
"$binary" --archive "$folder/demo/archive" serve --listen 127.0.0.1:0 --json -vvv >"$folder/ready" 2>"$folder/errors" &
served=$!
# Its first line says where.
tries=0
until [ -s "$folder/ready" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$served" 2>/dev/null; then
        cat "$folder/errors" >&2
        fail "the archive was not served within a minute" 1
    fi
    sleep 0.1
done
ready() { node -p 'JSON.parse(fs.readFileSync(process.argv[1], "utf8").split("\n")[0])[process.argv[2]]' "$folder/ready" "$1"; }
BASE_URL=$(ready url)
SETUP_URL=$(ready setup_url)
USER=auditor
PASSWORD="correct horse battery"
export BASE_URL SETUP_URL USER PASSWORD

# It makes the account `admin`, the first.
run entering.mjs "$@"
printf %s "$PASSWORD" >"$folder/password"
archive user add auditor --role auditor --export yes --password-file "$folder/password" --quiet || status=$?
archive user add verifier --role verifier --password-file "$folder/password" --quiet || status=$?
archive search crane --json --kind messages --limit 1 >"$folder/found"
channel=$(node -p 'JSON.parse(fs.readFileSync(process.argv[1])).messages.matches[0].archive.channel' "$folder/found")
archive user add reviewer --role reviewer --channel "$channel" --password-file "$folder/password" --quiet || status=$?
run pages.mjs "$@"
run edges.mjs
run searching.mjs "$@"
run reading.mjs "$folder/handed"
run exhibit.mjs "$@"
run printing.mjs "$@"
run called.mjs "$folder/ready" "$folder/errors"
wait "$beside"
beside=
cat "$folder/alone"
[ ! -e "$folder/failed" ] || status=1
exit "$status"
