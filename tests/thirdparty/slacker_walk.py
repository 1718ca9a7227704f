"""Walks channels to their end with slacker, a client that nobody here wrote.

usage: slacker_walk.py BASE_URL TOKEN [CHANNEL]

Each channel (all that channels.list shows, or the one named) is walked backward
twice, with small pages and with large ones: the next page is asked for with the
time stamp of the last message seen, until has_more is false. Prints one JSON line:

    {"count": N, "distinct": N, "pages": N, "channels": {ID: COUNT}}

Exits 1 when a page is out of order, a message comes twice, a page with has_more
is empty, or the two walks disagree. Only reading methods are called.
"""

import json
import sys

import slacker

SMALL_PAGE = 20
LARGE_PAGE = 1000


class Disagreement(Exception):
    """What the server said contradicts itself."""


def order(ts):
    """Sorts a time stamp by its two whole numbers: a float would round it."""
    seconds, counter = ts.split(".")
    return int(seconds), int(counter)


def walk(client, channel, page_size):
    """Returns all time stamps of a channel, newest first, and the number of pages."""
    seen = []
    pages = 0
    latest = None
    while True:
        body = client.channels.history(channel, latest=latest, count=page_size).body
        pages += 1
        page = [message["ts"] for message in body["messages"]]
        if len(page) > page_size:
            raise Disagreement(f"{channel}: {len(page)} messages on a page of {page_size}")
        seen.extend(page)
        if not body["has_more"]:
            break
        if not page:
            raise Disagreement(f"{channel}: an empty page says has_more after {latest}")
        latest = page[-1]
    for newer, older in zip(seen, seen[1:]):
        if order(newer) <= order(older):
            raise Disagreement(f"{channel}: {older} comes after {newer}")
    return seen, pages


def main(base, token, only=None):
    slacker.get_api_url = lambda method: base + method
    client = slacker.Slacker(token)
    channels = [only] if only else [c["id"] for c in client.channels.list().body["channels"]]
    if not channels:
        raise Disagreement("channels.list shows no channel")
    counts = {}
    distinct = 0
    pages = 0
    for channel in channels:
        small, small_pages = walk(client, channel, SMALL_PAGE)
        large, _ = walk(client, channel, LARGE_PAGE)
        if small != large:
            raise Disagreement(
                f"{channel}: {len(small)} messages in pages of {SMALL_PAGE}, "
                f"{len(large)} in pages of {LARGE_PAGE}"
            )
        counts[channel] = len(small)
        distinct += len(set(small))
        pages += small_pages
    count = sum(counts.values())
    if count != distinct:
        raise Disagreement(f"{count} messages, but {distinct} time stamps")
    print(json.dumps({"count": count, "distinct": distinct, "pages": pages, "channels": counts}))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (Disagreement, slacker.Error) as error:
        sys.exit(f"slacker_walk: {error}")
