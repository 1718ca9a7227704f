#!/usr/bin/env python3
"""Checks what teamchat-archive hands out, without teamchat-archive.

usage: python3 verify.py [--key FILE] [--show] BAG|PROOF.tlog-proof|EXHIBIT.html ...

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
proof under proofs/ must hold. The records of a set that was exported are proved all at once: its file
proofs/records.tlog-set.gz is the log's tree from left to right, each record of the set opened as a leaf, and one
hash where records are not in the set. From it follows the root of proofs/checkpoint.note (check_set). Where the set
has data/records.txt or data/records.jsonl, the records in it must be those that were opened (Copies).

An exhibit is a page that shows messages, with a proof of each record in it. Every text, time, author and hash that
it shows of a record must follow from the bytes that the proof opens (check_exhibit). What stands around them, such as
the names of people and conversations, is the word of whoever made the page.

The key is that of --key, else the file ledger.vkey beside the proof or in its bag, else the one in the exhibit. A key
that came together with the proof shows only that the two fit: compare its id with one you got another way.
"""

import argparse
import base64
import collections
import datetime
import gzip
import hashlib
import hmac
import html.parser
import json
import os
import re
import sys
import zlib

MAX_BYTES = 128 << 20  # a proof holds one record; no record comes near it
SET = "teamchat-archive/set-proof/v1"
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
    return check_leaf(raw, key, None)


def check_leaf(raw, key, checked):
    """The same; `checked`: who else signed its checkpoint, where that was found good already."""
    extra, index, path, note = read_proof(raw)
    archive, kind, parts = read_opening(extra)
    leaf = hashlib.sha256(b"\x00" + leaf_entry(archive, kind, parts)).digest()
    origin, size, root = read_checkpoint(note)
    if root_of(leaf, index, size, path) != root:
        raise Bad("the record, its number and the path do not lead to the root of the checkpoint")
    unknown = check_note(note, key)[1] if checked is None else checked
    if origin != key.name:
        raise Bad("the key is of the log %s, the checkpoint of the log %s" % (key.name, origin))
    shown = [(label, content) for label, _, content in parts]
    return Proved(origin, size, root, index, leaf, archive, kind, shown, key, unknown)


def commitment_of(record_key, label, content):
    """The commitment to one part of a record, from the record's key."""
    salt = hmac.new(record_key, bytes([label]), hashlib.sha256).digest()
    hashed = b"teamchat-archive/commit/v1\n" + bytes([label]) + salt + len(content).to_bytes(8, "big") + content
    return hashlib.sha256(hashed).digest()


def open_record(file, words, line):
    """A leaf that is opened whole: kind, and the parts as (label, commitment, bytes)."""
    if len(words) != 6 or not all(re.fullmatch(NUMBER, word) for word in [words[1], words[2], words[4], words[5]]):
        raise Bad("line %d does not open a record" % line)
    kind, header_bytes, body_bytes = int(words[2]), int(words[4]), int(words[5])
    if kind > 255 or header_bytes + body_bytes > MAX_BYTES:
        raise Bad("line %d opens a record that is too large" % line)
    record_key = from_base64(words[3], "a record's key", 32)
    header, first, body, second = file.read(header_bytes), file.read(1), file.read(body_bytes), file.read(1)
    if (len(header), first, len(body), second) != (header_bytes, b"\n", body_bytes, b"\n"):
        raise Bad("the record that line %d opens is cut off" % line)
    try:
        named = json.loads(header.decode("utf-8")).get("attachments", [])
    except (ValueError, AttributeError):
        raise Bad("the header of the record that line %d opens is not JSON" % line)
    # What is not a SHA-256 is no part of a leaf.
    named = [name.encode() for name in named if isinstance(name, str) and re.fullmatch("[0-9a-f]{64}", name)]
    if len(named) > 240:
        raise Bad("the record that line %d opens names too many attachments" % line)
    contents = [(0, header), (1, body)] + [(16 + place, name) for place, name in enumerate(named)]
    return kind, [(label, commitment_of(record_key, label, content), content) for label, content in contents]


