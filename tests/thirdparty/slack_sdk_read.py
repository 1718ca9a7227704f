"""Reads the history of a channel and searches it with slack_sdk.

usage: slack_sdk_read.py BASE_URL TOKEN [CHANNEL]

The channel is the one named, else the first of channels.list that has a message
to search for. The word searched for is taken from the channel's own history, so
the history says which messages a search must find. Prints one JSON line:

    {"channel": ID, "history": N, "has_more": BOOL, "ids": [TS, ...],
     "word": W, "expected": [TS, ...], "found": N, "found_ids": [TS, ...], "files": N,
     "pages": N, "marked": N}

Exits 1 when search misses a message of the history that has the word, when its
totals disagree with what its pages hold, when search.all and search.messages
disagree, when pages overlap or are out of the order asked for, or when marks of
hits stand around something else than the word. Only reading methods are called.
"""

import json
import re
import sys
from collections import Counter

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

HISTORY_COUNT = 1000
SEARCH_COUNT = 20
# So few that most searches take several pages.
FEW = 3
# What stands before and after a hit, by the reference.
MARKS = re.compile("\ue000([^\ue000\ue001]*)\ue001")
# Long enough to be no stop word of any analyzer, and plain enough to be one token in each.
WORD = re.compile(r"[a-z]{6,}")
MARKUP = re.compile(r"<[^>]*>|`[^`]*`")
PUNCTUATION = ".,;!?()\""


class Disagreement(Exception):
    """What the server said contradicts itself."""


def words_of(message):
    """Returns the plain words of a message's text: what stands between blanks, mark-up left out."""
    words = MARKUP.sub(" ", message.get("text", "").lower()).split()
    return {word for word in (w.strip(PUNCTUATION) for w in words) if WORD.fullmatch(word)}


def choose_word(messages):
    """Returns the word most messages have (of equals, the first by the alphabet), or None."""
    holders = Counter(
        word for message in messages if "subtype" not in message for word in words_of(message)
    )
    return min(holders, key=lambda word: (-holders[word], word), default=None)


def search_to_the_end(client, channel, word):
    """Returns all matches of search.messages, page after page, held against its totals."""
    matches = []
    page = 1
    while True:
        block = client.search_messages(
            query=word, channel=channel, count=SEARCH_COUNT, page=page
        )["messages"]
        if block["paging"]["page"] != page:
            raise Disagreement(f"asked for page {page}, got page {block['paging']['page']}")
        if block["total"] != block["paging"]["total"]:
            raise Disagreement(f"total {block['total']}, paging says {block['paging']['total']}")
        if block["total"] != block["pagination"]["total_count"]:
            raise Disagreement(f"total {block['total']}, pagination says otherwise")
        matches.extend(block["matches"])
        if len(matches) >= block["total"] or not block["matches"]:
            break
        page += 1
    if len(matches) != block["total"]:
        raise Disagreement(f"total {block['total']}, but {len(matches)} matches on all pages")
    return matches


