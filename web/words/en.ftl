# What the pages say, in English. A key is named after what is said. Values: { $a } and { $b } are texts,
# { $count } is a number that chooses the form, { $shown } the same number with its digits in groups.

### Around every page

product = teamchat-archive
skip = Skip to the content
nav = Archive
to-overview = To the archive's overview
look-zone = Times in the zone
look-theme = Colours
look-theme-system = as the system
look-theme-light = light
look-theme-dark = dark
look-keys = single keys work (? lists them)
look-set = Set
keys = Keys
key-search = go to the search
key-rows = next and previous row
key-open = open it
key-back = back to the list
key-hits = next and previous match in the channel
key-select = select it
key-exhibit = make an exhibit of what is selected
key-zone = times in UTC, and back
key-help = this list
close = Close
look-no-zone = `{ $a }` is not a time zone. Write it like Europe/Prague or UTC.
sign-out = Sign out
foot-entry = Entry in the access log:
foot-archive = Archive { $a } of { $b }
foot-zone = Times in { $a }
foot-utc = in UTC
foot-own-zone = in your own zone
foot-permalink = Address of this page
foot-view = What is here is what the archived accounts could see when they could see it. Rooms and conversations of others are not here.
checkpoint-of = { $a } records, signed { $b }
checkpoint-none = no checkpoint was signed yet
nav-search = Search
nav-channels = Channels
nav-files = Files
nav-users = Accounts
nav-sessions = Your sessions and password

### Signing in

sign-in = Sign in
sign-in-lead = A read-only archive of a team's chat. Sign in with the account that its keeper gave you.
sign-in-name = Name
sign-in-password = Password
sign-in-refused = Name or password is not right.
sign-in-too-often = { $count ->
    [one] There were too many tries. Wait a second, then try again; nobody is locked out.
   *[other] There were too many tries. Wait { $shown } seconds, then try again; nobody is locked out.
 }
code = Code
code-title = Second factor
code-lead = The password is right. Now the six digits that your app shows for this archive.
code-wrong = That code is not right, or it was used already. Wait for the next one.
code-too-late = Too much time went by, or too many codes were wrong. Sign in again.
code-begin-again = Sign in as somebody else
sign-in-elsewhere = Sign in at { $a }
oidc-not-asked = This sign-in was not begun in this browser, or too long ago. Begin again with the link to { $a } below.
oidc-refused = { $a } did not sign you in. Begin again with the link below, or ask who manages the accounts there.
oidc-down = { $a } cannot be reached, or gives an answer that cannot be read. Try again in a minute; if that does not help, tell who runs this archive.
oidc-unproved = What { $a } answered does not prove who you are: its signature, its time, or the one it is meant for is not right. Begin again with the link below; if that does not help, tell who runs this archive.
oidc-weak = This archive asks for another way of signing in at { $a } than the one you used, such as a second factor.
oidc-nameless = { $a } does not say who you are: its answer lacks “{ $b }”. Tell who runs this archive.
oidc-no-account = { $a } has signed you in as { $b }, and there is no such account in this archive for you, or it is disabled. Ask who manages the accounts.

### The first account

setup = Make the first account
setup-lead = Nobody has an account in this archive yet. Whoever started it was shown a set-up token on the terminal; it is in the file setup-token in the folder of the keys, too.
setup-token = Set-up token
setup-token-note = { $count ->
    [one] It holds for one minute and makes one account.
   *[other] It holds for { $shown } minutes and makes one account. For another one, start `serve` again.
 }
setup-role = What the account is for
setup-admin = Admin:
setup-auditor = Auditor:
setup-auditor-note = Other accounts are then made on the command line, with `user add`.
setup-make = Make the account and sign in
setup-done = The first account was made already, and a set-up token makes no other. Sign in, or ask who manages the accounts; on the machine itself, `teamchat-archive user add` makes one.
setup-bad-token = This is not the set-up token: it is the text behind `#token=` in the address that `serve` printed.
setup-expired = The time of this set-up token is over. Start `serve` again: it prints another one.

### Roles and what is given

role = Role
role-admin = manages accounts and tokens; reads nothing, unless channels are given to it.
role-auditor = reads everything, and sees who looked at what; manages no accounts.
role-reviewer = reads the channels that are given to it, and nothing else.
role-verifier = sees whether the archive is whole and what it covers; reads no contents.
reads = Reads
reads-all = everything
reads-nothing = nothing
reads-no-contents = no contents
exports = May export
yes = yes
no = no
none = none
grant-channels = What it may read
grant-all = every channel and conversation, those that come later, too
grant-these = These: a channel a line, as #name or id
grant-export = may export: take sets of what it reads away
grant-list = Channels that can be given
grant-id = Id
grant-unlisted = { $count ->
    [one] One more is given by its id.
   *[other] { $shown } more are given by their ids.
 }
grant-no-role = A role is admin, auditor, reviewer or verifier.
grant-no-channels = A reviewer reads what is given to it: name at least one channel, or tick that it reads every one.
grant-auditor-channels = An auditor reads everything: name no channels, or choose reviewer.
grant-unknown-channel = There is no channel `{ $a }` in this archive.
grant-several-channels = Several channels are called { $a }: name one by its id, { $b }.
refused-taken = There is a `{ $a }` already.
refused-unknown = There is no `{ $a }`.
refused-name = A name has 1 to 64 characters that can be seen, and no blank at its ends.
refused-short = { $count ->
    [one] The password is too short: one character at least.
   *[other] The password is too short: { $shown } characters at least.
 }
refused-long = { $count ->
    [one] The password is too long: one character at most.
   *[other] The password is too long: { $shown } characters at most.
 }
refused-common = This password is among the first that are guessed. Four or five words that do not go together are good.
refused-again = The two passwords are not the same.
forbidden = This is not for your account
forbidden-accounts = Accounts and tokens are managed by an admin.
forbidden-export = Your account may read and not export. Who manages the accounts can give it that right.
forbidden-verifier = Your account sees verification and coverage, and no contents.
forbidden-admin = Your account manages accounts, and reads nothing: no channels are given to it. Another admin can give it some, or `user set-role` on the command line.
forbidden-contents = No channels are given to your account. Ask who manages the accounts.
forbidden-vouched = The proxy has signed you in as { $a }, and there is no such account in this archive, or it is disabled. Ask who manages the accounts.

### Accounts

users = Accounts
users-tabs = Accounts and tokens
users-count = { $count ->
    [one] 1 account
   *[other] { $shown } accounts
 }
users-sessions = Signed in
users-you = you
users-disabled = disabled
users-own = This is your own account. Its role and channels are changed by another admin, or on the command line, so that nobody shuts themself out. Your password and sessions:
users-own-rights = Your own rights are changed by another admin, or on the command line with `user set-role`.
users-own-password = Your own password is changed on the page of your sessions, where the old one is asked for.
users-change = Change its rights
users-change-note = Its sessions end: who is signed in signs in again.
users-no-state = An account is enabled or disabled.
users-state = Whether it is let in
users-disable = Disable the account
users-disable-note = Its sessions end, and signing in is refused until it is enabled again. What it did stays in the access log.
users-enable = Enable the account
users-enable-note = It is disabled: signing in is refused.
users-add = Add an account
password-new = New password
password-again = The same password again
password-set = Set the password
password-note = { $count ->
    [one] At least one character.
   *[other] At least { $shown } characters. Several words with spaces between them are fine.
 }

### API tokens

tokens = API tokens
tokens-lead = A program that reads TeamChat can read this archive with a token, under /teamchatapi/. It sees what is given to the token and changes nothing.
tokens-none = There is no token yet.
tokens-count = { $count ->
    [one] 1 token
   *[other] { $shown } tokens
 }
tokens-add = Make a token
token-name = What it is for
token-days = Days until it ends
token-reviewer = reviewer: the channels below
token-auditor = auditor: everything
token-until = Until
token-last-use = Last used
token-revoked = revoked
token-expired = expired
token-revoke = Revoke
token-revoke-note = It is refused at once and for ever.
token-revoke-sure = Revoke it
token-made = The secret of { $a }
token-made-note = It is shown this once and kept nowhere. Copy it to where the program reads it.
token-no-days = { $count ->
    [one] A token lasts one day.
   *[other] A token lasts from 1 to { $shown } days.
 }
