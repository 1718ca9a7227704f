"""Reads a load-file production as a review platform would, and judges it.

usage: dat_read.py FOLDER

FOLDER holds the volumes (VOL001 …). Reads each DAT with the csv module of the standard
library (delimiter 0x14, quote character þ) and compares what it reads with the raw bytes,
so that every field makes the way there and back. Prints one JSON line:

    {"volumes": [NAME], "columns": [NAME], "documents": [{COLUMN: VALUE, "text": TEXT}],
     "images": [BATES], "participants": [{COLUMN: VALUE}]}

In values ® is a line break again. Exits 1 when numbers leave a gap, a family is torn or
overlaps another, a path leads nowhere, a digest or size is not that of its file, a file
belongs to no document, a folder is not for a thousand documents, or the image load file and
the page counts contradict each other.
"""

import csv
import hashlib
import io
import json
import re
import sys
from pathlib import Path

SEPARATOR, QUOTE, BREAK = "\x14", "\u00fe", "\u00ae"
csv.field_size_limit(1 << 30)


class Disagreement(Exception):
    """What the production says contradicts itself, or the convention."""


def demand(holds, claim):
    if not holds:
        raise Disagreement(claim)


def read_table(path):
    raw = path.read_bytes()
    demand(raw.startswith(b"\xef\xbb\xbf"), f"{path.name} has no byte order mark")
    demand(raw.endswith(b"\r\n"), f"{path.name} does not end with CRLF")
    text = raw[3:].decode("utf-8")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=SEPARATOR, quotechar=QUOTE, strict=True)
    rows = list(reader)
    lines = text.split("\r\n")[:-1]
    demand(len(lines) == len(rows), f"{path.name}: {len(lines)} lines, {len(rows)} rows")
    for number, (line, row) in enumerate(zip(lines, rows), 1):
        demand("\r" not in line and "\n" not in line, f"{path.name}:{number}: a bare line break")
        fields = line.split(SEPARATOR)
        demand(all(len(f) > 1 and f[0] == f[-1] == QUOTE for f in fields), f"{path.name}:{number}: no quotes")
        demand([f[1:-1] for f in fields] == row, f"{path.name}:{number} reads otherwise")
        demand(all(QUOTE not in value for value in row), f"{path.name}:{number}: a quote in a value")
        demand(len(row) == len(rows[0]), f"{path.name}:{number}: {len(row)} fields for {len(rows[0])}")
        again = io.StringIO(newline="")
        csv.writer(again, delimiter=SEPARATOR, quotechar=QUOTE, quoting=csv.QUOTE_ALL).writerow(row)
        demand(again.getvalue() == line + "\r\n", f"{path.name}:{number} is written otherwise")
    columns = rows[0]
    demand(len(set(columns)) == len(columns), f"{path.name}: two columns have one name")
    return columns, [{c: v.replace(BREAK, "\n") for c, v in zip(columns, row)} for row in rows[1:]]


def number_of(bates, prefix):
    demand(bates.startswith(prefix) and bates[len(prefix):].isdigit(), f"{bates} is no number of this set")
    return int(bates[len(prefix):])


def check_numbers(documents):
    first = documents[0]["BEGBATES"]
    prefix = re.match(r"(.*?)\d+$", first).group(1)
    if first[-8:].isdigit():
        prefix = first[:-8]
    due = number_of(first, prefix)
    numbers = {}
    for document in documents:
        number = number_of(document["BEGBATES"], prefix)
        demand(number == due, f"{document['BEGBATES']} stands where number {due} is due")
        demand(document["ENDBATES"] == document["BEGBATES"], f"{document['BEGBATES']} ends elsewhere")
        numbers[document["BEGBATES"]] = number
        due += 1
    return numbers


def check_families(documents, numbers):
    at = 0
    while at < len(documents):
        parent = documents[at]
        name = parent["BEGBATES"]
        demand(parent["PARENTBATES"] == "", f"{name} begins a family and has a parent")
        demand(parent["BEGATTACH"] == name, f"the family of {name} begins at {parent['BEGATTACH']}")
        size = numbers[parent["ENDATTACH"]] - numbers[name] + 1
        demand(parent["ATTACHCOUNT"] == str(size - 1), f"{name} counts {parent['ATTACHCOUNT']} of {size - 1}")
        family = documents[at : at + size]
        inside = {document["BEGBATES"]: document for document in family}
        for document in family:
            child = document["BEGBATES"]
            for column in ("BEGATTACH", "ENDATTACH", "CONVERSATIONID", "VOLUME"):
                demand(document[column] == parent[column], f"{child} is torn from {name} by {column}")
            if document is parent:
                continue
            above = inside.get(document["PARENTBATES"])
            demand(above is not None, f"the parent of {child} is not in its family")
            demand(numbers[above["BEGBATES"]] < numbers[child], f"{child} stands before its parent")
            if document["DOCTYPE"] == "Chat comment":
                demand(above["DOCTYPE"] == "Chat file", f"{child} is no comment on a file")
        at += size


