-- What one account sees otherwise than the records have it. One archive may be fed by several
-- accounts, each with one person's view; kept are only the exceptions. Crawl state, no evidence.

-- Archived messages inside the range an account has walked that it was not shown: whispers
-- between others (lost 0), and what it once saw and lost from sight while others still see it (1).
CREATE TABLE unseen (
  account TEXT NOT NULL,
  source  INTEGER NOT NULL,
  channel TEXT NOT NULL,
  ts      INTEGER NOT NULL,
  lost    INTEGER NOT NULL,
  PRIMARY KEY (account, source, channel, ts)
) STRICT, WITHOUT ROWID;

-- How a subject last read to an account, where the newest record has another account's reading.
CREATE TABLE view (
  account TEXT NOT NULL,
  source  INTEGER NOT NULL,
  kind    INTEGER NOT NULL,
  channel TEXT NOT NULL,
  key     TEXT NOT NULL,
  digest  BLOB NOT NULL CHECK (length(digest) = 32),
  PRIMARY KEY (account, source, kind, channel, key)
) STRICT, WITHOUT ROWID;

-- When something that concerns the whole archive was last done (RFC 3339).
CREATE TABLE mark (
  name TEXT PRIMARY KEY,
  at   TEXT NOT NULL
) STRICT;