token-no-use = A token of a { $a } would read nothing: choose reviewer or auditor.

### Sessions

sessions = Your sessions
sessions-of = Sessions of { $a }
sessions-theirs = Its sessions
sessions-lead = Each browser that is signed in. A session ends after 30 minutes without a request and after 12 hours in any case.
sessions-none = { $a } is signed in nowhere.
sessions-count = { $count ->
    [one] 1 session
   *[other] { $shown } sessions
 }
session-agent = Browser
session-address = From
session-since = Since
session-seen = Last seen
session-this = this one
session-end = End it
session-browser = { $a } on { $b }
session-no-agent = not said
session-no-address = not known
sessions-end-others = End all others
sessions-end-own = End all, and sign out here
sessions-end-all = End all of them
factor = Second factor
factor-lead = With a second factor, a password alone lets nobody in: signing in asks for a code, too, which an app on your telephone makes anew every 30 seconds.
factor-absent = It cannot be had here: this server has no key to make codes with. Who runs it can tell why.
factor-is-on = on
factor-on-note = Signing in with your password asks for a code. To turn that off, give one.
factor-turn-off = Turn it off
factor-scan = Scan this with an app for codes:
factor-picture = The secret as a picture that apps read
factor-type = Or type this into it:
factor-here = Open it in an app on this device
factor-first-code = Then the code that the app shows
factor-turn-on = Turn it on
factor-begin = Set it up
factor-reset = Forget the second factor
factor-reset-note = It signs in with its password alone until it sets up another.
password-change = Change your password
password-change-note = Your other sessions end.
password-current = The password now
password-not-right = The password that you gave as the one now is not right. Nothing was changed.

### When a page cannot be given

not-found = Not found
not-found-detail = There is no such page, or it is not among what you may see.
no-proof = No proof yet
no-proof-detail = The next crawl signs a checkpoint that covers it: { $a }.
bad-request = This could not be done
internal = The archive could not be read
internal-detail = The page could not be made. The operator's log says why; `teamchat-archive verify` checks the archive.
damaged = This file is damaged
damaged-detail = What is on the archive's disk is not what was received, so it is not shown. `teamchat-archive verify` tells more; a good copy is one whose SHA-256 is { $a }.
wrong-verb = This address is not asked that way
wrong-verb-detail = It is a page to look at, or a form to send, and not both.
error-reference = In the operator's log this is
unlogged = Nothing can be shown now
unlogged-detail = What is shown is noted in the access log first, and the log can't be written. The operator's log says why.

### Words of many pages

name = Name
topic = Topic
members = Members
size = Size
from = From
created = Created
shared-in = Shared in
account = Account
state = State
result = Result
began = Began
run = Run
messages = Messages
formerly = formerly
older = ← Older
newer = Newer →
previous = ← Previous
next = Next →
go = Go
and-more = and { $shown } more
record = record { $a }
version = version { $a }
version-of-versions = version { $a } of { $b }
versions = Versions
every-version = Every version
seen-at = seen
sha256 = SHA-256
leads-out = leads out of the archive, to { $a }
nobody = nobody
conversation-with = conversation with { $a }
two-people = { $a } and { $b }
conversation-title = Conversation with { $a }
size-bytes = { $count ->
    [one] 1 byte
   *[other] { $shown } bytes
 }
size-kib = { $a } KiB
size-mib = { $a } MiB

### A message

pinned = pinned
edited-at = edited at { $a }, the server says
edited-at-by = edited at { $a } by { $b }, the server says
edited-before-seen = It was { $a }. How it read before that is not in the archive: it was first seen later.
edited-versions = { $count ->
    [one] edited
   *[other] edited, { $shown } versions
 }
gone-kept = deleted, text kept
gone-from-sight = It could no longer be seen at { $a }.
gone-between = gone between { $a } and { $b }; { $c }
gone-by-nobody-named = who removed it: not given by the server
gone-by = removed by { $a }, as the server's event said
how-it-read-before = How it read before
reaction-by = by { $a }
version-not-compared = shown whole: this page has more edits than are compared word by word
state-earlier = earlier version
state-gone = deleted
note-joined = joined
note-left = left
note-topic = set the topic
note-purpose = set the purpose
note-renamed = renamed the channel
note-archived = archived the channel
note-pinned = pinned an item
note-comment = comment
note-bot = bot
note-me = says of themself

### Overview

overview = Overview
overview-gaps = Not walked to the end:
overview-debts = Tried again by the next crawl:
overview-coverage = What is covered, channel by channel
overview-figures = What is here
overview-checked = Integrity
overview-verify = What this archive proves
overview-accounts = Whose view it is
overview-runs = The last crawls
overview-limits = What is not here, and why
overview-no-contents = Your account watches over the archive and reads nothing of what was said in it.
scope-yours = { $count ->
    [one] You may see 1 channel; all that is said here is of that one.
   *[other] You may see { $shown } channels; all that is said here is of those.
 }
scope-none = You may see how the archive stands, and none of its contents.
account-ok = in use
account-needs-login = to be signed in again
account-refused = refused
account-disabled = not used any more
ago = { $a } ago
last-pass = Last pass
never = never
records-added = Records added
run-messages = { $a } new, { $b } edited, { $c } deleted
run-open = Not at its end: under way, or cut off
debt-since = { $a } (since { $b }, { $c })
figure-messages = messages
figure-gone = messages deleted, text kept
figure-edited = messages changed since first seen, all versions kept
figure-files = files
figure-comments = comments
figure-channels = channels
figure-conversations = conversations
figure-people = people
figure-records = records

### Channels and their timelines

channels = Channels
channels-none = There is no channel here that you may see. A reviewer sees the channels that were given to the account.
channels-rooms = { $count ->
    [one] 1 channel
   *[other] { $shown } channels
 }
channels-ims = { $count ->
    [one] 1 direct conversation
   *[other] { $shown } direct conversations
 }
newest-message = Newest message
walked = Walked to the end
walked-never = not walked to the end
channel-lost = no longer visible
channel-archived = archived on the server
member-count = { $count ->
    [one] 1 member
   *[other] { $shown } members
 }
jump-to-day = Jump to day
walked-at = Last walked to its end at { $a }; what was said later is not here.
walked-never-yet = Not walked to its end yet.
pages-of-time = Earlier and later
pages-of-time-below = Earlier and later, below
timeline-begins = The archive begins here.
timeline-ends = This is the newest archived message.
timeline-empty = There is no archived message here.
no-time-stamp = `{ $a }` is not a time stamp.
no-day = `{ $a }` is not a day. Write it like 2026-03-04.
no-place = `{ $a }` is neither a record's number nor a time stamp.

### A record

record-title = Record { $a }
the-file = the file
as-shown = As it is shown
where-from = Where it is from
hashes-and-proof = Hashes and proof
body-sha256 = Body, SHA-256
leaf = Leaf in the Merkle tree
proof-there = It is part of the newest signed checkpoint. The proof opens the record: whoever gets it reads it, and checks it without this archive; `teamchat-archive verifier` prints a program for that.
proof-download = Download the proof
proof-json = The same as JSON
the-proof = The proof
as-received = { $count ->
    [one] As it was received, 1 byte
   *[other] As it was received, { $shown } bytes
 }
as-laid-out = It is laid out for reading here, with breaks and indents of ours.
download-bytes = Download the exact bytes
the-body = The record's body
says-gone = says that it is gone
bytes-closed = Its exact bytes name channels that you may not see, and stay closed; the proof is good without them.
fact-kind = Kind
fact-key = Key
fact-version = Version
fact-account = Seen by
fact-via = Through
fact-observed = Observed
fact-run = Run
fact-origin = Origin
fact-n = Number in its channel
fact-content = Content
fact-id = Id
fact-uploaded-by = Uploaded by
files-by = Uploaded by
fact-type = Type, as the server says

### Files

files = Files
files-none = There is no archived file here that you may see.
files-none-so = No file that you may see is like that.
files-all = Show all files
files-newest-first = { $count ->
    [one] 1 file
   *[other] { $shown } files, newest first
 }
files-found = { $count ->
    [one] 1 file is like that
   *[other] { $shown } files are like that, newest first
 }
