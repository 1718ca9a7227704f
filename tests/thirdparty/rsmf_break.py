"""Breaks a good file of RSMF in many ways and sees `rsmf_check.py` say which.

usage: rsmf_break.py SCHEMA SAMPLES GOOD.rsmf

SAMPLES is the folder of the samples that the makers of the format publish. GOOD is a file of a channel with a
message that has an attachment, a reaction and an edit. Prints one JSON line, {"broken": N}, and exits 1 when
the checker says something else than it should, of the samples as well.
"""

import base64
import copy
import email
import io
import json
import os
import sys
import zipfile

from rsmf_check import Checker, Found, read_json


def codes(found):
    return {code for code, _ in found}


def inner_zip(data):
    mail = email.message_from_bytes(data)
    part = next(part for part in mail.walk() if part.get_filename() == "rsmf.zip")
    return zipfile.ZipFile(io.BytesIO(part.get_payload(decode=True)))


def samples(checker, folder):
    """What is wrong with the samples is known, and nothing else is."""
    def read(name):
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()

    first = read_json(read("Documentation_Sample1_rsmf_manifest.json"), Found())
    assert codes(checker.check_manifest(first, {})) == {"ManifestSchemaViolation"}, "a participant without an id"
    third, manifest = checker.check(read("Documentation_Sample3_sample.rsmf"))
    assert "AccessZip" in codes(third) and manifest is None, "it has a second attachment"
    archive = inner_zip(read("Documentation_Sample3_sample.rsmf"))
    third = read_json(archive.read("rsmf_manifest.json"), Found())
    found = codes(checker.check_manifest(third, {"AV1": archive.getinfo("AV1").file_size}))
    assert found == {"MissingTimeZoneOffset"}, found
    fourth = read_json(read("Documentation_Sample4_rsmf_manifest.json"), Found())
    assert codes(checker.check_manifest(fourth, {})) == {"ManifestSchemaViolation"}, "an id that is a number"
    # With what is wrong put right, the rest of it is as it should be, or named.
    fourth["participants"][0]["id"] = "1"
    found = codes(checker.check_manifest(fourth, {}))
    assert found == {"UndefinedProperty", "InvalidConversationParticipant", "MissingTimeZoneOffset",
                     "ParticipantNotInConversation"}, found


class Good:
    """The good file, and what is made of it."""

    def __init__(self, checker, path):
        self.checker = checker
        with open(path, "rb") as file:
            self.data = file.read()
        found, self.manifest = checker.check(self.data)
        assert found == [], found
        head, _, tail = self.data.rpartition(b'filename="rsmf.zip"\r\n\r\n')
        coded, mark, end = tail.partition(b"\r\n--=_")
        self.head, self.end = head + b'filename="rsmf.zip"\r\n\r\n', mark + end
        self.zip = zipfile.ZipFile(io.BytesIO(base64.b64decode(coded)))
        self.sizes = {info.filename: info.file_size for info in self.zip.infolist()
                      if info.filename != "rsmf_manifest.json"}
        self.broken = 0

    def expect(self, found, code):
        self.broken += 1
        assert code in codes(found), f"{code} is due: {found}"

    def breaks_manifest(self, code, change):
        manifest = copy.deepcopy(self.manifest)
        change(manifest)
        self.expect(self.checker.check_manifest(manifest, dict(self.sizes)), code)

    def breaks_mail(self, code, old, new):
        assert old in self.data, old
        self.expect(self.checker.check(self.data.replace(old, new, 1))[0], code)

    def breaks_zip(self, code, change):
        members = {info.filename: self.zip.read(info) for info in self.zip.infolist()}
        members = change(members)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        coded = base64.encodebytes(out.getvalue()).replace(b"\n", b"\r\n")
        self.expect(self.checker.check(self.head + coded + self.end)[0], code)


def break_manifests(good):
    def event_with(manifest, name):
        return next(event for event in manifest["events"] if event.get(name))

    def breaks(code, change):
        good.breaks_manifest(code, change)

    events = "events"
    breaks("ManifestSchemaViolation", lambda m: m["events"][0].update(custom=[{"name": "a", "value": ""}]))
    breaks("ManifestSchemaViolation", lambda m: m["events"][0].update(type="note"))
    breaks("ManifestSchemaViolation", lambda m: m["participants"][0].update(email="nobody"))
    breaks("ManifestSchemaViolation", lambda m: event_with(m, "edits")["edits"][0].pop("participant"))
    breaks("ManifestSchemaViolation", lambda m: m.pop(events))
    breaks("ManifestVersion", lambda m: m.update(version="1.0.0"))
    breaks("ManifestDuplicateId", lambda m: m["events"][1].update(id=m["events"][0]["id"]))
    breaks("UndefinedProperty", lambda m: m["events"][0].update(pinned=True))
    breaks("UndefinedProperty", lambda m: m["participants"][0].update(name="x"))
    breaks("ParticipantArrayEmpty", lambda m: m.update(participants=[]))
    breaks("ConversationArrayEmpty", lambda m: m.update(conversations=[]))
    breaks("EventArrayEmpty", lambda m: m.update(events=[]))
    breaks("EventCount", lambda m: m.update(events=m["events"] + [dict(m["events"][-1], id=f"x{n}") for n in range(10_000)]))
    breaks("ParticipantCount", lambda m: m["participants"].extend({"id": f"x{n}"} for n in range(10_000)))
    breaks("OrphanedEvent", lambda m: m["events"][0].update(conversation="none"))
    breaks("OrphanedDirectConversation",
           lambda m: m["conversations"].append({"id": "x", "platform": "x", "type": "direct", "participants": []}))
    breaks("JoinLeaveInDirect", lambda m: (m["conversations"][0].update(type="direct"), m["events"][0].update(type="join")))
    breaks("UndefinedParticipantId", lambda m: m["events"][0].update(participant="none"))
    breaks("InvalidConversationParticipant", lambda m: m["conversations"][0]["participants"].append("none"))
    breaks("InvalidConversationCustodian", lambda m: m["conversations"][0].update(custodian="none"))
    breaks("ParentIdInvalid", lambda m: m["events"][0].update(parent=m["events"][0]["id"]))
    breaks("ParentIdInvalid", lambda m: m["events"][0].update(parent=m["events"][-1]["id"]))
    breaks("ParentIdInvalid", lambda m: m["events"][0].update(parent="none"))
    breaks("MissingTimeZoneOffset", lambda m: m["events"][0].update(timestamp=m["events"][0]["timestamp"][:-6]))
    breaks("EditBeforeEvent", lambda m: event_with(m, "edits")["edits"][0].update(timestamp="2001-01-01T00:00:00Z"))
    breaks("ParticipantNotInConversation", lambda m: m["conversations"][0].update(participants=[]))
    breaks("ReactorNotInConversation", reactor_never_there)
    breaks("EditorNotInConversation", editor_left)
    breaks("ParticipantNotInConversation", actor_left)
    breaks("ZipAttachmentMissing", lambda m: event_with(m, "attachments")["attachments"][0].update(id="none"))
    breaks("ZipUnreferencedFiles", lambda m: event_with(m, "attachments").pop("attachments"))
    breaks("ZipAvatarMissing", lambda m: m["participants"][0].update(avatar="none.png"))


