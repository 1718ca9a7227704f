"""Changes every byte of proofs and holds verify.py to refusing each.

    sweep.py VERIFY.py KEY PROOF...

Each byte is flipped in several ways, doubled, and left out; the file is cut short everywhere. Whatever
still is accepted must prove exactly the same: that can only be in lines of signers whose key is unknown,
whose count is printed. One line of JSON is printed: what was tried. A failure ends with status 1.
"""

import base64
import importlib.util
import json
import sys

FLIPS = (0x01, 0x20, 0x80)


def load(path):
    spec = importlib.util.spec_from_file_location("verify", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def changes(raw):
    for at in range(len(raw)):
        for flip in FLIPS:
            yield raw[:at] + bytes([raw[at] ^ flip]) + raw[at + 1 :]
        yield raw[:at] + raw[at + 1 :]
        yield raw[:at] + raw[at : at + 1] + raw[at:]
        yield raw[:at]
    yield raw + b"\n"
    yield raw + b" "
    yield b"\xef\xbb\xbf" + raw
    yield raw.replace(b"\n", b"\r\n")


def malleable(verify, raw):
    """The same proof with the order of the group added to the signature's number."""
    head, _, line = raw.rstrip(b"\n").rpartition(b" ")
    signature = base64.b64decode(line)
    number = int.from_bytes(signature[-32:], "little") + verify.L
    return head + b" " + base64.b64encode(signature[:-32] + number.to_bytes(32, "little")) + b"\n"


def small_order_key(name):
    """A key of order 1, for which a signature of any text can be made."""
    import hashlib

    coded = b"\x01" + (1).to_bytes(32, "little")
    identity = hashlib.sha256(name.encode() + b"\n" + coded).hexdigest()[:8]
    return ("%s+%s+%s" % (name, identity, base64.b64encode(coded).decode())).encode()


def main(script, key_file, *proofs):
    verify = load(script)
    with open(key_file, "rb") as file:
        key = verify.read_key(file.read())
    tried = same = 0
    for path in proofs:
        with open(path, "rb") as file:
            raw = file.read()
        truth = verify.check_proof(raw, key)
        for changed in changes(raw):
            if changed == raw:
                continue
            tried += 1
            try:
                found = verify.check_proof(changed, key)
            except verify.Bad:
                continue
            assert found._replace(unknown=None) == truth._replace(unknown=None), (path, changed)
            assert truth.unknown, "%s: accepted: %r" % (path, changed)
            same += 1
        if not truth.unknown:
            try:
                verify.check_proof(malleable(verify, raw), key)
            except verify.Bad as error:
                assert "range" in str(error), error
            else:
                raise AssertionError("a signature was accepted in a second form")
    try:
        verify.read_key(small_order_key(key.name))
    except verify.Bad as error:
        assert "order" in str(error), error
    else:
        raise AssertionError("a key of small order was accepted")
    print(json.dumps({"tried": tried, "same": same}))


if __name__ == "__main__":
    main(*sys.argv[1:])
