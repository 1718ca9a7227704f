"""Takes a set apart, whatever its format, with nothing but Python's own library, and says what it holds.

    conserved.py FORMAT FOLDER

FOLDER is the `data` of a set. Everything in it is unpacked to the last part: zips, mails and what is attached to
them, mailboxes. Prints one line of JSON: `contents` (SHA-256 of every part), `words` (the words of the tests, which
look like `zq12q`, anywhere in any part), `records` (numbers of records that the set itself names), and for actiance,
which numbers none, `gone` and `back` (the words in messages that say so).
"""

import csv
import email
import email.policy
import hashlib
import io
import json
import mailbox
import os
import re
import sys
import xml.etree.ElementTree as ElementTree
import zipfile

WORD = re.compile(rb"zq[0-9]+q")
NAMED = re.compile(r"""records?(?:_[0-9]+)?(?:["':=> ]|","value":")+([0-9]+(?:(?:,| and|, and) [0-9]+)*)|record([0-9]+)""")
ROW = re.compile(r'<li id="r([0-9]+)">')
IN_RSMF = re.compile(r"^(?:record(?:_[0-9]+)?|(?:change|reactions)_in_record_([0-9]+))$")


def parts(path, data):
    """Every part of a file, the file itself first: (ending, bytes)."""
    ending = os.path.splitext(path)[1].lower()
    yield ending, data
    if ending == ".zip" and data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for name in packed.namelist():
                yield from parts(name, packed.read(name))
    elif ending in (".eml", ".rsmf"):
        yield from mail_parts(email.message_from_bytes(data, policy=email.policy.default))


def mail_parts(mail):
    for part in mail.walk():
        if not part.is_multipart():
            yield from parts(part.get_filename() or "text.txt", part.get_payload(decode=True) or b"")


def all_parts(folder):
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                yield from parts(name, file.read())
            if name.endswith(".mbox"):
                for mail in mailbox.mbox(path, factory=lambda file: email.message_from_binary_file(file, policy=email.policy.default)):
                    yield from mail_parts(mail)


def named_in_rsmf(manifest):
    """The numbers in the pairs of an event."""
    for event in manifest["events"]:
        for pair in event.get("custom", []):
            match = IN_RSMF.match(pair["name"])
            if match:
                yield int(match[1] or pair["value"])
            else:
                yield from (int(number) for number in re.findall(r"record ([0-9]+)", pair["value"]))


def words(text):
    return [word.decode() for word in WORD.findall((text or "").encode())]


def main(kind, folder):
    csv.field_size_limit(1 << 30)
    contents, found, records, gone, back = set(), set(), set(), set(), set()
    for ending, data in all_parts(folder):
        contents.add(hashlib.sha256(data).hexdigest())
        found.update(word.decode() for word in WORD.findall(data))
        if kind == "csv" and ending == ".csv":
            rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
            records.update(int(row["record"]) for row in rows if row.get("record"))
        elif kind == "dat" and ending == ".dat":
            text = data.decode("utf-8-sig")
            for row in csv.DictReader(io.StringIO(text, newline=""), delimiter="\x14", quotechar="\xfe"):
                records.update(int(number) for number in row.get("RECORDS", "").split("; ") if number)
        elif kind == "rsmf" and ending == ".json":
            records.update(named_in_rsmf(json.loads(data)))
        elif kind == "actiance" and ending == ".xml":
            for message in ElementTree.fromstring(data).iter("Message"):
                said = words(message.findtext("Content"))
                updated = message.findtext("UpdatedType")
                (gone if updated in ("Deleted", "FileDeleted") else back if updated == "UpdatedNoMsgChange" else set()).update(said)
        elif kind in ("html", "eml", "mbox") and ending in (".html", ".htm", ".txt"):
            records.update(int(number) for number in ROW.findall(data.decode("utf-8", "replace")))
        elif kind == "jsonl" and ending == ".jsonl":
            records.update(line["record"] for line in map(json.loads, data.splitlines()) if "record" in line)
        elif kind in ("slack", "atom"):
            for match in NAMED.finditer(data.decode("utf-8", "replace")):
                records.update(int(number) for number in re.findall(r"[0-9]+", match[1] or match[2]))
    print(json.dumps({"contents": sorted(contents), "words": sorted(found), "records": sorted(records),
                      "gone": sorted(gone), "back": sorted(back)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
