"""Reads a channel's Atom feed with feedparser.

usage: feedparser_read.py BASE_URL TOKEN [CHANNEL]

Fetches channels.atom.history of the channel named, else of each that channels.list
shows, and the same messages from channels.history. Prints one JSON line:

    {"count": N, "enclosures": N, "channels": {ID: COUNT}}

Exits 1 when feedparser flags a feed (bozo), when a feed is not Atom or lacks what
RFC 4287 demands, or when feed and history hold different messages. Only reading
methods are called.
"""

import json
import socket
import sys
import urllib.parse
import urllib.request

import feedparser

COUNT = 1000
# feedparser takes no time limit of its own.
socket.setdefaulttimeout(30)


class Disagreement(Exception):
    """What the server said contradicts itself."""


def address(base, method, **arguments):
    return f"{base}{method}?{urllib.parse.urlencode(arguments)}"


def ask(base, method, **arguments):
    with urllib.request.urlopen(address(base, method, **arguments)) as reply:
        body = json.load(reply)
    if body.get("ok") is not True:
        raise Disagreement(f"{method} answers {body.get('error')}")
    return body


def read_feed(base, token, channel):
    """Returns the time stamps of a channel's feed (the end of each entry's id) and its enclosures."""
    feed = feedparser.parse(
        address(base, "channels.atom.history", token=token, channel=channel, count=COUNT)
    )
    if feed.bozo:
        raise Disagreement(f"{channel}: feedparser says {feed.get('bozo_exception')!r}")
    if feed.get("status") != 200 or feed.version != "atom10":
        raise Disagreement(f"{channel}: status {feed.get('status')}, version {feed.version!r}")
    media_type = feed.headers.get("content-type", "").partition(";")[0].strip()
    if media_type != "application/atom+xml":
        raise Disagreement(f"{channel}: served as {media_type!r}")
    for name in ("id", "title", "updated_parsed"):
        if not feed.feed.get(name):
            raise Disagreement(f"{channel}: the feed has no {name}")
    stamps = []
    enclosures = 0
    for entry in feed.entries:
        for name in ("id", "updated_parsed", "published_parsed"):
            if not entry.get(name):
                raise Disagreement(f"{channel}: entry {entry.get('id')} has no {name}")
        if "title" not in entry:
            raise Disagreement(f"{channel}: entry {entry.id} has no title")
        if not entry.get("author") and not feed.feed.get("author"):
            raise Disagreement(f"{channel}: entry {entry.id} has no author")
        stamps.append(entry.id.rpartition(":")[2])
        enclosures += len(entry.get("enclosures", []))
    return stamps, enclosures


def main(base, token, only=None):
    listed = ask(base, "channels.list", token=token)["channels"]
    channels = [only] if only else [channel["id"] for channel in listed]
    if not channels:
        raise Disagreement("channels.list shows no channel")
    counts = {}
    enclosures = 0
    for channel in channels:
        stamps, with_file = read_feed(base, token, channel)
        if len(set(stamps)) != len(stamps):
            raise Disagreement(f"{channel}: two entries have one id")
        history = ask(base, "channels.history", token=token, channel=channel, count=COUNT)
        told = {message["ts"] for message in history["messages"]}
        if set(stamps) != told:
            raise Disagreement(
                f"{channel}: only in the feed {sorted(set(stamps) - told)}, "
                f"only in history {sorted(told - set(stamps))}"
            )
        counts[channel] = len(stamps)
        enclosures += with_file
    count = sum(counts.values())
    print(json.dumps({"count": count, "enclosures": enclosures, "channels": counts}))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (Disagreement, OSError) as error:
        sys.exit(f"feedparser_read: {error}")
