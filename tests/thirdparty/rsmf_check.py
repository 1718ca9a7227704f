"""Checks files of RSMF 2.0.0 as the validator of its makers does, and a little more strictly.

usage: rsmf_check.py [--whole] SCHEMA FILE_OR_FOLDER...

SCHEMA is `rsmf_schema_2_0_0.json`. Reads each `.rsmf` with `email`, which may find no defect, and its manifest
with `jsonschema`, and looks for what the validator calls errors and warnings, under the names that it gives
them. Prints one JSON line

    {"files": N, "events": N, "joins_added": N, "attachments": N, "types": {TYPE: N},
     "problems": [{"file": PATH, "code": CODE, "what": TEXT}]}

and exits 1 when there is a problem. With `--whole` it has besides

    "read": [{"file": PATH, "headers": {NAME: TEXT}, "text": TEXT, "manifest": {}, "contents": {NAME: SHA-256}}]

`Checker.check(bytes)` and `Checker.check_manifest(dict, sizes)`
are for other scripts.
"""

import base64
import datetime
import email
import email.policy
import email.utils
import hashlib
import io
import json
import os
import re
import sys
import zipfile

import jsonschema

LIMIT = 10_000
ERRORS = {
    "RSMFValidity": 100,
    "HeadersMissing": 101,
    "HeaderVersion": 102,
    "AccessZip": 103,
    "ZipIntegrity": 104,
    "ZipMissingManifest": 105,
    "ManifestValidity": 106,
    "ManifestSchemaViolation": 107,
    "ManifestVersion": 108,
    "ManifestDuplicateId": 109,
    "JSONTrailingCommas": 110,
}
TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d{1,7})?(Z|[+-]\d\d:\d\d)?")
ADDRESS = re.compile(r"[^@\s\x00-\x1f,;<>\"()]+@[^@\s\x00-\x1f,;<>\"()]+\.[^@\s\x00-\x1f,;<>\"()]+")
MEMBERS = {"join", "leave"}


class Found(list):
    """Problems as pairs of a code and a text."""

    def add(self, code, what):
        self.append((code, str(what)[:500]))


def moment(text):
    """A time in ten-millionths of a second since 1970 and whether it has an offset; None when it is none."""
    match = TIME.fullmatch(text)
    if not match:
        return None
    day, clock, fraction, offset = match.groups()
    try:
        base = datetime.datetime.fromisoformat(f"{day}T{clock}")
    except ValueError:
        return None
    seconds = int((base - datetime.datetime(1970, 1, 1)).total_seconds())
    if offset and offset != "Z":
        sign = -1 if offset[0] == "+" else 1
        seconds += sign * (int(offset[1:3]) * 3600 + int(offset[4:6]) * 60)
    return seconds * 10**7 + int((fraction or ".0")[1:].ljust(7, "0")), offset is not None


def known_names(schema):
    """The names that the schema has at each kind of object."""
    events = schema["properties"]["events"]["items"]
    items = {kind: schema["properties"][f"{kind}s"]["items"] for kind in ("participant", "conversation", "event")}
    for kind, place in (("reaction", "reactions"), ("attachment", "attachments"), ("edit", "edits"),
                        ("receipt", "read_receipts"), ("pair", "custom")):
        items[kind] = events["properties"][place]["items"]
    return {"manifest": set(schema["properties"])} | {kind: set(item["properties"]) for kind, item in items.items()}


