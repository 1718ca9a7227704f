"""Changes every character that an exhibit shows of its records and holds verify.py to refusing each.

    sweep_exhibit.py VERIFY.py KEY EXHIBIT.html

Each character of a text that is bound to a record is replaced, doubled and left out, one at a time; so is each of the
attributes that say what was sent in its place; every element is bound to another record and said to be something else.
One line of JSON is printed: what was tried. A failure ends with status 1.
"""

import importlib.util
import json
import sys


def load(path):
    spec = importlib.util.spec_from_file_location("verify", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def changes(text):
    for at, c in enumerate(text):
        for other in ("X" if c != "X" else "Y", c + c, "", "\u200b" + c):
            yield text[:at] + other + text[at + 1 :]


def main(script, key_file, page):
    verify = load(script)
    with open(key_file, "rb") as file:
        key = verify.read_key(file.read())
    with open(page, "rb") as file:
        raw = file.read()
    _, records, wrong, _ = verify.check_exhibit(raw, key)
    assert not wrong, wrong
    root = verify.Page(raw.decode()).root
    names = {e.attributes["data-name-of"]: e.text() for e in root.all() if "data-name-of" in e.attributes}
    tried = 0

    def check(element):
        numbers = [element.attributes["data-record"], element.attributes.get("data-before")]
        opened = [records[number] for number in numbers if number is not None]
        verify.hold_against(element, opened[0], opened[1] if len(opened) > 1 else None, names)

    def refused(element, what):
        nonlocal tried
        tried += 1
        try:
            check(element)
        except (verify.Bad, KeyError, AttributeError):
            return
        raise AssertionError("accepted: %s in %r" % (what, element.text()[:200]))

    bound = [element for element in root.all() if "data-record" in element.attributes]
    kinds = {element.attributes["data-is"] for element in bound}
    assert {"text", "author", "value", "clock", "moment", "number", "sha256", "leaf", "content"} <= kinds, kinds
    for element in bound:
        check(element)
        for part in element.all():
            for place, child in enumerate(part.children):
                if isinstance(child, str):
                    for changed in changes(child):
                        part.children[place] = changed
                        refused(element, changed[:80])
                    part.children[place] = child
            for name in ("data-as", "data-code"):
                if name in part.attributes:
                    sent = part.attributes[name]
                    for changed in changes(sent):
                        part.attributes[name] = changed
                        refused(element, "%s=%r" % (name, changed))
                    part.attributes[name] = sent
            # Something more between what is shown, seen or not.
            for more in ("!", verify.Element("b", [("class", "mention")])):
                part.children.append(more)
                refused(element, more)
                part.children.pop()
        kind = element.attributes["data-is"]
        for other in sorted(kinds - {kind}) + ["nothing"]:
            element.attributes["data-is"] = other
            # A name without an id of its own is its id, and a value that is written as it was sent is a text, too.
            if not {kind, other} <= {"author", "value", "text"}:
                refused(element, other)
        element.attributes["data-is"] = kind
    print(json.dumps({"tried": tried, "bound": len(bound)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