files-name = Words of a file's name
files-find = Find
files-kind = Ends in
files-on-server = On the server
files-take-back = (chosen; again takes it back)
files-newest = ← Newest
files-older = Older →
files-no-index = Files are listed from the search index, and there is none: `teamchat-archive index rebuild` makes it. Until then files are found in the messages that carry them.
pages-of-files = Pages of files
file-gone = gone from the server
file-stands = still there
file-versions = { $shown } versions
file-download = Download
file-then = As of { $a }: this version is the newest that the archive knows to have stood then. It was first seen { $b }.
file-then-first-seen-later = As of { $a }: the archive did not know the file yet. This is its first version, first seen { $b }; how it read before that is not known.
file-then-gone = As of { $a } the file was gone. This is the version that stood last before.
file-then-not-there = As of { $a } the file was not there, by what the server says of it. This is its first version.
file-not-last = This is an earlier version of the file.
file-last = The last one
file-this = shown here
file-shared = Where it was shared
file-in-none = No archived message that you may see carries it.
file-no-index = The messages that carry it are known by the search index, and there is none: `teamchat-archive index rebuild` makes it.
file-twins = The same bytes as another file
preview = Preview
preview-of = Preview of { $a }
preview-note = A copy of the picture that the archive made, at most 1600 pixels long, without what the file says of itself (place, camera, author); of a moving picture the first. The file as it was received is the download.
text = Text
comments = { $count ->
    [0] Comments
    [one] 1 comment
   *[other] { $shown } comments
 }
comments-none = Nobody commented on it.
download-version = Download version { $a }
not-fetched = not fetched
looks-like-nothing = not a kind that is shown here; download it to open it
fact-looks-like = Type, by its bytes

### The text of a file

text-of = Text of { $a }
text-heading = Text of
text-whole = All of the text, on a page of its own
text-none = There is no text to show.
text-find = Words to mark in the text
text-mark = Mark
text-not-found = Nothing of that stands in this text.
text-found-on = It stands on page
text-page-of = page { $a } of { $b } of this text
text-pages-above = Pages of the text
text-pages-below = Pages of the text, below
text-not-yet = Not read for the search yet.
text-read-by = Text for the search: { $a } (reader: { $b }, { $c }).
text-charset = Taken to be written in { $a }.
text-pages = { $count ->
    [one] It has 1 page.
   *[other] It has { $shown } pages.
 }
text-cut = What is longer than the search keeps is not here.
text-itself = This is the file itself, which is plain text.
text-no-layout = This is what was read in it, without its layout; the download has the file as it was received.
text-no-pages = The archive makes no pictures of pages; the download has the file as it was received.
reading-not-here = The file is not here: it was not fetched.
reading-ok = read
reading-partial = read in part
reading-encrypted = not readable: encrypted
reading-unsupported = not readable: no reader for this kind of file
reading-timeout = not read to the end: it took too long
reading-too-big = not read to the end: too big
reading-failed = not readable

### Leaving the archive

out = This link leads out of the archive
out-title = To { $a }
out-lead = Somebody wrote this address in a message. The archive has not opened it and does not know what is there.
out-host = It leads to
out-address = The whole address
out-written = As it was written
out-user = What stands before the @ is no part of the host. Such addresses are used to look like another one.
out-letters = The host has letters of other scripts, and may look like another one where it is shown with them.
out-open = It is not encrypted: others on the way can read and change what comes back.
out-go = Go there
out-since = What is there now need not be what was there when it was written. The site does not learn from your browser that you come from here.
out-no-address = That is no address of the web, so nothing here leads to it.

### Search

search = Search
search-for = Search everything that is archived
search-placeholder = Words, "a phrase", from:name, in:channel
search-title = Search: { $a }
search-too-long = A search this long is not read. Put it into fewer words.
search-save = Save
search-save-as = Save this search under the name
narrow = Narrow the result
narrowed-by = Narrowed to
take-back = (chosen; again takes it back)
facet-channel = Where
facet-author = Who wrote it
facet-kind = What
facet-state = Version
facet-extension = File type
facet-extraction = Reading of files
facet-like = Names in the list: { $a }
facet-like-short = Name
facet-list = List
facet-hidden = { $shown } more: write more of a name
state-current = Current
state-edited = Earlier wording
state-deleted = Deleted
kind-messages = Messages
kind-comments = Comments
kind-files = Files
reading-absent = not here: not fetched
reading-pending = not read yet
kind-comment = comment
kind-file = file
more = { $shown } more
order = Order:
order-best = best first
order-newest = newest first
order-oldest = oldest first
chip-channel = in { $a }
chip-author = by { $a }
chip-extension = files ending in .{ $a }
chip-extraction = files { $a }
chip-as-of = as of { $a }
as-of = As of
address-too-long = { $count ->
   *[other] This address asks for more than the access log can hold: what stands behind its question mark has at most { $shown } bytes.
}
as-of-no-time = As of when? Write a time like 2026-03-04 or 2026-03-04T10:00:00Z.
fault = This cannot be searched:
on-no-days = These are not days. Write them like 2026-03-04 or 2026-03-02..2026-03-08.
days-from-to = { $a } to { $b }
matches = { $count ->
    [one] 1 match
   *[other] { $shown } matches
 }
matches-old = { $shown } of them earlier wordings or deleted
searched-in = { $count ->
    [0] in no channel or conversation
    [one] in every archived version of 1 channel or conversation
   *[other] in every archived version of { $shown } channels and conversations
 }
searched-in-then = { $count ->
    [0] in no channel or conversation
    [one] in what had been archived of 1 channel or conversation by then
   *[other] in what had been archived of { $shown } channels and conversations by then
 }
shown-from-to = { $a } to { $b } shown.
to-filters = Filters
index-behind = The index is { $shown } records behind: what came last is not searched yet.
read-as = Read as:
read-more = All of how it was read
folded = Capitals and accents do not matter.
folded-arabic = Forms of one Arabic letter count as the same, and so do its digits.
folded-umlauts = Words with ä, ö, ü, ø or å are also found written ae, oe, ue, oe or aa.
part-without = leave it out
part-exact = only { $a }
name-means = means
stands-for = { $count ->
    [0] stands for no word of the archive
    [one] stands for 1 word:
   *[other] stands for { $shown } words:
 }
unread-files = { $count ->
    [one] The text of 1 of the files found here could not be read: it was found by its name.
   *[other] The text of { $shown } of the files found here could not be read: they were found by their names.
 }
matches-by-time = Matches by time
none-dated = 0 dated matches: there is nothing to show by time.
undated = { $count ->
    [one] 1 match has no date and is in no bar.
   *[other] { $shown } matches have no date and are in no bar.
 }
bars-as-table = As a table
bars-time = Time
bars-count = Matches
bars-coverage = Coverage
bars-uncaptured = not captured
uncaptured-ever = { $a } was never captured.
uncaptured-until = Not wholly captured before { $a }: { $b }.
uncaptured-since = Not wholly captured since { $a }: { $b }.
uncaptured-on = Not wholly captured on { $a }: { $b }.
uncaptured-between = Not wholly captured from { $a } to { $b }: { $c }.
uncaptured-names = { $a } and { $b } more
uncaptured-why = What is missing, and why
uncaptured-more = { $count ->
    [one] 1 more gap.
   *[other] { $shown } more gaps.
 }
uncaptured-idle = No crawl came to its end since { $a }: what was written later may not be here.
uncaptured-silence = Silence there says nothing.
nothing-found = { $count ->
    [0] Nothing that you may see was archived by then
    [one] The 1 archived version of anything that you may see does not match
   *[other] None of the { $shown } archived versions of messages, comments and files matches
 }
nothing-in = { $count ->
    [0] No channel or conversation that you may see was searched.
    [one] 1 channel or conversation was searched.
   *[other] { $shown } channels and conversations were searched.
 }
nothing-excluded = { $count ->
    [one] 1 of them is never fetched, by a decision of the keeper.
   *[other] { $shown } of them are never fetched, by a decision of the keeper.
 }
