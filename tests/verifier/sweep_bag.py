"""Changes bytes of every file of a bag, removes files and adds some; the bag's own verify.py must name each.

usage: sweep_bag.py BAG KEY N     N bytes of each file, spread over it; 0: every byte, of the checkers some
"""

import contextlib
import importlib.util
import io
import os
import sys

bag, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
spec = importlib.util.spec_from_file_location("verify", os.path.join(bag, "verify.py"))
verify = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verify)
sys.stdout.reconfigure(errors="backslashreplace")


def judged():
    said = io.StringIO()
    said.reconfigure = lambda **_: None
    with contextlib.redirect_stdout(said):
        code = verify.main(["--key", key, bag])
    return code, said.getvalue()


def named(path, what):
    code, said = judged()
    if code != 1 or not any(line.startswith("bad") and path in line for line in said.split("\n")):
        sys.exit("%s of %s was not named (exit %d):\n%s" % (what, path, code, said))


if judged()[0] != 0:
    sys.exit("the bag is not accepted as it is:\n" + judged()[1])
files = sorted(os.path.relpath(os.path.join(at, name), bag) for at, _, names in os.walk(bag) for name in names)
changes = 0
for path in files:
    place = os.path.join(bag, path)
    with open(place, "rb") as file:
        whole = file.read()
    wanted = 50 if count == 0 and path.startswith("verify.") else count
    some = {i * max(len(whole) - 1, 0) // max(wanted - 1, 1) for i in range(wanted)}
    spots = sorted(some) if wanted else range(len(whole))
    for spot in spots:
        if not whole:
            break
        with open(place, "r+b") as file:
            file.seek(spot)
            file.write(bytes([whole[spot] ^ (1 << spot % 8)]))
        # A hash that was changed in a manifest is seen at the file that it is of.
        named("" if "manifest" in path else path, "a change at byte %d" % spot)
        changes += 1
        with open(place, "wb") as file:
            file.write(whole)
    os.remove(place)
    named(path, "the removal")
    with open(place, "wb") as file:
        file.write(whole)
for added in ["data/added.txt", "added.txt", "proofs/added.note"]:
    with open(os.path.join(bag, added), "w") as file:
        file.write("x")
    named(added, "the addition")
    os.remove(os.path.join(bag, added))
if judged()[0] != 0:
    sys.exit("the bag is not accepted again")
print("%d files, %d bytes changed: every change was named" % (len(files), changes))