def reactor_never_there(manifest):
    manifest["participants"].append({"id": "none"})
    manifest["events"][0]["reactions"] = [{"value": "x", "participants": ["none"]}]


def leaves(manifest, actor, time):
    event = manifest["events"][-1]
    return dict(event, id="leaving", type="leave", participant=actor, timestamp=time, edits=[], reactions=[])


def editor_left(manifest):
    first = manifest["events"][0]
    actor = first["participant"]
    gone = leaves(manifest, actor, manifest["events"][-1]["timestamp"])
    first["edits"] = [{"participant": actor, "timestamp": "9999-01-01T00:00:00Z", "new": "x"}]
    manifest["events"].append(gone)


def actor_left(manifest):
    last = manifest["events"][-1]
    manifest["events"].insert(-1, leaves(manifest, last["participant"], last["timestamp"]))


def break_files(good):
    good.breaks_mail("HeadersMissing", b"X-RSMF-Version", b"X-Rsmf-Virsion")
    good.breaks_mail("HeaderVersion", b"X-RSMF-Version: 2.0.0", b"X-RSMF-Version: 3.0.0")
    good.breaks_mail("HeaderDateFormat", b"X-RSMF-BeginDate: ", b"X-RSMF-BeginDate: on ")
    good.breaks_mail("HeaderDateMismatch", b"X-RSMF-EndDate: 2", b"X-RSMF-EndDate: 3")
    good.breaks_mail("EventCountMismatch", b"X-RSMF-EventCount: ", b"X-RSMF-EventCount: 1")
    good.breaks_mail("EventCountFormat", b"X-RSMF-EventCount: ", b"X-RSMF-EventCount: x")
    good.breaks_mail("AttachmentCountFormat", b"X-RSMF-AttachmentCount: ", b"X-RSMF-AttachmentCount: x")
    good.breaks_mail("ParticipantsMismatch", b"X-RSMF-Version", b"X-RSMF-Participants: Nobody\r\nX-RSMF-Version")
    good.breaks_mail("InvalidHeaderValue", b"X-RSMF-Application: ", "X-RSMF-Application: ř".encode())
    good.breaks_mail("MissingBody", b"Content-Type: text/plain", b"Content-Type: text/html")
    good.breaks_mail("AccessZip", b'filename="rsmf.zip"', b'filename="other.zip"')
    good.breaks_mail("RSMFValidity", b"Content-Type: multipart/mixed", b"Content-Type: text/plain")
    good.breaks_mail("RSMFValidity", b"MIME-Version", b"no header at all\r\nMIME-Version")
    good.expect(good.checker.check(good.head + b"bm8gemlwIGF0IGFsbA==" + good.end)[0], "ZipIntegrity")
    good.expect(good.checker.check(good.head + b"no base64" + good.end)[0], "ZipIntegrity")
    manifest = "rsmf_manifest.json"
    good.breaks_zip("ZipMissingManifest", lambda files: {name: files[name] for name in files if name != manifest})
    good.breaks_zip("ZipMissingManifest", lambda files: {f"x/{name}": data for name, data in files.items()})
    good.breaks_zip("ZipUnreferencedFiles", lambda files: files | {"more.txt": b"x"})
    good.breaks_zip("ZipAttachmentMissing", lambda files: {manifest: files[manifest]})
    good.breaks_zip("ManifestValidity", lambda files: files | {manifest: files[manifest][:-1]})
    good.breaks_zip("JSONTrailingCommas", lambda files: files | {manifest: files[manifest][:-1] + b",}"})


def main(arguments):
    if len(arguments) != 3:
        sys.exit(__doc__)
    with open(arguments[0], encoding="utf-8") as file:
        checker = Checker(json.load(file))
    samples(checker, arguments[1])
    good = Good(checker, arguments[2])
    break_manifests(good)
    break_files(good)
    print(json.dumps({"broken": good.broken}))


if __name__ == "__main__":
    main(sys.argv[1:])
