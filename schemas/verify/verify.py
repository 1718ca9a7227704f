#!/usr/bin/env python3
"""Checks what teamchat-archive hands out, without teamchat-archive.

usage: python3 verify.py [--key FILE] [--show] BAG|PROOF.tlog-proof ...

Needs Python 3.8 or newer and nothing else. Exit status 0: all that was named is good; 1: a line
beginning with "bad" names each file that is not, and why.

A proof says: this record is number N of a log that had SIZE records when the holder of KEY signed it.
It is checked in five steps, each a function below, so that you can read what you rely on:

 1. read_proof     the file is a C2SP tlog-proof, spelled in the one way in which it can be spelled
 2. read_opening   its extra line opens the record: header, body, attachments (a part may be withheld)
 3. leaf_entry     from those parts follows the entry of the log, and its hash (RFC 6962, SHA-256)
 4. root_of        from that hash and the audit path follows the root of the log's Merkle tree
 5. check_note     a checkpoint with that size and root is signed by the key (C2SP signed-note, Ed25519)

A bag (BagIt, RFC 8493) is a directory: each file must have the SHA-256 that its manifests list, and each
proof under proofs/ must hold.

The key is that of --key, else the file ledger.vkey beside the proof or in its bag. A key that came
together with the proof shows only that the two fit: compare its id with one you got another way.
"""

import argparse
import base64
import collections
import hashlib
import os
import re
import sys

MAX_BYTES = 128 << 20  # a proof holds one record; no record comes near it
NUMBER = r"(?:0|[1-9][0-9]{0,19})"

Key = collections.namedtuple("Key", "name id public")
# The parts of a record: (label, bytes), or (label, None) for one that is withheld.
Proved = collections.namedtuple("Proved", "origin size root index leaf archive kind parts key unknown")


class Bad(Exception):
    """Why something is not accepted."""


# --- Ed25519 (RFC 8032, section 5.1): verification only, and strict ---------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def point_add(a, b):
    """Sum of two points in extended coordinates (section 5.1.4)."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    return ((f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P)


def point_multiply(number, point):
    out = (0, 1, 1, 0)
    while number:
        if number & 1:
            out = point_add(out, point)
        point = point_add(point, point)
        number >>= 1
    return out


def point_equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point_decode(raw):
    """A point in its one encoding (section 5.1.3), and not one of the eight of small order."""
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        raise Bad("a point of the curve is not in its one encoding")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - square) % P or (x == 0 and sign):
        raise Bad("a point is not on the curve")
    if x & 1 != sign:
        x = P - x
    point = (x, y, 1, x * y % P)
    if point_equal(point_multiply(8, point), (0, 1, 1, 0)):
        raise Bad("a point of the curve is of small order")
    return point


BASE = point_decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_verify(public, message, signature):
    """Returns when the signature is good; otherwise raises Bad."""
    if len(public) != 32 or len(signature) != 64:
        raise Bad("a key or a signature is too short or too long")
    a, r = point_decode(public), point_decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        raise Bad("a signature's number is out of range")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    if not point_equal(point_multiply(s, BASE), point_add(r, point_multiply(k, a))):
        raise Bad("the signature does not match the text")


# --- Texts -------------------------------------------------------------------------------------------


def from_base64(text, what, length=None):
    """Standard base64 with padding, in its one spelling."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise Bad(what + " is not base64")
    if base64.b64encode(raw).decode() != text:
        raise Bad(what + " is base64 in another spelling than the usual one")
    if length is not None and len(raw) != length:
        raise Bad("%s is not %d bytes" % (what, length))
    return raw


def from_utf8(raw, what):
    try:
        return raw.decode("utf-8")
    except ValueError:
        raise Bad(what + " is not UTF-8")


def is_name(name):
    return name != "" and "+" not in name and not any(c.isspace() for c in name)


def read_key(raw):
    """A C2SP vkey: name+id+base64 of the algorithm's byte (1, Ed25519) and the public key."""
    text = from_utf8(raw, "the key")
    match = re.fullmatch(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)[\r\n]*", text)
    if not match or not is_name(match[1]):
        raise Bad("this is not a key of the form name+id+base64")
    coded = from_base64(match[3], "the key")
    if len(coded) != 33 or coded[0] != 1:
        raise Bad("this is not an Ed25519 key")
    point_decode(coded[1:])
    identity = hashlib.sha256(match[1].encode() + b"\n" + coded).digest()[:4]
    if identity.hex() != match[2]:
        raise Bad("the key's id does not match the key")
    return Key(match[1], identity, coded[1:])


