"""Looks for words anywhere in a bag, with nothing but Python's own library.

    leaks.py BAG WORD...

Every file is unpacked to the last part, proofs included, and whatever looks like base64 in a part is decoded.
Prints a line for each part that holds a word, however its letters are cased, and for each path that does.
"""

import base64
import gzip
import os
import re
import sys

from conserved import all_parts

PACKED = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")


def decoded(data):
    for run in PACKED.findall(data):
        run = run.rstrip(b"=")
        yield base64.b64decode(run[: len(run) // 4 * 4] if len(run) % 4 == 1 else run + b"=" * (-len(run) % 4))


def main(bag, *words):
    assert os.path.isdir(bag), bag
    words = [word.lower().encode() for word in words]
    parts = [(path, path.encode()) for path, _, _ in os.walk(bag)]
    parts += [(name, name.encode()) for _, _, names in os.walk(bag) for name in names]
    for ending, data in all_parts(bag):
        data = gzip.decompress(data) if ending == ".gz" else data
        parts += [(ending, data), (ending + ", base64", b"\n".join(decoded(data)))]
    for name, data in parts:
        for word in words:
            at = data.lower().find(word)
            if at >= 0:
                print(name, word.decode(), data[max(0, at - 60) : at + 60])


if __name__ == "__main__":
    main(*sys.argv[1:])
