"""Opens a zip with PyPI's pyzipper: each entry must be AES-256, refuse a wrong password and open with the right one.

usage: zip_read.py ZIP PASSWORD-FILE FOLDER
"""

import sys

import pyzipper

with open(sys.argv[2], "rb") as file:
    password = file.read().rstrip(b"\n")
with pyzipper.AESZipFile(sys.argv[1]) as packed:
    for entry in packed.infolist():
        if not entry.flag_bits & 1 or getattr(entry, "wz_aes_strength", None) != 3:
            sys.exit("%s is not encrypted with AES-256" % entry.filename)
    first = packed.infolist()[0].filename
    try:
        packed.read(first, pwd=b"wrong")
        sys.exit("it opens with any password")
    except RuntimeError:
        pass
    packed.extractall(sys.argv[3], pwd=password)
print("%d entries, AES-256" % len(packed.infolist()))
