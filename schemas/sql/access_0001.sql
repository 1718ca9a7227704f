-- Who may look: accounts of the web UI, their sessions, API tokens. Nothing here is evidence yet;
-- the access log comes with its own tree.

CREATE TABLE user (
  name     TEXT PRIMARY KEY,
  role     TEXT NOT NULL,
  channels TEXT NOT NULL,
  password TEXT NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0,
  created  TEXT NOT NULL
) STRICT;

CREATE TABLE session (
  digest    BLOB PRIMARY KEY CHECK (length(digest) = 32),
  user      TEXT NOT NULL REFERENCES user (name),
  created   INTEGER NOT NULL,
  last_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
  name     TEXT PRIMARY KEY,
  digest   BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  role     TEXT NOT NULL,
  channels TEXT NOT NULL,
  expires  INTEGER NOT NULL,
  revoked  INTEGER NOT NULL DEFAULT 0,
  last_use INTEGER
) STRICT;