def search_in_order(client, channel, word, direction):
    """Returns the time stamps of all matches by time, in small pages, and the number of pages."""
    stamps = []
    page = 1
    while True:
        block = client.search_messages(
            query=word, channel=channel, count=FEW, page=page, sort="timestamp", sort_dir=direction
        )["messages"]
        if len(block["matches"]) > FEW:
            raise Disagreement(f"{len(block['matches'])} matches on a page of {FEW}")
        pages = -(-block["total"] // FEW)
        if block["paging"]["pages"] != pages or block["pagination"]["page_count"] != pages:
            raise Disagreement(f"{block['total']} matches are {pages} pages of {FEW}: {block['paging']}")
        if not block["matches"]:
            break
        first = (page - 1) * FEW + 1
        if block["pagination"]["first"] != first:
            raise Disagreement(f"page {page} begins with match {block['pagination']['first']}")
        if block["pagination"]["last"] != first + len(block["matches"]) - 1:
            raise Disagreement(f"page {page} ends with match {block['pagination']['last']}")
        stamps.extend(match["ts"] for match in block["matches"])
        page += 1
    if page - 1 != pages:
        raise Disagreement(f"{page - 1} pages have matches, {pages} are told")
    return stamps, pages


def search_with_marks(client, channel, word, texts):
    """Returns how many texts are marked; without its marks, each reads as in `texts`."""
    marked = 0
    arguments = {"query": word, "channel": channel, "count": HISTORY_COUNT}
    plain = client.search_messages(**arguments)["messages"]["matches"]
    highlit = client.search_messages(**arguments, highlight=True)["messages"]["matches"]
    if [match["ts"] for match in plain] != [match["ts"] for match in highlit]:
        raise Disagreement("a search with marks finds other messages than one without")
    for match in plain:
        if MARKS.search(match.get("text", "")):
            raise Disagreement(f"{match['ts']} has marks that nobody asked for")
    for match in highlit:
        if match["ts"] not in texts:
            continue
        inside = MARKS.findall(match["text"])
        if not inside or any(hit.lower() != word for hit in inside):
            raise Disagreement(f"{match['ts']}: {inside} is marked for {word!r}")
        if MARKS.sub(r"\1", match["text"]) != texts[match["ts"]]:
            raise Disagreement(f"{match['ts']} reads otherwise with marks")
        marked += 1
    return marked


def main(base, token, only=None):
    client = WebClient(token, base_url=base)
    identity = client.auth_test()["user_id"]
    if client.users_identity()["user"]["id"] != identity:
        raise Disagreement("auth.test and users.identity name different users")
    channels = [only] if only else [c["id"] for c in client.api_call("channels.list")["channels"]]
    for channel in channels:
        history = client.channels_history(channel=channel, count=HISTORY_COUNT)
        word = choose_word(history["messages"])
        if word:
            break
    else:
        raise Disagreement("no channel has a word to search for")

    # Whether a search finds what a share message or a comment says is for the server to
    # choose; a plain message that has the word must be found.
    plain = [m for m in history["messages"] if "subtype" not in m]
    expected = [m["ts"] for m in plain if word in words_of(m)]
    matches = search_to_the_end(client, channel, word)
    found = [match["ts"] for match in matches]
    missed = sorted(set(expected) - set(found))
    if missed:
        raise Disagreement(f"search for {word!r} misses {missed}")
    if len(set(found)) != len(found):
        raise Disagreement(f"search for {word!r} gives a message twice")
    by_ts = {m["ts"]: m for m in plain}
    for match in matches:
        if match["ts"] in by_ts and match["text"] != by_ts[match["ts"]]["text"]:
            raise Disagreement(f"search and history differ in the text of {match['ts']}")
    everything = client.search_all(query=word, channel=channel, count=SEARCH_COUNT)
    if everything["messages"]["total"] != len(found):
        raise Disagreement(
            f"search.all counts {everything['messages']['total']} messages, "
            f"search.messages {len(found)}"
        )
    oldest_first, pages = search_in_order(client, channel, word, "asc")
    newest_first, _ = search_in_order(client, channel, word, "desc")
    order = sorted(found, key=lambda ts: tuple(map(int, ts.split("."))))
    if oldest_first != order or newest_first != order[::-1]:
        raise Disagreement(f"search for {word!r} by time is not in the order of time")
    marked = search_with_marks(client, channel, word, {ts: by_ts[ts]["text"] for ts in expected})
    files = client.search_files(query=word, channel=channel, count=SEARCH_COUNT)["files"]
    if everything["files"]["total"] != files["total"]:
        raise Disagreement("search.all and search.files count different files")
    print(json.dumps({
        "channel": channel,
        "history": len(history["messages"]),
        "has_more": history["has_more"],
        "ids": [m["ts"] for m in history["messages"]],
        "word": word,
        "expected": expected,
        "found": len(found),
        "found_ids": found,
        "files": files["total"],
        "pages": pages,
        "marked": marked,
    }))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (Disagreement, SlackClientError) as error:
        sys.exit(f"slack_sdk_read: {error}")