nothing-looked-at = The archive last looked at { $a }.
nothing-others = What others wrote where no archived account could read is not here.
nothing-unnarrowed = Without what it is narrowed to, the same query has
nothing-alone = Parts of it alone
nothing-unread = Files whose text could not be read are found by their names only
certificate-link = A statement that nothing was found
certificate-of-search = A sheet about this search
pages-of-result = Pages of the result
found-in-text = found in the text
found-beside = found in what came with the text
found-in-name = found in a file's name
found-in-file = found in the file's text
found-by-conditions = found by its conditions
badge-current = last wording, { $a } of { $b }
badge-earlier = earlier wording, { $a } of { $b }
badge-current-file = last version, { $a } of { $b }
badge-earlier-file = earlier version, { $a } of { $b }
badge-gone = deleted
badge-gone-version = deleted, wording { $a } of { $b }
captured-seconds = captured { $shown } s later
captured-minutes = captured { $shown } min later
captured-hours = captured { $shown } h later
captured-days = captured { $shown } days later
form = Search with a form
form-words = All of these words
form-phrase = This phrase
form-channel = In the channel, or with
form-person = Written by
form-from = Written from the day
form-to = Written to the day
form-state = Version
form-state-any = every one
form-as-of = As of
form-as-of-now = now
form-file = with a file
form-go = Search with this form
form-within = Only within what was searched for:
how-to-ask = How to ask
how-to-ask-words = Words that must all occur; "a phrase"; OR; NOT or -word; parentheses.
how-to-ask-patterns = Patterns: ship*, wom?n, colour~1 (spelled alike), apply~~ (same stem), /expression/.
how-to-ask-near = Near each other: a w/5 b, a pre/5 b, a not w/5 b, "a b c"~5.
how-to-ask-all = Accents and case do not matter. Earlier versions, deleted messages and the text of files are found, too.

### Saved searches

saved = Saved searches
saved-lead = Your own, with what each finds now. Nobody else sees them here.
saved-none = You have saved no search. A search that found something can be saved beside its field.
saved-query = Query
saved-finds = Finds now
saved-not-run = opened, it tells
saved-when = Saved
saved-delete = Delete
saved-delete-this = Delete the saved search { $a }
saved-nothing = There is no search to save. Search first, then save it.
saved-no-name = The search needs a name to be saved under.
saved-taken = You have a search named { $a } already. Give this one another name, or delete that one in the list of saved searches.

### Timelines: what is said of time, of a moment, of matches

as-it-was-at = As it was at ({ $a })
moment-example = 2026-03-04 10:00
print-day = Print { $a }
not-as-of = What follows is as it is now.
to-the-end = To the newest here ↓
coverage-by-week = What is covered, by week
title-in-room = { $a }: { $b }
title-around = around { $a }
title-after = after { $a }
title-before = before { $a }
title-as-of = { $a }, as of { $b }
room-formerly = formerly { $a }
room-now-called = now called { $a }
room-notes = What should be known
now-called = { $a }, now called { $b }
members-on-day = { $a } on { $b }
topic-first-seen = Its name and topic here are those of { $a }, when the archive first saw the channel. What they were at this time the archive does not know; messages about it may say.
name-first-seen = The archive first saw this conversation at { $a }.
members-first-seen = { $a } when the archive first saw it, on { $b }
not-captured = Not captured
gap-all = Not captured: nothing here was walked to its end
gap-until = Not captured: everything before { $a }
gap-since = Not captured: from { $a } on
gap-between = Not captured: from { $a } to { $b }
gap-never-walked = it was never walked: the next `crawl` does
gap-lost = the account can no longer see it: enrol somebody who can, or exclude it in archive.toml with a reason
gap-failed = its last walk failed: the next `crawl` tries again
gap-cut-off = its walk was cut off: the next `crawl` goes on
gap-needs-login = the server no longer accepts the account ({ $a }): `login` renews it
gap-account = the account is { $a } ({ $b }) and no other one walks here
gap-imported = it was imported and never walked by this archive: what it covers is said in COVERAGE.json of the set that was imported
gap-no-reason = no reason was given
gap-in-view-of = { $a } (in the view of { $b })
gap-says-nothing = Nothing can be said of what was written in this time and is not shown.
owed-of-kind = { $a }: { $b }
excluded-by = Never fetched, by policy: { $a } (decided by { $b }, since { $c }).
silent-days = { $count ->
    [one] 1 day without an archived message
   *[other] { $shown } days without an archived message
 }
silent-days-seen = { $count ->
    [one] 1 day without a message: the archive looked at it later and found none
   *[other] { $shown } days without a message: the archive looked at them later and found none
 }
day-silent = No message of { $a } is archived. The archive looked at that day later, and none was there. Whether one was written and removed before it looked is not known.
day-not-walked = Not walked to its end after { $a }: what was said on that day need not be here.
timeline-ends-then = This is the newest message of that moment.
timeline-captured = Captured
timeline-month = Month
map = Messages by month
map-legend = Messages by month. Those of this page stand out; hatched ones were not wholly captured.
captured-wholly = wholly
map-as-table = Messages by month, as a table
map-bar = { $a }: { $b } messages
map-bar-gap = { $a }: { $b } messages; some of it was not captured
then-ends = Above stands what a member saw at { $a }, as far as the archive knows.
then-banner = As a member saw it at { $a }, as far as the archive knows.
then-explained = Wording, names, topic, members, reactions and pins are those of that moment where the archive was told of them. Where it first saw wording that was edited before, names, topic or members later, that is said. Reactions that it first saw later stand as it first saw them, which is not said of each; pins that it first saw later are left out. What was edited or removed before it first looked is not known. What was written later is left out.
then-count-gone = { $count ->
    [one] 1 message here was gone by then: a line without its text stands in its place, which a member did not see.
   *[other] { $shown } messages here were gone by then: a line without the text stands in the place of each, which a member did not see.
 }
then-count-unsure = { $count ->
    [one] 1 message here may have been gone already, which is said of it.
   *[other] { $shown } messages here may have been gone already, which is said of each.
 }
then-count-later = { $count ->
    [one] 1 message here was edited before it was first seen, and reads as it was first seen.
   *[other] { $shown } messages here were edited before they were first seen, and read as they were first seen.
 }
then-now = As it is now
then-gone = Gone by then: a member saw nothing here. Its record has the text.
then-perhaps-gone = It may have been gone already: it went between { $a } and { $b }.
then-first-seen-later = Edited before the archive first saw it: how it read at that moment is not known.
matches-in-channel = Matches here
match-of = Match { $a } of { $b }
matches-of = Matches { $a } to { $b } of { $c }
matches-here = { $count ->
    [one] 1 match here
   *[other] { $shown } matches here
 }
match-previous = ← Previous match
match-next = Next match →
match-back = All matches
matches-no-index = The search index cannot be read now, so matches are not looked up.
answers = In answer to
quote-gone = (since deleted)
quote-not-here = which is not archived
select-record = Select record { $a }
pick-hint = Select messages to show them to others, with what they answer and quote.
pick-count = Selected: #
pick-make = Make an exhibit
pick-then = It shows every reading of them, each with its times, not this moment's alone.
diff-removed = removed:
diff-added = added:
gone-at = gone at { $a }, as the server's event said; last seen { $b }; { $c }
gone-with-all-older = who removed it: not given by the server; everything older went with it
channels-called = Name, topic or id
channels-none-called = No channel that you may see is called so.
channel-excluded = never fetched, by policy
channel-gaps = { $count ->
    [one] not wholly captured
   *[other] not wholly captured, { $shown } gaps
 }
channel-owed = { $count ->
    [one] 1 item still to fetch
   *[other] { $shown } items still to fetch
 }
sorted-by = Sorted by:
sort-name = name
sort-newest = newest message
sort-members = members
sort-missing = what is missing

### A day to print

sheets = Parts of the day
sheet-timeline = In the timeline
sheet-first = First part of the day
sheet-next = Next part of the day
sheet-print = Print
sheet-as-of = as of { $a }
sheet-asked = What this is
sheet-query-then = The messages from { $a } until before { $b } that were there at { $c }, each as it read then. What was deleted by then is a line without its text; what was written or edited later is left out.
sheet-query = Every archived message from { $a } until before { $b }, deleted ones with their text, edited ones with every version.
sheet-until = This part has the first { $a } of them; the next one begins at { $b }.
sheet-from = This part begins at { $a } and goes to the day's end.
sheet-from-until = This part begins at { $a }; the next one begins at { $b }.
sheet-messages = { $count ->
    [0] There is none.
    [one] There is 1 on this sheet.
   *[other] There are { $shown } on this sheet.
 }