class Checker:
    """Checks against one schema."""

    def __init__(self, schema):
        self.known = known_names(schema)
        # A time without an offset is a warning and no error: times are looked at below.
        formats = jsonschema.FormatChecker(formats=["idn-email"])
        self.validator = jsonschema.Draft7Validator(schema, format_checker=formats)

    def check(self, data):
        """Problems of a file, and its manifest, if that could be read."""
        found = Found()
        mail = email.message_from_bytes(data, policy=email.policy.default)
        self.check_mail(mail, data, found)
        archive = self.open_zip(mail, found)
        if archive is None:
            return found, None
        names = archive.namelist()
        if len(set(names)) != len(names):
            found.add("ZipIntegrity", "a name stands twice in the zip")
        damaged = archive.testzip()
        if damaged:
            found.add("ZipIntegrity", f"{damaged} is damaged")
        if any(info.flag_bits & 1 or info.compress_type not in (0, 8) for info in archive.infolist()):
            found.add("ZipIntegrity", "encrypted, or packed in an unusual way")
        for name in names:
            if "/" in name or "\\" in name:
                found.add("ZipAttachmentMissing", f"{name} is not at the root of the zip")
        if "rsmf_manifest.json" not in names:
            found.add("ZipMissingManifest", names)
            return found, None
        manifest = read_json(archive.read("rsmf_manifest.json"), found)
        if manifest is None:
            return found, None
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        sizes.pop("rsmf_manifest.json")
        found.extend(self.check_manifest(manifest, sizes))
        if not any(code in ERRORS for code, _ in found):
            self.check_headers(mail, manifest, found)
        return found, manifest

    def check_mail(self, mail, data, found):
        """Defects, lines, the boundary and the parts."""
        defects = [defect for part in mail.walk() for defect in part.defects]
        for part in mail.walk():
            for name, value in part.items():
                defects.extend(getattr(value, "defects", ()))
                if name.lower() not in ("from", "to", "subject") and not str(value).isascii():
                    found.add("InvalidHeaderValue", f"{name} is not ASCII")
        for defect in defects:
            found.add("RSMFValidity", repr(defect))
        if max(map(len, data.split(b"\r\n"))) > 998 or b"\n" in data.replace(b"\r\n", b""):
            found.add("RSMFValidity", "a line is too long, or does not end in CRLF")
        if mail.get_content_type() != "multipart/mixed":
            found.add("RSMFValidity", f"it is {mail.get_content_type()}")
            return
        boundary = mail.get_boundary()
        if "=_" not in boundary:
            found.add("RSMFValidity", f"base64 could hold the boundary {boundary}")
        if data.count(boundary.encode()) != len(list(mail.iter_parts())) + 2:
            found.add("RSMFValidity", "the boundary stands in a part")
        for name in ("From", "Subject", "Date", "Message-ID"):
            if len(mail.get_all(name, [])) != 1:
                found.add("HeadersMissing", name)
        try:
            if email.utils.parsedate_to_datetime(mail["Date"]).tzinfo is None:
                found.add("InvalidHeaderValue", f"Date {mail['Date']}")
        except (TypeError, ValueError):
            found.add("InvalidHeaderValue", f"Date {mail['Date']}")
        bodies = [part for part in mail.iter_parts() if part.get_content_disposition() != "attachment"]
        if [part.get_content_type() for part in bodies] != ["text/plain"] or not bodies[0].get_content().strip():
            found.add("MissingBody", [part.get_content_type() for part in bodies])

    @staticmethod
    def open_zip(mail, found):
        attached = [part for part in mail.walk() if part.get_content_disposition() == "attachment"]
        if [part.get_filename() for part in attached] != ["rsmf.zip"]:
            found.add("AccessZip", [part.get_filename() for part in attached])
            return None
        part = attached[0]
        if part["Content-Transfer-Encoding"] != "base64":
            found.add("AccessZip", part["Content-Transfer-Encoding"])
            return None
        try:
            packed = base64.b64decode("".join(part.get_payload().split()), validate=True)
            return zipfile.ZipFile(io.BytesIO(packed))
        except (ValueError, zipfile.BadZipFile) as error:
            found.add("ZipIntegrity", error)
            return None

    def check_headers(self, mail, manifest, found):
        """The headers that begin with X-RSMF-, against the manifest."""
        def only(name):
            values = mail.get_all(f"X-RSMF-{name}", [])
            if len(values) > 1:
                found.add("InvalidHeaderValue", f"{name} stands {len(values)} times")
            return str(values[0]).strip() if values else None

        version = only("Version")
        if version is None:
            found.add("HeadersMissing", "X-RSMF-Version")
        elif version != "2.0.0":
            found.add("HeaderVersion", version)
        elif version != manifest["version"]:
            found.add("HeaderVersionMismatch", version)
        if not only("Generator"):
            found.add("HeadersMissing", "X-RSMF-Generator")
        times = [time for event in manifest["events"] if (time := moment(event.get("timestamp", "")))]
        for name, due in (("BeginDate", min(times, default=None)), ("EndDate", max(times, default=None))):
            text = only(name)
            time = moment(text or "")
            if time is None or not time[1]:
                found.add("HeaderDateFormat", f"{name} {text}")
            elif due and time[0] != due[0]:
                found.add("HeaderDateMismatch", f"{name} {text}")
        attachments = sum(len(event.get("attachments", [])) for event in manifest["events"])
        for name, count in (("EventCount", len(manifest["events"])), ("AttachmentCount", attachments)):
            text = only(name)
            if text is None or not text.isdecimal():
                found.add(f"{name}Format", text)
            elif int(text) != count:
                found.add(f"{name}Mismatch", f"{text} instead of {count}")
        for name in ("Application", "Custodian"):
            text = only(name)
            if text is not None and (not text or not text.isascii()):
                found.add("InvalidHeaderValue", f"{name} {text!r}")
        people = only("Participants")
        if people is not None:
            shown = [participant.get("display") for participant in manifest["participants"]]
            if None in shown or sorted(name.strip() for name in people.split(",")) != sorted(shown):
                found.add("ParticipantsMismatch", people)
            if any(not name.isascii() or re.search(r'[,"<>=?\\]', name) for name in shown if name):
                found.add("ParticipantsMismatch", "a name that the header can't hold as it is")

    def check_manifest(self, manifest, sizes):
        """Problems of a manifest; `sizes` are those of the contents in the zip."""
        found = Found()
        for error in sorted(self.validator.iter_errors(manifest), key=str):
            found.add("ManifestSchemaViolation", f"{'/'.join(map(str, error.absolute_path))}: {error.message}")
        if found:
            return found
        if manifest["version"] != "2.0.0":
            found.add("ManifestVersion", manifest["version"])
        self.check_names(manifest, found)
        for kind in ("participants", "conversations", "events"):
            name = kind[:-1].capitalize()
            if not manifest[kind]:
                found.add(f"{name}ArrayEmpty", kind)
            if len(manifest[kind]) > LIMIT:
                found.add(f"{name}Count", len(manifest[kind]))
            ids = [item["id"] for item in manifest[kind] if "id" in item]
            if len(set(ids)) != len(ids):
                found.add("ManifestDuplicateId", f"{kind}: {sorted(id for id in set(ids) if ids.count(id) > 1)[:5]}")
        people = {participant["id"] for participant in manifest["participants"]}
        for participant in manifest["participants"]:
            address = participant.get("email")
            if address is not None and not ADDRESS.fullmatch(address):
                found.add("ManifestSchemaViolation", f"{address!r} is no address")
        for conversation in manifest["conversations"]:
            for member in conversation["participants"]:
                if member not in people:
                    found.add("InvalidConversationParticipant", member)
            custodian = conversation.get("custodian")
            if custodian is not None and custodian not in conversation["participants"]:
                found.add("InvalidConversationCustodian", custodian)
        self.check_events(manifest, people, found)
        self.check_zip_names(manifest, sizes, found)
        return found

    def check_names(self, manifest, found):
        """Nothing that the schema does not know, and no empty pair."""
        def known(kind, item):
            for name in item.keys() - self.known[kind]:
                found.add("UndefinedProperty", f"{kind}.{name}")
            for pair in item.get("custom", []):
                known("pair", pair)
                if not pair.get("name") or not pair.get("value"):
                    found.add("ManifestSchemaViolation", f"an empty pair in {kind}")

        known("manifest", manifest)
        for item in manifest["participants"]:
            known("participant", item)
        for item in manifest["conversations"]:
            known("conversation", item)
        for event in manifest["events"]:
            known("event", event)
            for kind, place in (("reaction", "reactions"), ("attachment", "attachments"), ("edit", "edits"),
                                ("receipt", "read_receipts")):
                for item in event.get(place, []):
                    known(kind, item)

    @staticmethod
    def check_zip_names(manifest, sizes, found):
        used = set()
        for event in manifest["events"]:
            for attachment in event.get("attachments", []):
                used.add(attachment["id"])
                if attachment["id"] not in sizes:
                    found.add("ZipAttachmentMissing", attachment["id"])
                elif attachment.get("size", sizes[attachment["id"]]) != sizes[attachment["id"]]:
                    found.add("ZipAttachmentMissing", f"{attachment['id']} is {sizes[attachment['id']]} bytes")
        avatars = {item[name] for kind, name in (("participants", "avatar"), ("conversations", "icon"))
                   for item in manifest[kind] if name in item}
        for name in avatars - set(sizes):
            found.add("ZipAvatarMissing", name)
        for name in set(sizes) - used - avatars:
            found.add("ZipUnreferencedFiles", name)

    @staticmethod
    def check_events(manifest, people, found):
        conversations = {conversation["id"]: conversation for conversation in manifest["conversations"]}
        own = {id: [] for id in conversations}
        by_id = {event["id"]: event for event in manifest["events"] if "id" in event}
        for event in manifest["events"]:
            name = event.get("id", event["type"])
            if event.get("conversation") not in conversations:
                found.add("OrphanedEvent", name)
                continue
            time = moment(event.get("timestamp", ""))
            if time is None:
                found.add("ManifestSchemaViolation", f"{name}: no time: {event.get('timestamp')}")
                continue
            if not time[1]:
                found.add("MissingTimeZoneOffset", name)
            own[event["conversation"]].append((time[0], event))
            acting = [event.get("participant")]
            acting += [id for reaction in event.get("reactions", []) for id in reaction.get("participants", [])]
            acting += [item["participant"] for place in ("edits", "read_receipts") for item in event.get(place, [])]
            for id in acting:
                if id not in people:
                    found.add("UndefinedParticipantId", f"{name}: {id}")
            if "parent" in event:
                parent = by_id.get(event["parent"])
                later = parent and (moment(parent.get("timestamp", "")) or time)[0] > time[0]
                if parent is None or parent is event or later or parent.get("conversation") != event["conversation"]:
                    found.add("ParentIdInvalid", f"{name}: {event['parent']}")
            for edit in event.get("edits", []):
                edited = moment(edit["timestamp"]) if "timestamp" in edit else None
                if edited and not edited[1]:
                    found.add("MissingTimeZoneOffset", f"{name}: an edit")
                if edited and edited[0] < time[0]:
                    found.add("EditBeforeEvent", f"{name}: {edit['timestamp']}")
            for receipt in event.get("read_receipts", []):
                if not receipt.get("timestamp") and not receipt.get("action"):
                    found.add("EmptyEventReceipt", name)
        for id, conversation in conversations.items():
            # Python's sort leaves what has one time as it stands in the file.
            events = sorted(own[id], key=lambda pair: pair[0])
            if conversation.get("type") == "direct":
                if not events:
                    found.add("OrphanedDirectConversation", id)
                if any(event["type"] in MEMBERS for _, event in events):
                    found.add("JoinLeaveInDirect", id)
            presence(conversation, events, found)