def check_set(path, note, key, each):
    """Checks a set's proof; calls each(index, kind, parts) for every record in it. Returns origin, size, how many
    records it holds, and who else signed the checkpoint."""
    origin, size, root = read_checkpoint(note)
    _, unknown = check_note(note, key)
    if origin != key.name:
        raise Bad("the key is of the log %s, the checkpoint of the log %s" % (key.name, origin))
    subtrees, at, held, line = [], 0, 0, 0

    def put(level, found):
        nonlocal at
        if level > 63 or at % (1 << level) or at + (1 << level) > size:
            raise Bad("line %d does not stand at a place of its tree" % line)
        at += 1 << level
        while subtrees and subtrees[-1][0] == level:
            found = hashlib.sha256(b"\x01" + subtrees.pop()[1] + found).digest()
            level += 1
        subtrees.append((level, found))

    try:
        with gzip.open(path, "rb") as file:
            def next_line():
                nonlocal line
                line += 1
                raw = file.readline(MAX_BYTES)
                if not raw.endswith(b"\n"):
                    raise Bad("it is cut off at line %d" % line)
                return from_utf8(raw[:-1], "a line")

            head = [next_line() for _ in range(5)]
            archive = re.fullmatch("archive ([0-9a-f]{32})", head[2])
            if head[0] != SET or head[1] != "origin " + origin or not archive or head[3:] != ["size %d" % size, ""]:
                raise Bad("it does not begin as the proof of a set of that log and size")
            archive = bytes.fromhex(archive[1])
            while True:
                text = next_line()
                words = text.split(" ")
                if text == "end":
                    break
                if words[0] == "node" and len(words) == 3 and re.fullmatch(NUMBER, words[1]):
                    put(int(words[1]), from_base64(words[2], "a hash of the tree", 32))
                    continue
                if words[0] == "open":
                    kind, parts = open_record(file, words, line)
                elif words[0] == "shut" and len(words) == 3:
                    of, kind, parts = read_opening(words[2].encode())
                    if of != archive:
                        raise Bad("line %d is of another archive" % line)
                else:
                    raise Bad("line %d is neither a record nor a hash" % line)
                if words[1] != str(at):
                    raise Bad("line %d is of record %s, where record %d stands" % (line, words[1], at))
                put(0, hashlib.sha256(b"\x00" + leaf_entry(archive, kind, parts)).digest())
                each(at - 1, kind, parts)
                held += 1
            if file.read(1):
                raise Bad("something follows its end")
    except (EOFError, OSError, zlib.error) as error:
        raise Bad("it can't be read: %s" % error)
    if at != size:
        raise Bad("it ends at record %d of %d" % (at, size))
    found = subtrees.pop()[1] if subtrees else hashlib.sha256().digest()
    while subtrees:
        found = hashlib.sha256(b"\x01" + subtrees.pop()[1] + found).digest()
    if found != root:
        raise Bad("its records and hashes do not lead to the root of the checkpoint")
    return origin, size, held, unknown