sheet-empty = No message of this day is archived. Above stands how far the day was captured. Whether one was written and removed before the archive looked is not known.
sheet-zone = Zone
sheet-scope = Printed view for
sheet-scope-all = { $a }, who may see all of the archive
sheet-scope-some = { $a }, who may see { $b } of its channels and conversations
sheet-captured = How far it is captured
sheet-walked = Walked to its end at { $b }, as { $a } saw it.
sheet-not-walked = Not walked to its end so far, as { $a } sees it.
sheet-walked-by-nobody = No archived account has walked it.
sheet-gaps = { $count ->
    [one] Part of this day was not captured; where stands between the messages.
   *[other] { $shown } stretches of this day were not captured; where stands between the messages.
 }
sheet-list = { $count ->
    [one] List of 1 record, SHA-256
   *[other] List of { $shown } records, SHA-256
 }
time-and-record = Time and record
what-was-said = What was said
sheet-check = To check this sheet
sheet-check-how = The foot names the SHA-256 of a list: of each record that stands here, every version and note of a deletion included, a line with its number and the hash of its leaf in the archive's tree. The page of a record has the proof that its leaf is in the signed checkpoint.
sheet-list-get = The list

### More of a record

in-place = in its place in
step-gone = says that it was gone
step-back = says that it was there again, unchanged
step-back-changed = says that it was there again, reading otherwise
step-fetched = the same, fetched whole
step-earlier = an earlier wording that was told late
step-shared = says that it was seen in another channel
step-this-record = { $a } (this record)
from-own-note = The archive noted it of its own work, at { $a }.
from-note = The archive noted it itself, of what { $a } was answered by { $b }, at { $c }.
from-event = The server told it to { $a } as an event on a live connection, at { $b }.
from-reply = The server sent it in a reply to { $a }, at { $b }.
from-reply-to = The server sent it to { $a } in a reply to { $b }, at { $c }.
from-set = It came in a set out of another archive, where it was record { $a } of { $b }; the set's manifest has the SHA-256 { $c }.
from-outside = It was supplied by somebody and not seen on the server by this archive.
from-later = That was { $a } after the time that the server gives for it.
from-as-received = Every byte of its body is as it was received.
from-tickets = { $count ->
    [one] 1 ticket for a download in an address was replaced by the beginning of its SHA-256; every other byte of its body is as it was received.
   *[other] { $shown } tickets for downloads in addresses were replaced by the beginning of their SHA-256; every other byte of its body is as it was received.
 }
delay-seconds = { $count ->
    [one] 1 second
   *[other] { $shown } seconds
 }
delay-minutes = { $count ->
    [one] 1 minute
   *[other] { $shown } minutes
 }
delay-hours = { $count ->
    [one] 1 hour
   *[other] { $shown } hours
 }
delay-days = { $count ->
    [one] 1 day
   *[other] { $shown } days
 }
the-run = Crawl { $a }, in which it was written
cite-as = Cite it as
cite = record { $a }, { $b }, leaf { $c }
closed = Its exact bytes stay closed
proof-closed = It is part of the newest signed checkpoint. The proof shows that without opening the record, which names channels that you may not see.
proof-check = Without this archive it is checked with
proof-command = python3 verify.py --key ledger.vkey record-{ $a }.tlog-proof

### People

nav-people = People
people = People
people-called = Name or id
people-count = { $count ->
    [0] Nobody that you may see is called so.
    [one] 1 person.
   *[other] { $shown } people.
 }
people-what = First seen is when the archive first saw them listed; changed, when what the server says of them was last seen to be otherwise.
pages-of-people = Pages of people
all-people = all people
member-of = Member of
name-and-id = Name and id
person-first-seen = First seen
person-last-changed = Changed
person-member = member
person-guest = guest
person-bot = machine
person-closed = account closed
person-open-again = account open again
person-no-longer-listed = no longer listed
person-writing = What they wrote
person-wrote = { $count ->
    [0] You may see nothing by them.
    [one] You may see 1 version of a message by them.
   *[other] You may see { $shown } versions of messages by them.
 }
person-wrote-first = First:
person-wrote-last = last:
person-search = Search what they wrote
person-names = Names over time
person-places = Channels and conversations
person-places-what = Of those that you may see. Between two looks nobody knows the moment: a date is that of the look that first showed it.
person-nowhere = They were seen in no channel or conversation that you may see.
member-from = Member from
member-until = Until
member-at-first-look = already a member at the first look, { $a }
joined-by = joined by { $a }
left-by = left by { $a }
member-still = still a member at the last look

### What is covered

coverage = Coverage
coverage-of = Coverage of { $a }
coverage-of-heading = Coverage of
coverage-of-all = Coverage of every channel
coverage-read = Read it
coverage-whole = Everything the archived accounts can see here was walked to its end, and nothing is left to fetch
coverage-excluded = Never fetched, by policy
coverage-none = There is no channel yet of which you are told.
coverage-rows = { $a } to { $b } of { $c } channels and conversations; those with something missing stand first.
coverage-pages = Pages of channels
coverage-reasons = What is missing, and why
coverage-all-of-it = All that is known of its coverage
coverage-debts = Tried again by the next crawl
coverage-no-frame = A map is drawn by=month or by=week, and up to a day that looks like 2026-03-04
coverage-no-page = There is no page `{ $a }`
verdict-whole = Everything the archived accounts can see was walked to its end
verdict-yours = Everything the archived accounts can see of the channels given to you was walked to its end
verdict-open = Something is missing: { $a }
verdict-nothing = Nothing was walked to its end yet
verdict-walked = { $count ->
    [one] 1 channel or conversation was walked to its end.
   *[other] { $shown } channels and conversations were walked to their end.
 }
verdict-fresh = Each was last walked no more than { $a } ago.
verdict-excluded = { $count ->
    [one] 1 is never fetched, by policy.
   *[other] { $shown } are never fetched, by policy.
 }
verdict-limits = What no crawl with these accounts can see
gaps-count = { $count ->
    [one] 1 gap
   *[other] { $shown } gaps
 }
debts-count = { $count ->
    [one] 1 item still to fetch
   *[other] { $shown } items still to fetch
 }
limits-count = { $count ->
    [one] 1 limit
   *[other] { $shown } limits
 }
excluded-short = never fetched, by policy
gap-line = { $a }: { $b }
debt-tries = { $count ->
    [0] not tried yet
    [one] tried once
   *[other] tried { $shown } times
 }
limits = What cannot be here
limit-one-view = { $a } of { $b } people are enrolled; rooms and direct conversations of which none of them is a member are not here
limit-whispers = messages in a channel that are addressed to somebody else are not shown to these accounts
limit-private-pins = pins that people keep for themselves are shown to them alone
limit-between-passes = what was edited or deleted before the archive first looked, or between two looks and not told by a live event, left no trace
limit-unrecognised = some items could not be recognised; they are kept as they came, and their edits and deletions are not followed
limit-roster-cut = the server names { $a } of { $b } members
limits-lead = No crawl with these accounts can see this, whatever the map says.
span-seconds = { $count ->
    [one] 1 second
   *[other] { $shown } seconds
 }
span-minutes = { $count ->
    [one] 1 minute
   *[other] { $shown } minutes
 }
span-hours = { $count ->
    [one] 1 hour
   *[other] { $shown } hours
 }
span-days = { $count ->
    [one] 1 day
   *[other] { $shown } days
 }
heat = Map of what is covered
heat-pages = Earlier and later columns
heat-older = ← Earlier
heat-newer = Later →
heat-begins = Nothing is older.
heat-ends = Up to now.
heat-weeks = By week
heat-months = By month
heat-channel = Channel
stand-covered = covered
stand-covered-text = walked to its end; something was said
stand-silent = walked, nothing said
stand-silent-text = as far as these accounts could see
stand-part = in part
stand-part-text = some of this time was not walked
stand-gap = gap
stand-gap-text = not walked; nobody here knows what was said
stand-waiting = waiting
stand-waiting-text = not looked at since the last crawl; the next one does
stand-excluded = excluded
stand-excluded-text = never fetched, by policy
stand-before = before
stand-before-text = its creation, as the server says
walks = Who walked it
walks-none = No account walked it.
walk-from = From
walk-to = To the message of
walk-from-beginning = the beginning
walk-to-nothing = no message was there
walk-walked = Last walked to its end
walk-result = How the last walk ended
walk-audited = Every message looked at again
walk-not-audited = not yet
walk-complete = to its end, in order
walk-order = to its end, but out of order; the next one goes down to the beginning
walk-parts = a first walk in several parts
walk-under-way = cut off; the next crawl goes on
walk-failed = the server gave an error
walk-lost = the account can no longer see it
walk-not-begun = never begun
expected = Against the inventory
expected-seen = { $a } of { $b } expected are here.
expected-people = People
expected-rooms = Rooms
expected-missing = Expected, and not here
expected-silent = Here, but with whose account nothing is crawled: what they alone can see is missing