def presence(conversation, events, found):
    """Nobody acts who is not there: before their join, after their leave, or unlisted and without a join. A
    reaction has no time, so one who joins later may have given it."""
    listed = set(conversation["participants"])
    moves = {}
    for time, event in events:
        if event["type"] in MEMBERS:
            moves.setdefault(event.get("participant"), []).append((time, event["type"] == "join"))
    present, left = set(listed), set()
    for time, event in events:
        name, actor = event.get("id", event["type"]), event.get("participant")
        if event["type"] == "join":
            present.add(actor)
            left.discard(actor)
        elif actor is not None and actor not in present:
            found.add("ParticipantNotInConversation", f"{name}: {actor}")
        if event["type"] == "leave":
            present.discard(actor)
            left.add(actor)
        reacting = [id for reaction in event.get("reactions", []) for id in reaction.get("participants", [])]
        for item in event.get("edits", []) + event.get("read_receipts", []):
            at = moment(item["timestamp"])[0] if moment(item.get("timestamp", "")) else None
            if at is None:
                reacting.append(item["participant"])
                continue
            before = [is_join for when, is_join in moves.get(item["participant"], []) if when <= at]
            if not (before[-1] if before else item["participant"] in listed):
                found.add("EditorNotInConversation", f"{name}: {item['participant']}")
        for id in reacting:
            joins = any(is_join for _, is_join in moves.get(id, []))
            if id not in present and (id in left or not joins):
                found.add("ReactorNotInConversation", f"{name}: {id}")


