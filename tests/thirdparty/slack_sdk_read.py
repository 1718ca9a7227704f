"""Reads the history of a channel and searches it with slack_sdk.

usage: slack_sdk_read.py BASE_URL TOKEN [CHANNEL]

The channel is the one named, else the first of channels.list that has a message
to search for. The word searched for is taken from the channel's own history, so
the history says which messages a search must find. Prints one JSON line:

    {"channel": ID, "history": N, "has_more": BOOL, "ids": [TS, ...],
     "word": W, "expected": [TS, ...], "found": N, "found_ids": [TS, ...], "files": N}

Exits 1 when search misses a message of the history that has the word, when its
totals disagree with what its pages hold, or when search.all and search.messages
disagree. Only reading methods are called.
"""

import json
import re
import sys
from collections import Counter

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

HISTORY_COUNT = 1000
SEARCH_COUNT = 20
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
    }))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (Disagreement, SlackClientError) as error:
        sys.exit(f"slack_sdk_read: {error}")