### Crawls

crawls = Crawls
crawls-all = All crawls
crawls-none = Nothing was crawled yet.
crawls-pages = Pages of crawls
crawls-newest = ← Newest
crawl-title = Crawl { $a }
run-number = crawl { $a }
run-name = { $a } { $b }
run-no-number = `{ $a }` is not the number of a crawl.
run-kind = Kind
run-kind-crawl = crawl
run-kind-watch = watch
run-kind-import = import
run-kind-compact = upkeep
run-took = Took
run-ended = Ended
run-complete = Ended, nothing left open
run-partial = Ended; something was left open
run-accounts = With the view of
run-channels = { $a } seen, { $b } walked to their end, { $c } failed
run-requests = Requests
run-retries = Of these, second tries
run-gaps = Gaps open at its end
run-debts = Left to fetch at its end
run-facts = What it was
run-added = What it added
run-coverage = What is covered now
run-messages-new = new messages
run-messages-edited = edited
run-messages-deleted = found deleted
run-messages-restored = back again
run-files-new = new files
run-files-fetched = contents fetched
run-files-failed = contents not to be had
run-comments-new = new comments
run-reactions = reactions changed
run-events = live events
run-sealed = blocks sealed
run-first = First: record { $a }
run-last = Last: record { $a }
run-findings = Findings
run-findings-count = { $count ->
    [one] 1 finding
   *[other] { $shown } findings
 }
run-findings-none = Nothing that the server did was out of order.
run-findings-lead = What the server did that does not fit, or what could not be had.
run-finding-kind = Kind
run-finding-detail = What was seen
run-own-words = In its own words
run-own-words-open = The whole report of the crawl

### Whether the archive is whole

verify = What this archive proves
nav-verify = Integrity
verify-lead = Each record is a leaf of one tree, and the root of the tree is signed from time to time. Whoever has kept a signed checkpoint can tell when anything before it was changed, removed, added or put in another order.
verify-signed = The newest signed checkpoint
verify-key = The key that it is signed with
verify-key-lead = Compare it with what you were told by another way than this page: with a key that was put in its place, everything here would look right.
verify-log-lead = Who looked at what is a log of its own, with a tree and checkpoints of its own.
verify-log-open = Open the access log
signed-records = Records under it
signed-beyond = { $count ->
    [one] 1 record is newer and not signed yet
   *[other] { $shown } records are newer and not signed yet
 }
signed-at = Signed
signed-root = Root
key-id = Key
key-name = Log
key-text = Verification key
key-digest = Fingerprint, SHA-256 of that text
kept = Kept elsewhere
kept-none = No keeper elsewhere has taken a checkpoint. What is signed and lies only here can be thrown away together with what it was signed over.
kept-records = { $count ->
    [one] checkpoint of 1 record
   *[other] checkpoint of { $shown } records
 }
log-entries = Entries
log-signed = Entries under the newest signed checkpoint
check-last = The last check
check-earlier = Earlier checks
checker-lead = To check without this archive, keep these; none needs a network. An exhibit that is handed over checks itself when it is opened.
checker-page = checks the proof of a single record, in a browser
checker-script = checks proofs, exhibits and sets, with Python
checker-key = the key that they check with
check-none = No check has been run here since this server started, on
check-not-yet = Not checked since this server started.
check-under-way = It is being checked now.
check-now = Check it now
check-begin = Begin
check-quick = signatures and roots
check-quick-text = takes seconds; finds a missing end, a forged checkpoint, and a root that does not fit
check-sample = the proofs of { $a } records
check-sample-text = takes longer; these records, spread over the archive, are read and proved as well
check-full = everything
check-full-how = `teamchat-archive verify` on the server checks every record, file and table.
check-running = Being checked now: { $a }, asked for by { $b }, since { $c }.
check-progress = { $a } of { $b }.
check-begun = It has begun.
check-reload = How far is it?
check-how = { $a }, asked for by { $b }; took { $c }
check-clean-quick = The signed checkpoints are as they were signed. No record was read.
check-clean = Everything that was checked is as it was signed.
check-findings = { $count ->
    [one] 1 thing is not as it was signed
   *[other] { $shown } things are not as they were signed
 }
check-failed = The check came to no end
check-ask = What it is, is told to who watches over the archive.
check-unpinned = Checked with the key that the archive itself names: none is kept here that came another way.
check-key = Checked with the key { $a }, which is kept outside the archive.
check-no-depth = A check is `quick` or `sample`
check-not-yours = A check is asked for by who watches over the whole archive: an auditor or a verifier.
checked-checkpoints = checkpoints
checked-proofs = records proved
checked-anchors = copies and answers of keepers
checked-records = records
checked-files = files
finding-record = Record { $a }:
finding-records = Records:
finding-secret = The secret from record { $a } on:
finding-tree = The tree:
finding-checkpoint = A checkpoint:
finding-anchor = A checkpoint kept elsewhere:
finding-key = A key:
finding-file = A file's content:
finding-access = The access log:
finding-index = The search index:
finding-self = What the archive says of itself:
finding-database = The database:
finding-table = A table:
finding-expected = Expected
finding-found = found
no-proof-altered = It cannot be proved here: a proof needs the records around it, and record { $a } is damaged.
altered = The archive is damaged
altered-record = Record { $a } is damaged
altered-detail = What is stored is not what was stored, so nothing of it is shown: { $a }. `teamchat-archive verify` names all that is damaged; another copy of the archive may have it whole.

### The access log

access = Access log
access-entries = { $count ->
    [one] 1 entry. Each view is an entry before anything of it is shown; this view is the next one.
   *[other] { $shown } entries, newest first. Each view is an entry before anything of it is shown; this view is the next one.
 }
access-own = What was noted of you, newest first. Each view is an entry before anything of it is shown; this view is the next one.
access-who = Who
access-what = What
access-day = Day
access-anything = anything
access-show = Show
access-all = Show all
access-none = There is no such entry.
access-number = Entry
access-entry = Entry in the access log
access-at = When
access-from = From where
access-status = Answer
access-scope = Could see
access-pictures = { $count ->
    [one] 1 small picture
   *[other] { $shown } small pictures
 }
access-pages = Pages of the access log
access-newest = ← Newest
access-newer = Newer →
access-older = ← Older
access-begins = This is where the log begins.
access-no-action = `{ $a }` is nothing that the log notes.
access-no-number = `{ $a }` is not the number of an entry.
entry-title = Entry { $a } of the access log
entry-number = entry { $a }
entry-unreadable = cannot be read
entry-altered = This entry is not what was written: its text gives the leaf { $a }, and another one is stored.
entry-stored = As it is stored
entry-stored-lead = Two lines, hashed as they stand.
entry-signed-over = { $a } entries
entry-signed = This entry is under the newest signed checkpoint: it cannot be changed or removed without that being found.
entry-unsigned = This entry is newer than the newest signed checkpoint. The next one covers it.
action-view = looked at
action-sent = sent a form to
action-sign-in = signed in
action-sign-in-failed = was refused at sign-in
action-sign-out = signed out
action-user-added = made an account
action-user-disabled = refused an account
action-user-bound = signed in at the provider for the first time, as an account
action-factor-on = turned on the second factor
action-factor-off = turned off the second factor of an account
action-user-enabled = let an account in again
action-user-changed = changed what an account may see
action-password = gave an account another password
action-token-created = made a token
action-token-revoked = withdrew a token
action-signer = named the key that signs the log
action-export = exported a set
action-sessions-ended = ended sessions
action-exhibit = put together an exhibit
about-page = { $a }
about-number = number { $a }
about-day = day { $a }
answer-given = answered
answer-done = done
answer-refused = refused ({ $a })
answer-not-found = not found ({ $a })
answer-failed = failed ({ $a })
about-method = API: { $a }
about-channel = channel { $a }
about-file = file { $a }
about-person = person { $a }
about-query = query: { $a }
about-subject = { $a }
about-granted = as { $a }
about-expires = until { $a }
about-shown = records shown: { $a }
about-content = content with the SHA-256 { $a }
about-error = error: { $a }
who-token = token { $a }
who-nobody = nobody signed in
who-command-line = the command line
who-server = this server
from-for = { $a }, by the word of the proxy at { $b }
scope-all = every channel
scope-these = { $a }
scope-channels = { $count ->
    [0] no channel
    [one] 1 channel
   *[other] { $shown } channels
 }

