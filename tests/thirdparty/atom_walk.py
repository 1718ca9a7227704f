"""Walks archived feeds with feedparser, from the current document of each back to its first month.

    atom_walk.py FOLDER

Prints a line of JSON: for each feed its documents, newest first, and its entries.
"""

import json
import os
import sys

import feedparser

feeds = {}
for name in sorted(os.listdir(sys.argv[1])):
    folder = os.path.join(sys.argv[1], name)
    if not os.path.isdir(folder):
        continue
    document, documents, entries, later, title = "feed.atom", [], [], None, None
    while document:
        with open(os.path.join(folder, document), "rb") as file:
            parsed = feedparser.parse(file.read())
        assert not parsed.bozo, (name, document, parsed.bozo_exception)
        assert parsed.version == "atom10", (name, document, parsed.version)
        links = {link.rel: link.href for link in parsed.feed.links}
        assert links["self"] == document, (name, document, links)
        if documents:
            assert links.get("current") == "feed.atom", (name, document, links)
            assert links.get("next-archive") == (later if len(documents) > 1 else None), (name, document, links)
        documents.append(document)
        # As the conversation was called last.
        title = title or parsed.feed.title
        for entry in parsed.entries:
            entries.append({
                "id": entry.id,
                "title": entry.title,
                "text": entry.content[0].value if "content" in entry else "",
                "author": entry.author_detail.get("name"),
                "published": entry.get("published"),
                "updated": entry.updated,
                "enclosures": [link.href for link in entry.get("links", []) if link.rel == "enclosure"],
            })
        later, document = document, links.get("prev-archive")
    assert sorted(documents) == sorted(n for n in os.listdir(folder) if n.endswith(".atom")), (name, documents)
    feeds[name] = {"title": title, "documents": documents, "entries": entries}
print(json.dumps(feeds))
