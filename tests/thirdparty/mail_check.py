"""Reads the mails of a set of the format `eml` with email, or of `mbox` with mailbox, and says what is wrong.

    mail_check.py FOLDER

FOLDER is the `data` of a set. Prints one line of JSON: the mails in the order of their files, problems."""

import email
import email.policy
import email.utils
import hashlib
import json
import mailbox
import pathlib
import sys

problems = []
mails = []
seen = {}


def check(name, source, line_end, envelope=None):
    def wrong(what):
        problems.append(f"{name}: {what}")

    lines = source.split(line_end)
    if not source.isascii():
        wrong("it is not ASCII")
    if any(len(line) > 998 for line in lines):
        wrong("a line is too long")
    if line_end == b"\r\n" and source.replace(b"\r\n", b"").count(b"\n") + source.replace(b"\r\n", b"").count(b"\r"):
        wrong("a bare CR or LF")
    mail = email.message_from_bytes(source, policy=email.policy.default)
    for part in mail.walk():
        if part.defects:
            wrong(f"defects {part.defects}")
        for field, value in part.items():
            if value.defects:
                wrong(f"{field}: {value.defects}")
        if part.get("Content-Transfer-Encoding") == "base64" and not part.is_multipart():
            body = part.get_payload()
            if any(len(line) > 76 for line in body.splitlines()):
                wrong("base64 wider than 76")
    shape = [part.get_content_type() for part in mail.walk()][:4]
    if shape != ["multipart/mixed", "multipart/alternative", "text/plain", "text/html"]:
        wrong(f"made of {shape}")
    number = mail["Message-ID"]
    conversation = mail["X-TeamChat-Archive-Conversation"]
    if number in seen:
        wrong(f"the Message-ID of {seen[number][0]}")
    before = mail["In-Reply-To"]
    is_first = all(of != conversation for _, of in seen.values())
    if (before is None) != is_first or (before and seen.get(before, (0, 0))[1] != conversation):
        wrong(f"in reply to {before}")
    if before and not mail["References"].split()[-1] == before:
        wrong(f"references {mail['References']}")
    seen[number] = (name, conversation)
    sender = mail["From"].addresses
    if len(sender) != 1 or not sender[0].domain.endswith(".invalid"):
        wrong(f"from {mail['From']}")
    if not email.utils.parsedate_to_datetime(mail["Date"]).tzinfo:
        wrong(f"date {mail['Date']}")
    attachments, raw = [], None
    for part in mail.iter_attachments():
        content = part.get_payload(decode=True)
        digest = hashlib.sha256(content).hexdigest()
        if part.get_filename() == "raw.json":
            raw = json.loads(content)
            if digest != mail["X-TeamChat-Archive-Raw-SHA256"]:
                wrong("raw.json is not what its header says")
        else:
            if digest != part["X-TeamChat-Archive-SHA256"]:
                wrong(f"{part.get_filename()} is not what its header says")
            attachments.append({"name": part.get_filename(), "sha256": digest, "size": len(content)})
    records = [record["record"] for record in raw["records"]]
    if int(mail["X-TeamChat-Archive-Records"]) != len(records) or len(set(records)) != len(records):
        wrong("another number of records than it says")
    text = mail.get_body(("plain",)).get_content()
    page = mail.get_body(("html",)).get_content()
    for record in records:
        if f'<li id="r{record}">' not in page:
            wrong(f"record {record} is not on its page")
        if str(record) not in text:
            wrong(f"record {record} is not in its text")
    bad = [c for c in text if (ord(c) < 32 and c not in "\r\n\t") or 0x7F <= ord(c) < 0xA0 or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]
    if bad:
        wrong(f"characters that are not seen: {sorted(set(bad))}")
    mails.append({"file": name, "id": number, "subject": mail["Subject"], "from": str(mail["From"]), "date": mail["Date"],
                  "from_address": sender[0].addr_spec if sender else None, "envelope": envelope,
                  "date_is": mail["X-TeamChat-Archive-Date-Is"],
                  "to": [[one.display_name, one.addr_spec] for one in mail["To"].addresses], "conversation": conversation,
                  "records": records, "text": text, "page": page, "attachments": attachments})


def main(folder):
    for path in sorted(folder.rglob("*.eml"), key=lambda path: (path.parent, path.stem[:10], int(path.stem[11:] or 1))):
        check(path.relative_to(folder).as_posix(), path.read_bytes(), b"\r\n")
    for path in sorted(folder.rglob("*.mbox")):
        box = mailbox.mbox(path, create=False)
        for key in box.keys():
            check(f"{path.relative_to(folder).as_posix()} {key}", box.get_bytes(key), b"\n", box.get_message(key).get_from().split()[0])
    print(json.dumps({"mails": mails, "problems": problems}))


main(pathlib.Path(sys.argv[1]))