### Exhibits

nav-exhibits = Exhibits
exhibits = Exhibits
exhibits-detail = Messages that you put together to show them to others. Nobody else sees your exhibits.
exhibits-none = You have made no exhibit so far. Select messages in a search or in a channel, then make an exhibit of them.
exhibits-begin = Search for messages
exhibits-too-many = You have as many exhibits as one account may have. Delete one that you no longer need.
exhibit-chosen = Selected
exhibit-begun = Begun
exhibit-records = { $count ->
    [one] 1 record
   *[other] { $shown } records
 }
exhibit-untitled = Exhibit { $a }
exhibit-no-title = No title came with this: nothing was changed.
exhibit-nothing-chosen = No message is selected. Go back, select messages by the boxes before them, then ask for the exhibit.
exhibit-too-many = An exhibit holds { $shown } records at most. Make several, or export a set.
exhibit-download = Download as one file
exhibit-export = Export as a set
exhibit-change = Rename, move or delete
exhibit-change-alone = Rename or delete
exhibit-join-label = Put all of it into another exhibit
exhibit-join = Move
exhibit-title-label = Title
exhibit-rename = Rename
exhibit-delete = Delete this exhibit
exhibit-delete-detail = The archive stays as it is: an exhibit is a list of records.
exhibit-remove = Take out
exhibit-empty = Nothing is in this exhibit. Select messages in a search or in a channel and add them.
exhibit-file = File { $a }
exhibit-shared-in = Shared in { $a }
exhibit-left-out = { $count ->
    [one] 1 message not shown.
   *[other] { $shown } messages not shown.
 }
exhibit-left-out-gone = { $count ->
    [one] 1 deleted message not shown.
   *[other] { $shown } deleted messages not shown.
 }
exhibit-along-answered = comes along: record { $a } answers it
exhibit-along-quoted = comes along: record { $a } quotes it
exhibit-walked = No gap in what was captured is known between the first and the last message shown; how many archived messages are left out stands between them. The conversation was last walked to its end at { $a }.
exhibit-never-walked = The conversation was never walked to its end.
exhibit-fact-holds = Holds
exhibit-fact-maker = Made by
exhibit-fact-printed = Shown as of
exhibit-fact-zone = Times in
exhibit-fact-server = Server
exhibit-fact-archive = Archive
exhibit-fact-log = Log
exhibit-fact-checkpoint = Checkpoint
exhibit-fact-root = Root of the log
exhibit-fact-scope = Seen by its maker
exhibit-scope-some = some channels and conversations, not all of the archive
exhibit-holds-nothing = nothing
exhibit-messages = { $count ->
    [one] 1 message
   *[other] { $shown } messages
 }
exhibit-files-count = { $count ->
    [one] 1 file
   *[other] { $shown } files
 }
exhibit-comments = { $count ->
    [one] 1 comment
   *[other] { $shown } comments
 }
exhibit-items-along = { $count ->
    [one] 1 of them comes along with what answers or quotes it
   *[other] { $shown } of them come along with what answers or quotes them
 }
exhibit-made-by = { $a }, begun { $b }
exhibit-tzdb = zone database
exhibit-checkpoint = { $a } records, signed { $b } by the key { $c }
exhibit-is-a-selection = This is a selection. What stands before the first and after the last message of a conversation is not in it, nor is what no archived account could see.
exhibit-missing = { $count ->
    [one] 1 record that was selected is not shown: you may not see it now.
   *[other] { $shown } records that were selected are not shown: you may not see them now.
 }
exhibit-odd = { $count ->
    [one] 1 record that was selected is no message, comment or file, and is not shown.
   *[other] { $shown } records that were selected are no messages, comments or files, and are not shown.
 }
exhibit-along-cut = More messages are answered or quoted than come along here.
exhibit-unproved = { $count ->
    [one] 1 record here is newer than the newest checkpoint and has no proof yet.
   *[other] { $shown } records here are newer than the newest checkpoint and have no proof yet.
 }
exhibit-wait = A file that is downloaded now proves nothing of them. The next checkpoint covers them: a crawl signs one at its end, a watch every ten minutes if it was told nothing else. Download the file after that.
exhibit-closed = { $count ->
    [one] The bytes of 1 record stay closed, since they name conversations that its maker may not see. It is proved to be there; what is shown of it is the archive's word.
   *[other] The bytes of { $shown } records stay closed, since they name conversations that their maker may not see. They are proved to be there; what is shown of them is the archive's word.
 }
exhibit-role-gone = note that it is gone
exhibit-role-only = as it reads
exhibit-role-back = back as it was
exhibit-role-shared = seen in another conversation
exhibit-role-part = the same reading, known in part
exhibit-record = record
exhibit-seen = seen by the archive
exhibit-edited = edited, the server says, at
exhibit-gone-at = deleted, by the server's word
exhibit-last-seen = last seen
exhibit-first-missing = first missing
exhibit-gone-by = removed by
exhibit-content = content, SHA-256
exhibit-body = body, SHA-256
exhibit-leaf = leaf
exhibit-record-unproved = no proof yet
exhibit-record-closed = its bytes stay closed
exhibit-said-title = Title
exhibit-said-comment = Comment with the file
exhibit-said-author = Author named on a card
exhibit-said-link = Address on a card
exhibit-said-card = On a card
exhibit-names-file = names the file
exhibit-no-reactions = Reactions and pins are not shown here.
exhibit-files = Files that are named
exhibit-files-detail = Whoever has a file can hold it against the SHA-256 of its content.
exhibit-file-unknown = is named, and nothing of it is archived or may be seen
exhibit-names = Who is who
exhibit-names-detail = Names of people and conversations are as the archive knew them when this was made. Ids are proved with the messages; names are the archive's word.
exhibit-verdict = Check
exhibit-verdict-unread = Not checked: scripts are switched off here. It can be read all the same, and verify.py checks it.
exhibit-verdict-good = Checked: all records ({"{"}of{"}"}) are as signed.
exhibit-verdict-good-more = Their texts, times and ids stand here as signed. Names of people, headings, remarks and how many messages are left out between are the archive's word: no proof covers them.
exhibit-verdict-part = Proved in part only: no proof in this file covers the rest.
exhibit-verdict-part-more = Records that are as signed: {"{"}of{"}"}. Messages and files of which something has no proof: {"{"}loose{"}"}; that is marked with a dotted line, and whoever held this file can have changed it. No proof covers names of people, headings, remarks and how many messages are left out between, either.
exhibit-verdict-none = Not proved: there is no proof in this file.
exhibit-verdict-none-more = It may be as the archive holds it, and whoever held this file can have changed it: neither can be seen from it. A record has a proof once a checkpoint is signed over it; an exhibit file that is made after that carries it.
exhibit-verdict-bad = NOT AS SIGNED: {"{"}bad{"}"} of {"{"}of{"}"} records, or what is shown of them, are not what was signed.
exhibit-verdict-off = Not checked.
exhibit-verdict-off-more = What was given as the key cannot be used, or this browser cannot compute the check:
exhibit-verdict-failed = NOT CHECKED: the key in this file cannot be used, or the check could not be computed.
exhibit-verdict-key = Checked with the key
exhibit-verdict-came = , which came with this file: compare it with the key that the archive's owner gives you another way.
exhibit-verdict-own = , which you chose.
exhibit-key-file = Check with a key of your own (ledger.vkey):
exhibit-how = How to check it
exhibit-how-page = This page checks itself when it is opened, without a network. Whoever changed it could have changed the check as well: use a copy of verify.py from elsewhere where it matters.
exhibit-how-python = Python checks it, too:
exhibit-how-command = python3 verify.py --key ledger.vkey exhibit-{ $a }.html
exhibit-how-log = The access log of the archive has an entry of this file with its SHA-256 and the records in it.
exhibit-not-proved = Not proved by this: that what people wrote is true; that the archive holds all there was; when it was signed, and that others were shown the same log. The checkpoint can be compared with a copy that is kept elsewhere.
exhibit-key = The key that came with it
exhibit-proofs = { $count ->
    [one] 1 proof
   *[other] { $shown } proofs
 }
