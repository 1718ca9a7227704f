#!/usr/bin/env python3
"""Prints every record of an archive of TeamChat, with Python's standard library and the zstd program.

    python3 read.py ARCHIVE                 every record, in order
    python3 read.py --messages ARCHIVE      the bodies of messages alone, one JSON object a line

ARCHIVE is the archive's directory or its archive.db. A record is printed as

    <number> <length of the body in bytes> <header, one line of JSON>
    <the body, byte for byte>

and a newline. The header is exactly the line that the record's leaf was computed from. With --messages,
versions that were replaced or deleted later are printed too, each as it came; line breaks inside a body,
which JSON allows between its parts, become spaces.

Exit status 0 when every record was printed, else 1. Nothing is checked here but that the numbers have no
gap: docs/FORMAT.md (in the archive: table `about`, name `FORMAT`) says how to check.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import urllib.parse

# The fields of a header, in the order in which it was hashed.
FIELDS = (
    "kind source channel key version state n origin via account run observed_at tickets attachments shared_in"
).split()

# Packed bytes that are unpacked in one go.
BATCH = 8 << 20


class Unreadable(Exception):
    """The archive is not what it must be."""


def unpack(frames, dictionary):
    """The texts of some zstd frames, one after the other."""
    command = ["zstd", "-dcq"]
    if dictionary is not None:
        command += ["-D", dictionary]
    done = subprocess.run(command, input=b"".join(frames), stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise Unreadable("zstd does not unpack a block")
    return done.stdout


def texts(database, folder):
    """The texts of all blocks, in order, several at a time."""
    frames, size, packed_with = [], 0, None

    def path_of(identifier):
        if not identifier:
            return None
        path = os.path.join(folder, str(identifier))
        if not os.path.exists(path):
            row = database.execute("SELECT bytes FROM dictionary WHERE id = ?", (identifier,)).fetchone()
            if row is None:
                raise Unreadable(f"dictionary {identifier} is missing")
            with open(path, "wb") as file:
                file.write(row[0])
        return path

    for dictionary, frame in database.execute("SELECT dictionary, bytes FROM block ORDER BY first"):
        if frames and (dictionary != packed_with or size > BATCH):
            yield unpack(frames, path_of(packed_with))
            frames, size = [], 0
        packed_with = dictionary
        frames.append(frame)
        size += len(frame)
    if frames:
        yield unpack(frames, path_of(packed_with))


def records(text, number):
    """The records of some blocks whose first record must be `number`: number, header, body."""
    at = 0
    while at < len(text):
        end = text.index(b"\n", at)
        head = json.loads(text[at:end])
        at = end + 1
        if head["block"] != 1:
            raise Unreadable(f"record {number}: its block is of another format")
        if head["first"] != number:
            raise Unreadable(f"record {number}: it is missing")
        shared = head["shared"]
        n = shared.get("n")
        for _ in range(head["count"]):
            end = text.index(b"\n", at)
            length, own = text[at:end].split(b" ", 1)
            fields = {**shared, "n": n, **json.loads(own)}
            if fields["n"] is not None:
                n = fields["n"] + 1
            header = {name: fields[name] for name in FIELDS if fields.get(name) is not None}
            body = text[end + 1 : end + 1 + int(length)]
            at = end + 1 + int(length)
            if text[at : at + 1] != b"\n":
                raise Unreadable(f"record {number}: its body is longer than its line says")
            at += 1
            yield number, header, body
            number += 1


def read(database):
    """All records of an archive, in order: number, header, body."""
    number = 0
    with tempfile.TemporaryDirectory() as folder:
        for text in texts(database, folder):
            for record in records(text, number):
                yield record
                number += 1


def line(header):
    """A header as it was hashed."""
    return json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()


def main():
    arguments = sys.argv[1:]
    only_messages = arguments[:1] == ["--messages"]
    if only_messages:
        arguments = arguments[1:]
    if len(arguments) != 1:
        sys.exit("usage: python3 read.py [--messages] ARCHIVE")
    path = arguments[0]
    if os.path.isdir(path):
        path = os.path.join(path, "archive.db")
    out = sys.stdout.buffer
    try:
        database = sqlite3.connect(f"file:{urllib.parse.quote(path)}?mode=ro", uri=True)
        for number, header, body in read(database):
            if not only_messages:
                out.write(b"%d %d %s\n%s\n" % (number, len(body), line(header), body))
            elif header["kind"] == "message" and header["state"] == "present":
                out.write(body.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")
        out.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (Unreadable, sqlite3.Error, OSError, ValueError, KeyError) as error:
        sys.exit(f"read.py: {error}")


if __name__ == "__main__":
    main()