def check_files(folder, documents):
    used = set()
    for at, document in enumerate(documents):
        name = document["BEGBATES"]
        for column in ("TEXTPATH", "NATIVEPATH"):
            value = document[column]
            demand(column == "NATIVEPATH" or value, f"{name} has no text")
            if not value:
                continue
            demand(value.startswith(document["VOLUME"] + "\\") and "/" not in value, f"{name}: path {value}")
            path = folder.joinpath(*value.split("\\"))
            demand(path.is_file(), f"{name}: {value} is not there")
            demand(path.name.partition(".")[0] == name or path.name.startswith(name), f"{name}: {value} has no such name")
            demand(path not in used, f"{value} is named twice")
            used.add(path)
            demand(path.parent.name == f"{at // 1000 + 1:04}", f"{name}: {value} is in a wrong folder")
        text = folder.joinpath(*document["TEXTPATH"].split("\\")).read_bytes()
        demand(text.startswith(b"\xef\xbb\xbf"), f"the text of {name} has no byte order mark")
        document["text"] = text[3:].decode("utf-8")
        content = text
        demand(document["HASHOF"] == ("NATIVE" if document["NATIVEPATH"] else "TEXT"), f"{name}: {document['HASHOF']}")
        if document["NATIVEPATH"]:
            content = folder.joinpath(*document["NATIVEPATH"].split("\\")).read_bytes()
            demand(document["FILESIZE"] == str(len(content)), f"{name}: {document['FILESIZE']} bytes of {len(content)}")
        demand(document["MD5HASH"] == hashlib.md5(content).hexdigest(), f"{name}: its MD5 is another")
        demand(document["SHA256"] == hashlib.sha256(content).hexdigest(), f"{name}: its SHA-256 is another")
    return used


def check_images(folder, volume, documents):
    raw = (folder / volume / "DATA" / f"{volume}.opt").read_bytes()
    demand(raw == b"" or raw.endswith(b"\r\n"), f"{volume}.opt does not end with CRLF")
    rows = list(csv.reader(io.StringIO(raw.decode("ascii"), newline="")))
    named = []
    for row in rows:
        demand(len(row) == 7, f"{volume}.opt: {len(row)} fields")
        bates, name, image, first, folder_break, box_break, pages = row
        demand((name, first, folder_break, box_break, pages) == (volume, "Y", "", "", "1"), f"{volume}.opt: {row}")
        path = folder.joinpath(*image.split("\\"))
        demand(path.is_file() and path.stem == bates, f"{volume}.opt: {image} is not there")
        content = path.read_bytes()
        demand(content.startswith(b"%PDF-") and f"({bates})".encode() in content, f"{image} is no page of {bates}")
        named.append((bates, path))
    due = [d["BEGBATES"] for d in documents if d["VOLUME"] == volume and d["PAGECOUNT"] == "1"]
    demand([bates for bates, _ in named] == due, f"{volume}.opt names {named}, and pages have {due}")
    demand(all(d["PAGECOUNT"] in ("0", "1") for d in documents), "a page count is neither 0 nor 1")
    return dict(named)


def main(folder):
    folder = Path(folder)
    volumes = sorted(path.name for path in folder.iterdir())
    demand(volumes == [f"VOL{n:03}" for n in range(1, len(volumes) + 1)], f"volumes {volumes}")
    columns, documents, participants = None, [], []
    for volume in volumes:
        data = folder / volume / "DATA"
        found, rows = read_table(data / f"{volume}.dat")
        demand(columns in (None, found), f"{volume} has other columns")
        columns = found
        demand(all(row["VOLUME"] == volume for row in rows), f"a row of {volume} names another volume")
        documents += rows
        participants += read_table(data / f"{volume}_PARTICIPANTS.dat")[1]
        told = (data / "FIELDS.txt").read_text(encoding="utf-8").splitlines()
        demand([line.partition(": ")[0] for line in told] == columns, "FIELDS.txt tells of other fields")
    demand(documents, "there is no document")
    numbers = check_numbers(documents)
    check_families(documents, numbers)
    used = check_files(folder, documents)
    images = {}
    for volume in volumes:
        images.update(check_images(folder, volume, documents))
    there = {path for path in folder.rglob("*") if path.is_file() and path.parent.name != "DATA"}
    demand(there == used | set(images.values()), f"nothing names {sorted(map(str, there - used - set(images.values())))}")
    print(json.dumps({
        "volumes": volumes,
        "columns": columns,
        "documents": documents,
        "images": sorted(images),
        "participants": participants,
    }))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except (Disagreement, OSError, UnicodeError, csv.Error) as error:
        sys.exit(f"dat_read: {error}")