def read_json(data, found):
    try:
        return json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        is_comma = re.search(rb",\s*[\]}]", data) is not None
        found.add("JSONTrailingCommas" if is_comma else "ManifestValidity", error)
        return None


def files_of(arguments):
    for argument in arguments:
        if not os.path.isdir(argument):
            yield argument
            continue
        for folder, _, names in sorted(os.walk(argument)):
            for name in sorted(names):
                if name.endswith(".rsmf"):
                    yield os.path.join(folder, name)


def whole(path, data, manifest):
    """What a file holds, for those who look for something in it."""
    mail = email.message_from_bytes(data, policy=email.policy.default)
    text, attached = list(mail.iter_parts())
    with zipfile.ZipFile(io.BytesIO(attached.get_payload(decode=True))) as archive:
        contents = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()
                    if name != "rsmf_manifest.json"}
    return {"file": path, "headers": {name: str(value) for name, value in mail.items()}, "text": text.get_content(),
            "manifest": manifest, "contents": contents}


def main(arguments):
    is_whole = arguments[:1] == ["--whole"]
    arguments = arguments[is_whole:]
    if len(arguments) < 2:
        sys.exit(__doc__)
    with open(arguments[0], encoding="utf-8") as file:
        checker = Checker(json.load(file))
    told = {"files": 0, "events": 0, "joins_added": 0, "attachments": 0, "types": {}, "problems": []}
    for path in files_of(arguments[1:]):
        with open(path, "rb") as file:
            data = file.read()
        found, manifest = checker.check(data)
        if is_whole and manifest:
            told.setdefault("read", []).append(whole(path, data, manifest))
        told["files"] += 1
        for event in manifest["events"] if manifest else []:
            told["events"] += 1
            told["attachments"] += len(event.get("attachments", []))
            told["types"][event["type"]] = told["types"].get(event["type"], 0) + 1
            told["joins_added"] += any(pair["name"] == "added_by_exporter" for pair in event.get("custom", []))
        told["problems"] += [{"file": path, "code": code, "what": what} for code, what in found]
    print(json.dumps(told))
    return 1 if told["problems"] or not told["files"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