def check_note(note, key):
    """Checks a C2SP signed note; returns its text, and who else signed it (not checked)."""
    if len(note) > 1000000 or any(c < " " and c != "\n" for c in note):
        raise Bad("the checkpoint is too long or holds a control character")
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise Bad("the checkpoint has no signatures")
    text += "\n"
    unknown, signed = [], False
    lines = signatures[:-1].split("\n")
    if len(lines) > 100:
        raise Bad("the checkpoint has too many signatures")
    for line in lines:
        match = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
        if not match or not is_name(match[1]):
            raise Bad("a line of the checkpoint is not a signature")
        raw = from_base64(match[2], "a signature")
        if len(raw) < 5:
            raise Bad("a signature is too short")
        if key is None or (match[1], raw[:4]) != (key.name, key.id):
            unknown.append("%s (key id %s)" % (match[1], raw[:4].hex()))
            continue
        ed25519_verify(key.public, text.encode(), raw[4:])
        signed = True
    if key is None:
        raise Bad(
            "no key was given, so anyone could have signed this; give the log's key with --key FILE"
            " (signed by %s)" % ", ".join(unknown)
        )
    if not signed:
        raise Bad("no signature is by the key %s+%s; it is signed by %s" % (key.name, key.id.hex(), ", ".join(unknown)))
    return text, unknown


def read_checkpoint(note):
    """Origin, size and root: the first three lines of the note's text."""
    lines = note.rpartition("\n\n")[0].split("\n")
    if len(lines) < 3 or lines[0] == "" or not re.fullmatch(NUMBER, lines[1]):
        raise Bad("the checkpoint does not say origin, size and root")
    return lines[0], int(lines[1]), from_base64(lines[2], "the root", 32)


def read_proof(raw):
    """A C2SP tlog-proof: extra line, index, path, and the checkpoint."""
    if len(raw) > MAX_BYTES:
        raise Bad("it is too long")
    head, blank, note = from_utf8(raw, "the proof").partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1" or not blank:
        raise Bad("this is not a C2SP tlog-proof")
    if len(lines) < 3 or not lines[1].startswith("extra "):
        raise Bad("the proof does not carry what opens the record")
    if not re.fullmatch("index " + NUMBER, lines[2]) or len(lines) > 3 + 64:
        raise Bad("the proof does not say the record's number, or its path is too long")
    path = [from_base64(line, "a hash of the path", 32) for line in lines[3:]]
    return from_base64(lines[1][6:], "the extra line"), int(lines[2][6:]), path, note


# --- The record and the tree -------------------------------------------------------------------------


def read_opening(raw):
    """The line of JSON that opens the record, in its one spelling: archive, kind, and the parts as
    (label, commitment, bytes); bytes are None for a part that is withheld."""
    bad = Bad("the extra line does not open a record")
    try:
        text = raw.decode("ascii")
    except ValueError:
        raise bad
    match = re.fullmatch(r'\{"archive":"([0-9a-f]{32})","kind":(0|[1-9][0-9]{0,2}),"parts":\[\{(.*)\}\]\}', text)
    if not match or int(match[2]) > 255:
        raise bad
    parts = []
    for place, part in enumerate(match[3].split("},{")):
        label = place if place < 2 else 14 + place  # 0 header, 1 body, 16 and up attachments
        shown = re.fullmatch('"label":%d,"salt":"([^"]*)","bytes":"([^"]*)"' % label, part)
        withheld = re.fullmatch('"label":%d,"commitment":"([^"]*)"' % label, part)
        if label > 255 or not (shown or withheld):
            raise bad
        if shown:
            salt, content = from_base64(shown[1], "a salt", 32), from_base64(shown[2], "a part")
            hashed = b"teamchat-archive/commit/v1\n" + bytes([label]) + salt + len(content).to_bytes(8, "big") + content
            parts.append((label, hashlib.sha256(hashed).digest(), content))
        else:
            parts.append((label, from_base64(withheld[1], "a commitment", 32), None))
    if len(parts) < 2:
        raise bad
    return bytes.fromhex(match[1]), int(match[2]), parts


def leaf_entry(archive, kind, parts):
    entry = b"teamchat-archive/leaf/v1\n" + archive + bytes([kind, len(parts)])
    return entry + b"".join(bytes([label]) + commitment for label, commitment, _ in parts)