def check_consistency(raw, note, key):
    """Checks that the log of a checkpoint goes on from an older one (RFC 9162, section 2.1.4.2); returns the older
    size and root."""
    head, blank, again = from_utf8(raw, "the proof").partition("\n\n")
    lines = head.split("\n")
    if not blank or again != note:
        raise Bad("it is not of the checkpoint of this set")
    if len(lines) < 2 or not re.fullmatch("old " + NUMBER, lines[0]) or not lines[1].startswith("old root "):
        raise Bad("it does not say the older size and root")
    old, old_root = int(lines[0][4:]), from_base64(lines[1][9:], "the older root", 32)
    path = [from_base64(text, "a hash of the path", 32) for text in lines[2:]]
    _, new, new_root = read_checkpoint(note)
    if not 0 < old < new:
        raise Bad("the older log is not smaller")
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise Bad("the path is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise Bad("the path is too long")
        if node & 1 or node == last:
            first = hashlib.sha256(b"\x01" + sibling + first).digest()
            second = hashlib.sha256(b"\x01" + sibling + second).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = hashlib.sha256(b"\x01" + second + sibling).digest()
        node, last = node >> 1, last >> 1
    if last or (first, second) != (old_root, new_root):
        raise Bad("the path does not lead from the older root to that of the checkpoint")
    return old, old_root


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
    # What teamchat-archive exported lists every file, in one spelling.
    is_set = any(path.endswith(".tlog-set.gz") for path in present)
    for name in ("bagit.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"):
        place = os.path.join(bag, name)
        if name not in present:
            if is_set or not name.startswith("tag"):
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
            if is_set:
                with open(place, "rb") as file:
                    if file.read() != "".join("%s  %s\n" % (digest, path) for path, digest in listed.items()).encode():
                        problems.append((place, "it is not spelled as its maker spells it"))
                for path in sorted(path for path in present if not path.startswith("data/")):
                    if path not in listed and path != name:
                        problems.append((os.path.join(bag, path), "it is not listed in " + name))
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
    kinds = (".tlog-proof", ".tlog-set.gz")
    proofs = sorted(path for path in present if path.startswith("proofs/") and path.endswith(kinds))
    if not proofs:
        problems.append((bag, "there is no proof in it, so nothing in it is proved"))
    return problems, [os.path.join(bag, *path.split("/")) for path in proofs], payload


# --- Exhibits ----------------------------------------------------------------------------------------

# What is shown of a record: its header and body as JSON, the body as text, hashes.
Opened = collections.namedtuple("Opened", "proved header body text digest content")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
ODD = "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
HIDDEN_IN_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f%s]" % ODD)
HIDDEN_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f%s]" % ODD)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Element:
    """An element of a page: its name, attributes, and what is in it, elements and texts."""

    def __init__(self, name, attributes):
        self.name, self.attributes, self.children = name, dict(attributes), []

    def text(self):
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)

    def all(self):
        """It and all elements in it."""
        open_ones = [self]
        while open_ones:
            element = open_ones.pop()
            yield element
            open_ones.extend(child for child in reversed(element.children) if isinstance(child, Element))

    def has(self, name):
        return name in (self.attributes.get("class") or "").split()


class Page(html.parser.HTMLParser):
    """Reads the pages that teamchat-archive makes: every element is closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.root = Element("", [])
        self.open = [self.root]
        self.feed(text.replace("\r\n", "\n").replace("\r", "\n"))
        self.close()
        if len(self.open) != 1:
            raise Bad("it is cut off: <%s> is not closed" % self.open[-1].name)

    def handle_starttag(self, name, attributes):
        element = Element(name, attributes)
        self.open[-1].children.append(element)
        if name not in VOID:
            self.open.append(element)

    def handle_endtag(self, name):
        if self.open[-1].name != name:
            raise Bad("it is not a page that teamchat-archive made: </%s> closes nothing" % name)
        self.open.pop()

    def handle_data(self, text):
        self.open[-1].children.append(text)

    def handle_comment(self, text):
        raise Bad("it is not a page that teamchat-archive made: it holds a comment")


def code_of(c):
    return "U+%04X" % ord(c)


def plain(text):
    return HIDDEN_IN_NAMES.sub(lambda match: "[%s]" % code_of(match[0]), text)


def decoded(text):
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def mended(text):
    """Half a pair of surrogates is no character."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def json_of(raw):
    """JSON as the archive reads it: what is not UTF-8 is replaced, and what is no JSON is nothing."""
    try:
        return json.loads(raw.decode("utf-8", "replace"))
    except ValueError:
        return None


