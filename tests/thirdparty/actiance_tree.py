"""Reads the FileDumps below a folder and prints each as a tree, a JSON object a file.

    actiance_tree.py FOLDER
"""

import json
import os
import sys
import xml.etree.ElementTree as tree


def plain(element):
    children = [plain(child) for child in element]
    return [element.tag, dict(element.attrib), children if children else element.text or ""]


found = {}
for folder, _, names in os.walk(sys.argv[1]):
    for name in sorted(names):
        if name.endswith(".xml") and os.path.basename(folder) != "files":
            path = os.path.join(folder, name)
            found[os.path.relpath(path, sys.argv[1])] = plain(tree.parse(path).getroot())
print(json.dumps(found))