exhibit-proof-of = Proof of record { $a }

### Exports from the page

nav-exports = Exports
exports-page = Exports
exports-detail = Sets for other people: a part of the archive in one format, with its proofs, its custody and a list of what is not in it. A set is kept here until you remove it; the access log has an entry of each.
exports-too-many = You have as many sets as one account may have. Remove one that you no longer need.
exports-too-many-at-once = { $a } of your sets wait or are being made, as many as one account may have at once. Ask again when one of them is made, or stop one.
exports-busy = Too many sets wait for their turn. Try again when some are made.
export-number = Export { $a }
export-ask = Ask for a set
export-from-exhibit = Of exhibit { $a }: its messages with all their versions, what comes along with them, and their files.
export-from-records = { $count ->
    [one] Of 1 selected message, with all its versions and its files.
   *[other] Of { $shown } selected messages, with all their versions and their files.
 }
export-nothing-selected = Nothing of what is selected may be seen by you now.
export-empty = Each field narrows the set. With all of them empty, everything that you may see goes into it.
export-query = Only what this finds, with whole families: messages with their files, files with their comments
export-channels = Only some channels and conversations
export-from = From (a day or time)
export-to = Before
export-as-of = As of
export-custodian = Only what belongs to a person
export-role = Belongs to them
export-role-author = what they wrote
export-role-member = conversations while a member
export-more = Volumes, numbers, dates
export-volume = Volumes of at most (700M, 2G)
export-bates = Bates prefix (dat)
export-bates-start = First number
export-dates = Dates (dat, csv)
export-dedupe = give a file that stands in several conversations once
export-begin = Make the set
export-no-format = `{ $a }` is not a format.
export-no-channel = You see no channel or conversation called { $a }.
export-no-size = `{ $a }` is not a size. Write it like 700M or 2G.
export-no-number = `{ $a }` is not a number to begin with.
export-from-after-to = The first day is not before the last, so nothing can be in the set.
export-native-alone = The format native gives records as they are archived, all versions in one file: current versions, a moment, volumes and giving files once do not go with it.
as-of-no-time-named = `{ $a }` is not a time. Write it like 2026-03-04, 2026-03-04 10:00 or 2026-03-04T10:00:00Z.
export-of-records = { $count ->
    [one] 1 selected message
   *[other] { $shown } selected messages
 }
export-of-query = found by: { $a }
export-of-channels = { $count ->
    [one] 1 channel or conversation
   *[other] { $shown } channels and conversations
 }
export-of-member = conversations of { $a } while a member
export-of-author = what { $a } wrote
export-of-from = from { $a }
export-of-to = before { $a }
export-of-as-of = as of { $a }
export-of-all = everything that you may see
export-fact-format = Format
export-fact-of = What
export-fact-versions = Versions
export-fact-zone = Times in
export-fact-asked = Asked for
export-fact-ended = Ended
export-versions-all = every version and deletion
export-versions-current = what stands, and nothing else
export-waiting = { $count ->
    [0] waits for its turn
    [one] waits for 1 other
   *[other] waits for { $shown } others
 }
export-running = being made
export-done = made
export-failed = could not be made
export-stopped = stopped
export-cut-off = cut off
export-before = { $count ->
    [0] Nothing is made before it.
    [one] 1 other is made before it.
   *[other] { $shown } others are made before it.
 }
export-step-begin = Names and scope are read.
export-step-count = Counting what is in scope: { $a } of { $b } records.
export-step-write = Writing: { $a } of { $b } records.
export-step-proofs = Proofs are written.
export-step-look = The set is packed and hashed.
export-look-again = Look again
export-other-scope = What you may see has changed since this set was made, so it is no longer given to you. Remove it, and ask for another.
export-balanced = Nothing in scope is unaccounted for
export-not-balanced = The counts do not agree
export-complete = As far as the archived accounts could see, nothing in this scope is missing or left to fetch.
export-incomplete = The archive has gaps in this scope, or items still to fetch: COVERAGE.json in the set says which.
export-download = Download the set
export-check = Whoever gets it unpacks it and runs verify.py, which lies in it: python3 verify.py --key ledger.vkey FOLDER
export-holds = What it holds
export-records = Records in scope
export-produced = Produced
export-withheld = Withheld
export-not-carried = Not carried
export-exceptions = Exceptions
export-messages = Messages
export-files = Files
export-checkpoint = Checkpoint
export-checkpoint-of = { $a } records
export-sha256 = SHA-256 of the file
export-manifest = SHA-256 of its tag manifest
export-reconciled = Reconciliation
export-reconciled-detail = In scope = produced + withheld + not carried + exceptions, counted in two ways; by custodian and day in RECONCILIATION.csv in the set.
export-conversation = Conversation
export-difference = Difference
export-change = What can be done with it
export-stop = Stop
export-go-on = Go on with it
export-delete = Remove this set
export-delete-detail = The archive and its access log stay as they are.
export-stop-first = This set is being made: stop it first.
format-rsmf = Relativity short messages, a file a conversation and day
format-dat = a load file for review platforms (DAT, OPT), texts and natives
format-eml = a mail a conversation and day, with its files
format-html = pages to read and print, and the files
format-native = all records as they are archived; an archive can be made of it
format-csv = a row a version, for a spreadsheet, and the files
format-jsonl = a line a version, for programs, and the files
format-slack = the zip of a Slack workspace's export
format-mbox = mailboxes, one a conversation
format-actiance = XML for compliance archives
format-atom = an archived feed a conversation

### What a search found, to hand over

certificate = Certificate: what was found
certificate-negative = Certificate: nothing was found
certificate-of-nothing = Nothing is looked for. Search first, then ask for the certificate.
certificate-back = Back to the search
certificate-statement = On { $a }, { $b } searched the archive of { $c }.
certificate-nothing = In what is named below, nothing matches.
certificate-typed = Query
certificate-read-as = Read as
certificate-no-words = no words; only what it is narrowed by
certificate-found = Found
certificate-searched = Searched
certificate-readings = { $count ->
    [one] 1 version of a message, comment or file that may be seen
   *[other] { $shown } versions of messages, comments and files that may be seen
 }
certificate-scope = Scope
certificate-scope-all = { $count ->
    [one] all of the archive: 1 channel or conversation
   *[other] all of the archive: { $shown } channels and conversations
 }
certificate-states = Versions
certificate-all-states = every version: as it stands, earlier wordings, and how it last read before it was deleted
certificate-as-of = (as of { $a })
certificate-time = Written
certificate-any-time = at any time
certificate-from-to = from { $a } to before { $b }
certificate-index = Index
certificate-index-at = reaches { $a } of { $b } records
certificate-unread = Files not read
certificate-unread-files = { $count ->
    [0] the text of every file in scope was read
    [one] the text of 1 file in scope could not be read: it is found by its name only
   *[other] the text of { $shown } files in scope could not be read: they are found by their names only
 }
certificate-coverage = Coverage
certificate-rooms = { $count ->
    [one] 1 channel or conversation was looked into.
   *[other] { $shown } channels and conversations were looked into.
 }
certificate-gaps = { $count ->
    [one] Of 1 of them a part of the time searched was not captured.
   *[other] Of { $shown } of them a part of the time searched was not captured.
 }
certificate-no-gaps = No gap is known in the time searched.
certificate-zone = Times in
certificate-checkpoint-of = { $a } records, signed { $b }; root { $c }
certificate-matches = The matches
certificate-record = Record
certificate-place = Where and when
certificate-seen = Seen by the archive
certificate-covered = What was looked into
certificate-covered-detail = What an account could see was archived up to the time at which the conversation was last walked to its end.
certificate-missing = Gaps, still to fetch, limits
certificate-nothing-known = no gap known
certificate-limits = What no search here can find
certificate-says = This says what the archive holds and what it was asked. It does not say that something was never written: what no archived account could see, and what was written and removed before the archive first looked or between two looks, is not here.
certificate-export = Export what was found
