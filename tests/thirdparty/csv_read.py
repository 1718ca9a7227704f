"""Reads a table with Python's csv and looks for fields that a spreadsheet would obey."""

import csv
import sys

csv.field_size_limit(1 << 30)
with open(sys.argv[1], encoding="utf-8-sig", newline="") as file:
    rows = list(csv.DictReader(file, strict=True))
for row in rows:
    for name, field in row.items():
        if field is None or name is None or field[:1] in ("=", "+", "-", "@", "\t", "\r"):
            sys.exit("%s: %r" % (name, field))
print("%d rows, nothing to obey" % len(rows))
