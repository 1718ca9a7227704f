#!/bin/sh
# Prints every record of an archive of TeamChat, with nothing but sqlite3, zstd, awk, od and xxd.
#
#   sh read.sh ARCHIVE                 every record, in order
#   sh read.sh --messages ARCHIVE      the bodies of messages alone, one JSON object a line
#
# ARCHIVE is the archive's directory or its archive.db. A record is printed as
#
#   <number> <length of the body in bytes> <header, one line of JSON>
#   <the body, byte for byte>
#
# and a newline. The header is exactly the line that the record's leaf was computed from. With
# --messages, versions that were replaced or deleted later are printed too, each as it came; line breaks inside a
# body, which JSON allows between its parts, become spaces.
#
# Exit status 0 when every record was printed, else 1. Nothing is checked here but that the numbers have
# no gap: `docs/FORMAT.md` (in the archive: table `about`, name `FORMAT`) says how to check.

set -u
export LC_ALL=C

messages=0
if [ "${1-}" = --messages ]; then
	messages=1
	shift
fi
if [ $# -ne 1 ]; then
	echo "usage: sh read.sh [--messages] ARCHIVE" >&2
	exit 2
fi
database=$1
[ -d "$database" ] && database=$database/archive.db
if [ ! -f "$database" ]; then
	echo "read.sh: there is no archive at $1" >&2
	exit 1
fi
for tool in sqlite3 zstd awk od tr xxd; do
	if ! command -v $tool >/dev/null; then
		echo "read.sh: $tool is not installed" >&2
		exit 1
	fi
done

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# What a query gives, one row a line. Whoever asks marks the failure himself: a pipe forgets it.
ask() {
	sqlite3 -batch -init /dev/null -readonly -list -noheader "$database" "$1" || : >"$work/failed"
}

# Blocks that follow each other and were packed with the same dictionary are unpacked in one go: a
# dictionary's id, the first and the last block, the number after the last record.
ask "SELECT dictionary, first, count FROM block ORDER BY first" | awk -F'|' '
	NR > 1 && $1 != dictionary { print dictionary, first, last, end }
	NR == 1 || $1 != dictionary { first = $2 }
	{ dictionary = $1; last = $2; end = $2 + $3 }
	END { if (NR) print dictionary, first, last, end }
' >"$work/runs"

# Reads the texts of blocks as hexadecimal digits, prints records as hexadecimal digits: so a body may hold
# anything, whatever this awk makes of it.
cat >"$work/records.awk" <<'AWK'
function hex(text,   at, out) {
	out = ""
	for (at = 1; at <= length(text); at++) out = out code[substr(text, at, 1)]
	return out
}

# The number that the digits at `at` of `line` spell.
function number(line, at,   out) {
	out = ""
	while (substr(line, at, 1) == "3" && substr(line, at + 1, 1) ~ /[0-9]/) {
		out = out substr(line, at + 1, 1)
		at += 2
	}
	return out + 0
}

# The members of a JSON object that begins at `at` of `line`: name to value, both as they are written.
function members(line, at, into,   end, pair, name, start, depth, inside, n) {
	split("", into)
	n = length(line)
	at += 2
	while (at < n && substr(line, at, 2) != "7d") {
		if (substr(line, at, 2) == "2c") at += 2
		start = at + 2
		for (at = start; (pair = substr(line, at, 2)) != "22"; at += 2) if (at > n) fail("a line is cut")
		name = substr(line, start, at - start)
		at += 4
		start = at
		depth = 0
		inside = 0
		for (; at <= n; at += 2) {
			pair = substr(line, at, 2)
			if (inside) {
				if (pair == "5c") at += 2
				else if (pair == "22") inside = 0
			} else if (pair == "22") inside = 1
			else if (pair == "7b" || pair == "5b") depth++
			else if (depth == 0 && (pair == "2c" || pair == "7d")) break
			else if (pair == "7d" || pair == "5d") depth--
		}
		into[name] = substr(line, start, at - start)
	}
}

function fail(what) {
	print "read.sh: record " next_number ": " what > "/dev/stderr"
	failed = 1
	exit 1
}

# Where the next newline is, 0 when it is not here yet. It is looked for in short pieces, and passed over
# where the digits are the end of one byte and the beginning of the next.
function newline(   at, found) {
	for (at = place; at < length(text);) {
		found = index(substr(text, at, 1024), "0a")
		if (found == 0) at += 1024
		else if (found % 2) return at + found - 1
		else at += found
	}
	return 0
}

function block(line,   name) {
	members(line, 1, head)
	if (head[hex("block")] != "31") fail("its block is of another format")
	if (number(head[hex("first")], 1) != next_number) fail("records before it are missing")
	left = number(head[hex("count")], 1)
	members(head[hex("shared")], 1, shared)
	has_n = hex("n") in shared
	if (has_n) n = number(shared[hex("n")], 1)
}

function record(line,   at, name, value, out) {
	body = 2 * number(line, 1)
	members(line, index(line, "7b"), own)
	out = ""
	for (at = 1; at <= fields; at++) {
		name = field[at]
		value = ""
		if (name in own) value = own[name]
		else if (name == counter) { if (has_n) value = hex(sprintf("%.0f", n)) }
		else if (name in shared) value = shared[name]
		if (value == "" || value == "6e756c6c") continue
		if (name == counter) { n = number(value, 1) + 1; has_n = 1 }
		if (name == kind) is_message = (value == message)
		if (name == state) is_message = is_message && (value == present)
		out = out (out == "" ? "" : "2c") "22" name "223a" value
	}
	if (!messages) print hex(sprintf("%.0f", next_number)) "20" hex(sprintf("%.0f", body / 2)) "207b" out "7d0a"
}

# A piece of a body on one line.
function flat(piece,   at, out) {
	if (index(piece, "0a") == 0 && index(piece, "0d") == 0) return piece
	out = ""
	for (at = 1; at <= length(piece); at += 2) {
		pair = substr(piece, at, 2)
		out = out (pair == "0a" || pair == "0d" ? "20" : pair)
	}
	return out
}

BEGIN {
	for (at = 32; at < 127; at++) code[sprintf("%c", at)] = sprintf("%02x", at)
	fields = split("kind source channel key version state n origin via account run observed_at tickets attachments shared_in", field, " ")
	for (at = 1; at <= fields; at++) field[at] = hex(field[at])
	counter = hex("n"); kind = hex("kind"); state = hex("state")
	message = hex("\"message\""); present = hex("\"present\"")
	text = ""
	what = "block"
}

{
	text = substr(text, place) $0
	place = 1
	while (place <= length(text)) {
		if (what == "body" && body > 0) {
			piece = substr(text, place, body)
			if (!messages) print piece
			else if (is_message) print flat(piece)
			place += length(piece)
			body -= length(piece)
		} else if (what == "body") {
			if (substr(text, place, 2) != "0a") fail("its body is longer than its line says")
			if (!messages || is_message) print "0a"
			place += 2
			next_number++
			left--
			what = left > 0 ? "record" : "block"
		} else {
			end = newline()
			if (end == 0) break
			line = substr(text, place, end - place)
			place = end + 2
			if (what == "block") { block(line); what = "record" }
			else { record(line); what = "body" }
		}
	}
}

END {
	if (!failed && (what != "block" || next_number != until)) fail("it is missing")
}
AWK

next=0
while read -r dictionary first last end; do
	with=
	if [ "$dictionary" -ne 0 ]; then
		ask "SELECT hex(bytes) FROM dictionary WHERE id = $dictionary" | xxd -r -p >"$work/dictionary"
		if [ ! -s "$work/dictionary" ]; then
			echo "read.sh: record $first: dictionary $dictionary is missing" >&2
			exit 1
		fi
		with="-D $work/dictionary"
	fi
	ask "SELECT hex(bytes) FROM block WHERE first BETWEEN $first AND $last ORDER BY first" | xxd -r -p |
		{ zstd -dcq $with || : >"$work/failed"; } |
		od -An -v -tx1 -w4096 | tr -d ' ' |
		{ awk -v messages=$messages -v next_number="$next" -v until="$end" -f "$work/records.awk" || : >"$work/failed"; } |
		xxd -r -p
	next=$end
	[ -e "$work/failed" ] && break
done <"$work/runs"

[ ! -e "$work/failed" ]