def root_of(leaf, index, size, path):
    """The root to which an audit path leads (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        raise Bad("the record's number is not below the log's size")
    node, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise Bad("the path is too long for a log of that size")
        if node & 1 or node == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        node, last = node >> 1, last >> 1
    if last:
        raise Bad("the path is too short for a log of that size")
    return found


def check_proof(raw, key):
    """Checks a proof with a Key (None: it is refused in the end, since nothing is proved without)."""
    extra, index, path, note = read_proof(raw)
    archive, kind, parts = read_opening(extra)
    leaf = hashlib.sha256(b"\x00" + leaf_entry(archive, kind, parts)).digest()
    origin, size, root = read_checkpoint(note)
    if root_of(leaf, index, size, path) != root:
        raise Bad("the record, its number and the path do not lead to the root of the checkpoint")
    _, unknown = check_note(note, key)
    if origin != key.name:
        raise Bad("the key is of the log %s, the checkpoint of the log %s" % (key.name, origin))
    shown = [(label, content) for label, _, content in parts]
    return Proved(origin, size, root, index, leaf, archive, kind, shown, key, unknown)


# --- Bags --------------------------------------------------------------------------------------------


def digest_of(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            found.update(piece)
    return found.hexdigest()


def files_below(folder, problems):
    """Paths of all files of a bag, with slashes. A link could lead out of it and is refused."""
    found = set()
    failed = lambda error: problems.append((error.filename, "it can't be listed"))
    for at, folders, files in os.walk(folder, onerror=failed):
        for name in folders + files:
            path = os.path.join(at, name)
            if os.path.islink(path):
                problems.append((path, "it is a link, and no file of the bag"))
            elif name in files and not os.path.isfile(path):
                problems.append((path, "it is no regular file"))
            elif name in files:
                found.add(os.path.relpath(path, folder).replace(os.sep, "/"))
    return found


def read_manifest(path):
    """SHA-256 by path of a manifest (RFC 8493, section 2.1.3)."""
    with open(path, "rb") as file:
        text = from_utf8(file.read(), "the manifest")
    listed = {}
    for line in filter(None, re.split("\r\n|\n|\r", text)):
        match = re.fullmatch(r"([0-9a-fA-F]{64})[ \t]+(.+)", line)
        if not match:
            raise Bad("a line is not a SHA-256 and a path: %r" % line[:200])
        # Only these three are escaped in a manifest.
        name = re.sub("%(0[aAdD]|25)", lambda code: chr(int(code[1], 16)), match[2])
        if name.startswith(("/", "~")) or "\\" in name or ".." in name.split("/"):
            raise Bad("it names a file outside the bag: %r" % name)
        if name in listed:
            raise Bad("it names a file twice: %r" % name)
        listed[name] = match[1].lower()
    return listed


def check_bag(bag):
    """Problems as (path, why); the proofs in it; SHA-256 by path of what is under data/."""
    problems, payload = [], {}
    present = files_below(bag, problems)
    for name in ("bagit.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"):
        place = os.path.join(bag, name)
        if name not in present:
            if not name.startswith("tag"):
                problems.append((place, "it is missing, so this is no bag that can be checked"))
            continue
        try:
            if name == "bagit.txt":
                with open(place, "rb") as file:
                    if not re.match(rb"BagIt-Version: [0-9.]+\r?\nTag-File-Character-Encoding: UTF-8\r?\n?$", file.read(1000)):
                        raise Bad("it does not say the version of BagIt and UTF-8")
                continue
            listed = read_manifest(place)
        except (Bad, OSError) as error:
            problems.append((place, str(error)))
            continue
        if name.startswith("tag"):
            listed_wrongly = [path for path in listed if path.startswith("data/")]
        else:
            payload = listed
            listed_wrongly = [path for path in listed if not path.startswith("data/")]
            for path in sorted(path for path in present if path.startswith("data/") and path not in listed):
                problems.append((os.path.join(bag, path), "it is not listed in " + name))
        for path in listed_wrongly:
            problems.append((os.path.join(bag, path), "it does not belong in " + name))
        for path, digest in sorted(listed.items()):
            full = os.path.join(bag, *path.split("/"))
            try:
                if path not in present:
                    raise Bad("it is listed in %s and missing" % name)
                if digest_of(full) != digest:
                    raise Bad("its SHA-256 is not the one listed in " + name)
            except (Bad, OSError) as error:
                problems.append((full, str(error)))
    proofs = sorted(path for path in present if path.startswith("proofs/") and path.endswith(".tlog-proof"))
    if not proofs:
        problems.append((bag, "there is no proof in it, so nothing in it is proved"))
    return problems, [os.path.join(bag, *path.split("/")) for path in proofs], payload


# --- What is said ------------------------------------------------------------------------------------


def say(text, indent=""):
    """Prints one line, with what a terminal would obey (a line break, too) shown as what it is: no record
    and no file name can write a line that looks like one of ours."""
    obeyed = r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
    print(indent + re.sub(obeyed, lambda match: "[U+%04X]" % ord(match[0]), text))


def find_key(path):
    """The key that came with a proof: ledger.vkey beside it, or in the bag whose proofs/ it is in."""
    folder = os.path.dirname(os.path.abspath(path))
    folders = [folder]
    if os.path.basename(folder) == "proofs":
        folders.append(os.path.dirname(folder))
    return next((p for p in (os.path.join(f, "ledger.vkey") for f in folders) if os.path.isfile(p)), None)


def read_file(path):
    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def part_name(label):
    return {0: "header", 1: "body"}.get(label, "attachment %d" % (label - 15))


def tell(path, proved, show, payload):
    """Says what a good proof proves; returns the files of the bag that are proved with it."""
    say("good  " + path)
    key = "%s+%s" % (proved.key.name, proved.key.id.hex())
    say("record %d of the %d in the log %s, signed by %s" % (proved.index, proved.size, proved.origin, key), "      ")
    withheld = [part_name(label) for label, content in proved.parts if content is None]
    if withheld:
        say("withheld: %s (it is there and unchanged, and not shown)" % ", ".join(withheld), "      ")
    if proved.unknown:
        say("also signed, which was not checked: " + ", ".join(proved.unknown), "      ")
    files = set()
    for label, content in proved.parts:
        if content is None:
            continue
        # An attachment's part is the SHA-256 of the file.
        digest = content.decode("ascii", "replace") if label >= 16 else hashlib.sha256(content).hexdigest()
        for name in sorted(name for name, listed in payload.items() if label > 0 and listed == digest):
            files.add(name)
            say("%s: the file %s" % (part_name(label), name), "      ")
        if show:
            say("%s, %d bytes:" % (part_name(label), len(content)), "      ")
            for line in content.decode("utf-8", "backslashreplace").split("\n"):
                say(line, "      | ")
    return files


PROVED = """
Proved, for each file called good: the record is in that log, byte for byte, at that number, as it was when
the holder of that key signed the log at that size; none of it was changed since.
Not proved by this: that what the record says is true; that the log holds all there was; when it was signed;
that others were shown the same log (compare the checkpoint with a copy kept elsewhere); whose key it is."""


def main(arguments):
    parser = argparse.ArgumentParser(
        usage="python3 verify.py [--key FILE] [--show] BAG|PROOF.tlog-proof ...",
        description="Checks what teamchat-archive hands out, without teamchat-archive.",
    )
    parser.add_argument("--key", metavar="FILE", help="the log's key (ledger.vkey), from a source you trust")
    parser.add_argument("--show", action="store_true", help="print what was proved: header, body, attachments")
    parser.add_argument("paths", metavar="BAG|PROOF", nargs="+", help="a .tlog-proof file, or the directory of a bag")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")
    failures, good, beside = 0, 0, {}

    def bad(path, why):
        nonlocal failures
        failures += 1
        say("bad   %s: %s" % (path, why))

    given = None
    if options.key:
        try:
            given = read_key(read_file(options.key))
        except (Bad, OSError) as error:
            bad(options.key, error)
            return 1
    for path in options.paths:
        proofs, payload = [path], {}
        if os.path.isdir(path):
            problems, proofs, payload = check_bag(path)
            for where, why in problems:
                bad(where, why)
            if payload and not problems:
                say("good  %s: the %d files under data/ are as its maker listed them" % (path, len(payload)))
        proved_files = set()
        for proof in proofs:
            try:
                key, source = given, None
                if key is None:
                    source = find_key(proof)
                    key = read_key(read_file(source)) if source else None
                proved = check_proof(read_file(proof), key)
            except (Bad, OSError) as error:
                bad(proof, error)
                continue
            good += 1
            if source:
                beside[source] = key
            proved_files |= tell(proof, proved, options.show, payload)
        if payload:
            counts = (len(proved_files), len(payload))
            say("%d of the %d files under data/ are proved; for the others there is only the word of the bag." % counts)
    if good:
        print(PROVED)
    for source, key in sorted(beside.items()):
        say("The key came with what it is to prove (%s): whoever made the one can have made the other." % source)
        say("Compare its id, %s, with one that you got another way, or give the key with --key FILE." % key.id.hex())
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
