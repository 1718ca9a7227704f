"""Walks channels to their end with slacker, a client that nobody here wrote.

usage: slacker_walk.py BASE_URL TOKEN [CHANNEL]

Each channel (all that channels.list shows, or the one named) is walked backward
twice, with small pages and with large ones: the next page is asked for with the
time stamp of the last message seen, until has_more is false. Then search.all is asked for the word that most of the
messages seen have, page after page. Prints one JSON line:

    {"count": N, "distinct": N, "pages": N, "channels": {ID: COUNT},
     "search": {"word": W, "messages": N, "files": N, "pages": N, "marked": N}}

Exits 1 when a page is out of order, a message comes twice, a page with has_more
is empty, the two walks disagree, or search misses a plain message that has the
word or counts otherwise than its pages. Only reading methods are called.
"""

import json
import re
import sys

import slacker

SMALL_PAGE = 20
LARGE_PAGE = 1000
SEARCH_PAGE = 7
WORD = re.compile(r"[a-z]{6,}")
MARKUP = re.compile(r"<[^>]*>|`[^`]*`")
PUNCTUATION = ".,;!?()\""
MARK_BEGIN, MARK_END = "\ue000", "\ue001"


class Disagreement(Exception):
    """What the server said contradicts itself."""


def order(ts):
    """Sorts a time stamp by its two whole numbers: a float would round it."""
    seconds, counter = ts.split(".")
    return int(seconds), int(counter)


def words_of(message):
    """Returns the plain words of a message's text: what stands between blanks, mark-up left out."""
    words = MARKUP.sub(" ", message.get("text", "").lower()).split()
    return {word for word in (w.strip(PUNCTUATION) for w in words) if WORD.fullmatch(word)}


def search(client, holders):
    """Searches for the word that most messages have, in all of them; `holders`: word to time stamps."""
    word = min(holders, key=lambda word: (-len(holders[word]), word))
    found = []
    page = 1
    marked = 0
    while True:
        body = client.search.all(
            word, sort="timestamp", sort_dir="desc", highlight=1, count=SEARCH_PAGE, page=page
        ).body
        block = body["messages"]
        if body["query"] != word or block["paging"]["page"] != page:
            raise Disagreement(f"asked for page {page} of {word!r}, got {body['query']!r} {block['paging']}")
        if not block["matches"]:
            break
        if len(block["matches"]) > SEARCH_PAGE:
            raise Disagreement(f"{len(block['matches'])} matches on a page of {SEARCH_PAGE}")
        for match in block["matches"]:
            text = match.get("text", "")
            if text.count(MARK_BEGIN) != text.count(MARK_END):
                raise Disagreement(f"a mark of {match['ts']} is not closed: {text!r}")
            marked += MARK_BEGIN in text
        found.extend(match["ts"] for match in block["matches"])
        page += 1
    if len(found) != block["total"]:
        raise Disagreement(f"{block['total']} messages have {word!r}, the pages {len(found)}")
    if [order(ts) for ts in found] != sorted(map(order, found), reverse=True):
        raise Disagreement(f"search for {word!r} by time is not in the order of time")
    missed = sorted(holders[word] - set(found))
    if missed:
        raise Disagreement(f"search for {word!r} misses {missed}")
    alone = client.search.messages(word, count=1).body["messages"]["total"]
    if alone != block["total"]:
        raise Disagreement(f"search.messages counts {alone} messages, search.all {block['total']}")
    files = client.search.files(word, count=1).body["files"]["total"]
    if files != body["files"]["total"]:
        raise Disagreement(f"search.files counts {files} files, search.all {body['files']['total']}")
    return {
        "word": word, "messages": len(found), "files": files, "pages": page - 1, "marked": marked
    }


def walk(client, channel, page_size, holders):
    """Returns all time stamps of a channel, newest first, and the number of pages. `holders` is told
    which plain messages have which word."""
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
        for message in body["messages"]:
            if "subtype" not in message:
                for word in words_of(message):
                    holders.setdefault(word, set()).add(message["ts"])
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
    holders = {}
    for channel in channels:
        small, small_pages = walk(client, channel, SMALL_PAGE, holders)
        large, _ = walk(client, channel, LARGE_PAGE, holders)
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
    if not holders:
        raise Disagreement("no message has a word to search for")
    print(json.dumps({
        "count": count,
        "distinct": distinct,
        "pages": pages,
        "channels": counts,
        "search": search(client, holders),
    }))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (Disagreement, slacker.Error) as error:
        sys.exit(f"slacker_walk: {error}")