def at(value, place):
    """What stands at a place of a JSON value: names and numbers with slashes between."""
    for name in place.split("/"):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and re.fullmatch(NUMBER, name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def token_text(kind, written, names):
    """What a token of the server's markup is shown as."""
    if kind == "mention":
        token = re.fullmatch(r"<([@#!])([^|<>\n]*)(?:\|([^<>\n]*))?>", written)
        if not token:
            return None
        name = names.get(token[2])
        if name is None:
            name = plain(token[2] if token[3] is None else token[3])
        return ("#" if token[1] == "#" else "@") + name
    if kind == "link":
        token = re.fullmatch(r"<([^|<>\n]*)(?:\|([^<>\n]*))?>", written)
        target = decoded(token[1] if token else written)
        label = decoded(token[2] or "") if token else ""
        return "%s (%s)" % (label, target) if label and label != target else target
    block = re.fullmatch("(?s)```\n*(.*?)\n*```", written) or re.fullmatch("`([^`\n]+)`", written)
    return decoded(block[1]) if kind == "code" and block else None


def follow(element, sent, without, names):
    """Goes through what an element shows and through the text that was sent, both to their ends. `without` is left
    out: <del> for how it read after a change, <ins> for how it read before."""
    bad = Bad("what is shown is not what was sent")
    place = 0

    def take(written):
        nonlocal place
        if not sent.startswith(written, place):
            raise bad
        place += len(written)

    def walk(node):
        if isinstance(node, str):
            if HIDDEN_IN_TEXT.search(node):
                raise bad
            for c in node:
                if c == "\n" and sent.startswith("\r\n", place):
                    take("\r\n")
                else:
                    entity = ENTITIES.get(c)
                    take(entity if entity and sent.startswith(entity, place) else c)
        elif node.name in ("ins", "del"):
            if node.name != without:
                for child in node.children:
                    walk(child)
        elif any(not isinstance(child, str) for child in node.children):
            # What stands for a token, or for a character that is not seen, is nothing but its text.
            raise bad
        elif node.attributes.get("class") == "control":
            code = node.attributes.get("data-code") or ""
            if not re.fullmatch(NUMBER, code) or int(code) > 0x10FFFF or node.text() != code_of(chr(int(code))):
                raise bad
            take(chr(int(code)))
        else:
            written = node.attributes.get("data-as") or ""
            if not written or node.text() != token_text(node.attributes.get("class"), written, names):
                raise bad
            take(written)

    for child in element.children:
        walk(child)
    if place != len(sent):
        raise bad


def seconds_of(value):
    """A moment that was sent: RFC 3339, a time stamp of the server, or seconds since 1970; in whole seconds."""
    if isinstance(value, (int, float)):
        return int(value // 1)
    stamp = re.fullmatch(r"([0-9]{1,10})(?:\.[0-9]{6})?", value if isinstance(value, str) else "")
    if stamp:
        return int(stamp[1])
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", value or "")
    return moment(match[1] + match[2].replace("Z", "+00:00"), "%Y-%m-%dT%H:%M:%S%z") if match else None


def moment(text, form):
    try:
        return int(datetime.datetime.strptime(text, form).timestamp())
    except (ValueError, OverflowError):
        return None


def is_moment(shown, value):
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{2}:[0-9]{2}", shown):
        return False
    found = moment(shown, "%Y-%m-%d %H:%M:%S %z")
    return found is not None and found == seconds_of(value)


def hold_against(element, record, before, names):
    """Holds one element against its record."""
    kind, place = element.attributes.get("data-is"), element.attributes.get("data-from") or ""
    shown = element.text()

    def sent(of):
        text = of.text if place == "" else at(of.body, place)
        if not isinstance(text, str):
            raise Bad("what is shown was not sent")
        return mended(text)

    def one(value):
        is_one = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        return plain(mended(str(value))) if is_one else None

    if kind == "text":
        follow(element, sent(record), "del", names)
        if before:
            follow(element, sent(before), "ins", names)
        return
    body = record.body if isinstance(record.body, dict) else {}
    author = body.get("user") or body.get("username")
    wanted = {
        "author": lambda: names.get(author) if author in names else one(author),
        "value": lambda: one(at(record.body, place)),
        "noted": lambda: one(at(record.header, place)),
        "moment": lambda: shown if is_moment(shown, at(record.body, place)) else None,
        "clock": lambda: shown if is_moment(shown, at(record.header, place)) else None,
        "number": lambda: str(record.proved.index),
        "sha256": lambda: record.digest,
        "leaf": lambda: record.proved.leaf.hex(),
        "content": lambda: record.content,
    }
    if kind not in wanted:
        raise Bad("it is not said what is shown")
    if any(isinstance(child, Element) for child in element.children):
        raise Bad("what is shown is not what was sent")
    if shown != wanted[kind]():
        raise Bad("what is shown is not what was sent")


def open_proofs(root, key):
    """The records of an exhibit by number; what is wrong with a proof stands in place of its record. A checkpoint
    that several have is checked once."""
    records, notes = {}, {}
    for element in root.all():
        if element.name != "pre" or not element.has("proof"):
            continue
        number = element.attributes.get("data-proof") or ""
        try:
            raw = element.text().encode()
            note = read_proof(raw)[3]
            if note not in notes:
                notes[note] = check_note(note, key)[1]
            proved = check_leaf(raw, key, notes[note])
            if str(proved.index) != number or number in records:
                raise Bad("its number is not the one under which it stands")
            header, body, content = (dict(proved.parts).get(label) for label in (0, 1, 16))
            records[number] = Opened(
                proved,
                header and json_of(header),
                body and json_of(body),
                body and body.decode("utf-8", "replace"),
                body and hashlib.sha256(body).hexdigest(),
                content and content.decode("ascii", "replace"),
            )
        except Bad as error:
            records[number] = error
    return records


def is_numbered(reading):
    """Whether a reading of an exhibit is bound to its record: its number is."""
    bound = (element.attributes for element in reading.all() if "data-record" in element.attributes)
    return any(attributes.get("data-is") == "number" for attributes in bound)


def check_exhibit(raw, key):
    """Checks an exhibit; returns its records, what is wrong as (record, why), and how many texts and readings in it
    are bound to no record."""
    root = Page(from_utf8(raw, "the exhibit")).root
    if key is None:
        embedded = [element.text() for element in root.all() if element.attributes.get("id") == "key"]
        if len(embedded) != 1:
            raise Bad("no key was given, and there is none in it; give the log's key with --key FILE")
        key = read_key(embedded[0].encode())
    named = [element for element in root.all() if "data-name-of" in element.attributes]
    names = {element.attributes["data-name-of"]: element.text() for element in named}
    records = open_proofs(root, key)
    wrong = [(number, str(record)) for number, record in records.items() if isinstance(record, Bad)]
    unbound = 0
    for element in root.all():
        if element.has("records"):
            unbound += sum(1 for reading in element.children if isinstance(reading, Element) and not is_numbered(reading))
        number = element.attributes.get("data-record")
        if number is None:
            unbound += element.has("said")
            continue
        numbers = [number, element.attributes.get("data-before")]
        numbers = [one for one in numbers if one is not None]
        missing = [one for one in numbers if one not in records]
        if missing:
            wrong.append((number, "record %s has no proof in this file" % missing[0]))
            continue
        opened = [records[one] for one in numbers]
        if any(isinstance(one, Bad) for one in opened):
            continue
        try:
            hold_against(element, opened[0], opened[1] if len(opened) > 1 else None, names)
        except Bad as error:
            wrong.append((number, "%s: %r" % (error, element.text()[:200])))
    return key, records, wrong, unbound


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


class Copies:
    """The files of a set that hold its records as they are archived, held against the records that its proof opens:
    data/records.txt (the format native) as they come, data/records.jsonl when all are known."""

    def __init__(self, bag, payload):
        self.bag, self.native, self.count = bag, None, 0
        self.contents = {name: digest for name, digest in payload.items() if name.startswith("data/contents/")}
        # SHA-256, cut short, of each record by its number.
        self.opened, self.found = {}, set()
        self.lines = [name for name in payload if name.endswith("/records.jsonl")]
        if "data/records.txt" in payload:
            self.native = open(os.path.join(bag, "data", "records.txt"), "rb")
            self.expect(b"teamchat-archive/native/v1\n\n", "its beginning")

    def names(self):
        return sorted(self.lines + ["data/records.txt"] * bool(self.native))

    def expect(self, wanted, what):
        if self.native.read(len(wanted)) != wanted:
            raise Bad("data/records.txt: %s is not what is proved" % what)

    def take(self, index, parts):
        """A record that the proof opens, whole or in part."""
        if any(content is None for _, _, content in parts):
            return
        (_, _, header), (_, _, body) = parts[:2]
        if self.lines:
            self.opened[index] = self.mark(header, body)
        if self.native:
            what = "record %d" % index
            self.expect(b"%d " % index, what)
            if self.native.read(1) not in (b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"):
                raise Bad("data/records.txt: the change of record %d is none" % index)
            self.expect(b" %d %s\n%s\n" % (len(body), header, body), what)
            content = self.contents.pop("data/contents/%d" % index, None)
            if content and content.encode() not in [part for label, _, part in parts if label >= 16]:
                raise Bad("data/contents/%d is not what record %d names" % (index, index))
            self.count += 1

    @staticmethod
    def mark(header, body):
        try:
            spelled = json.dumps(json.loads(header), sort_keys=True).encode()
        except ValueError:
            raise Bad("the header of a record is not JSON")
        return hashlib.sha256(b"%d\n%s%s" % (len(spelled), spelled, body)).digest()[:16]

    def is_proved(self, raw):
        line = json.loads(raw.decode("utf-8"))
        if "record" not in line:
            return "manifest" in line or "complete" in line
        self.found.add(line["record"])
        if "withheld" in line or "closed" in line:
            return line["record"] not in self.opened
        body = line["body"].encode() if "body" in line else base64.b64decode(line["body_base64"])
        return self.opened.get(line["record"]) == self.mark(json.dumps(line["header"]), body)

    def end(self):
        if self.native:
            with self.native as file:
                self.expect(b"end %d\n" % self.count, "its end")
                if file.read(1):
                    raise Bad("data/records.txt: something follows its end")
            for name in self.contents:
                raise Bad("%s is the content of no record that is proved" % name)
        for name in self.lines:
            with open(os.path.join(self.bag, *name.split("/")), "rb") as file:
                for number, raw in enumerate(file, 1):
                    try:
                        is_good = self.is_proved(raw)
                    except (ValueError, KeyError, TypeError, AttributeError):
                        is_good = False
                    if not is_good:
                        raise Bad("%s: line %d is not a record as it is proved" % (name, number))
        for index in self.opened:
            if index not in self.found:
                raise Bad("%s: record %d is proved and not in it" % (self.lines[0], index))


def tell_set(path, key, show, payload):
    """Checks a set's proof and says what it proves; returns the files of the bag that are proved with it."""
    files, withheld, by_digest = set(), 0, collections.defaultdict(list)
    for name, digest in payload.items():
        by_digest[digest].append(name)

    def each(index, kind, parts):
        nonlocal withheld
        withheld += any(content is None for _, _, content in parts)
        copies.take(index, parts)
        for label, _, content in parts:
            if content is None:
                continue
            if label:
                digest = content.decode("ascii", "replace") if label >= 16 else hashlib.sha256(content).hexdigest()
                files.update(by_digest.get(digest, ()))

    def tell_all(index, kind, parts):
        for label, _, content in parts:
            if content is not None:
                say("record %d, %s, %d bytes:" % (index, part_name(label), len(content)), "      ")
                for line in content.decode("utf-8", "backslashreplace").split("\n"):
                    say(line, "      | ")

    folder = os.path.dirname(path)
    custody = os.path.join(os.path.dirname(folder), "CUSTODY.json")
    copies = Copies(os.path.dirname(folder), payload)
    note = from_utf8(read_file(os.path.join(folder, "checkpoint.note")), "the checkpoint")
    origin, size, held, unknown = check_set(path, note, key, each)
    copies.end()
    if os.path.isfile(custody):
        try:
            said = json.loads(read_file(custody).decode("utf-8"))["checkpoint"]
            if said["note"] != note or said["size"] != size:
                raise Bad("CUSTODY.json names another checkpoint than the one that is proved")
        except (ValueError, KeyError, TypeError):
            raise Bad("CUSTODY.json does not say which checkpoint the set is of")
    say("good  " + path)
    if show:
        # Nothing is shown before all of it is proved.
        check_set(path, note, key, tell_all)
    name = "%s+%s" % (key.name, key.id.hex())
    say("%d of the %d records in the log %s, signed by %s" % (held, size, origin, name), "      ")
    if copies.names():
        say("they, and no others, are the records in " + ", ".join(copies.names()), "      ")
        files.update(copies.names())
    if withheld:
        say("of %d of them a part is withheld (it is there and unchanged, and not shown)" % withheld, "      ")
    if unknown:
        say("also signed, which was not checked: " + ", ".join(unknown), "      ")
    before = os.path.join(folder, "consistency.txt")
    if os.path.isfile(before):
        old, old_root = check_consistency(read_file(before), note, key)
        say("good  " + before)
        say("the log goes on from its first %d records, whose root is %s" % (old, old_root.hex()), "      ")
    return files


def tell_exhibit(path, key, show):
    """Checks an exhibit and says what it proves; returns the key that it was checked with."""
    key, records, wrong, unbound = check_exhibit(read_file(path), key)
    for number, why in wrong:
        say("bad   %s: record %s: %s" % (path, number, why))
    if wrong:
        raise Bad("it is not as it was made")
    if not records:
        raise Bad(
            "there is no proof in it, so nothing in it is proved, and nothing disproved: its records were newer than the"
            " newest checkpoint, or the proofs were taken out. An exhibit file made after the next checkpoint has them."
        )
    say(("part  " if unbound else "good  ") + path)
    proved = [record.proved for record in records.values()]
    name = "%s+%s" % (key.name, key.id.hex())
    sizes = sorted({record.size for record in proved})
    text = "%d of the %s records in the log %s, signed by %s"
    say(text % (len(proved), " and ".join(map(str, sizes)), proved[0].origin, name), "      ")
    say("every text, time, id and hash that it shows of them is what was archived", "      ")
    say("no proof covers names of people, headings, remarks, and how many messages are left out between", "      ")
    if unbound:
        say("NOT proved: %d texts or readings in it have no proof; whoever held the file can have changed them" % unbound, "      ")
    unknown = sorted({signer for record in proved for signer in record.unknown})
    if unknown:
        say("also signed, which was not checked: " + ", ".join(unknown), "      ")
    for record in proved if show else ():
        for label, content in record.parts:
            if content is not None:
                say("record %d, %s, %d bytes:" % (record.index, part_name(label), len(content)), "      ")
                for line in content.decode("utf-8", "backslashreplace").split("\n"):
                    say(line, "      | ")
    return key


PROVED = """
Proved, for each file called good, and for what has a proof in one called part: the record is in that log, byte
for byte, at that number, as it was when the holder of that key signed the log at that size; none of it was
changed since.
Not proved by this: that what the record says is true; that the log holds all there was; when it was signed;
that others were shown the same log (compare the checkpoint with a copy kept elsewhere); whose key it is."""


def main(arguments):
    parser = argparse.ArgumentParser(
        usage="python3 verify.py [--key FILE] [--show] BAG|PROOF.tlog-proof|EXHIBIT.html ...",
        description="Checks what teamchat-archive hands out, without teamchat-archive.",
    )
    parser.add_argument("--key", metavar="FILE", help="the log's key (ledger.vkey), from a source you trust")
    parser.add_argument("--show", action="store_true", help="print what was proved: header, body, attachments")
    what = "a .tlog-proof file, an exhibit (.html), or the directory of a bag"
    parser.add_argument("paths", metavar="BAG|PROOF|EXHIBIT", nargs="+", help=what)
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
                tags = os.path.join(path, "tagmanifest-sha256.txt")
                if os.path.isfile(tags):
                    say("SHA-256 of its tag manifest, to compare with what its maker wrote down: " + digest_of(tags), "      ")
        proved_files = set()
        for proof in proofs:
            try:
                key, source = given, None
                if key is None:
                    source = find_key(proof)
                    key = read_key(read_file(source)) if source else None
                proved = None
                if proof.endswith(".html"):
                    key, source = tell_exhibit(proof, key, options.show), source or (None if key else proof)
                elif proof.endswith(".tlog-set.gz"):
                    proved_files |= tell_set(proof, key, options.show, payload)
                else:
                    proved = check_proof(read_file(proof), key)
            except (Bad, OSError) as error:
                bad(proof, error)
                continue
            good += 1
            if source:
                beside[source] = key
            if proved:
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
