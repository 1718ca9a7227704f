"""Renders the zip of a Slack export with slack-export-viewer, and says what its pages show.

    slack_view.py ZIP OUTPUT [WORD ...]

Prints a line of JSON: for each page how many messages it shows and the addresses of its attachments, and for
each word on how many pages it stands.
"""

import contextlib
import html
import json
import os
import re
import sys

from slackviewer.main import main

archive, output, words = sys.argv[1], sys.argv[2], sys.argv[3:]
with contextlib.redirect_stdout(sys.stderr):
    main(["-z", archive, "--html-only", "--show-dms", "--no-browser", "-o", output], standalone_mode=False)

pages, counts = {}, dict.fromkeys(words, 0)
for kind in ["channel", "group", "dm", "mpim"]:
    folder = os.path.join(output, kind)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name, "index.html"), encoding="utf-8") as page:
            text = page.read()
        links = re.findall(r'<div class="message-upload">\s*<div class="link-title"><a href="([^"]*)"', text)
        pages[f"{kind}/{name}"] = {
            "messages": text.count('<div class="message-container'),
            "attachments": [html.unescape(link) for link in links],
        }
        shown = html.unescape(text)
        for word in words:
            counts[word] += word in shown
print(json.dumps({"pages": pages, "words": counts}))
