-- An archive, format 1. docs/FORMAT.md says how to read it without us.
-- Append-only tables refuse UPDATE, DELETE and REPLACE. The guards are seat belts against our own
-- mistakes; the control is the Merkle tree with its signed checkpoints kept elsewhere.

CREATE TABLE archive (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  format     INTEGER NOT NULL,
  id         BLOB NOT NULL CHECK (length(id) = 16),
  origin     TEXT NOT NULL,
  vkey       TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE source (
  id     INTEGER PRIMARY KEY,
  server TEXT NOT NULL
) STRICT;

-- Small numbers for channels and conversations; `records` counts the records of each.
CREATE TABLE channel (
  number  INTEGER PRIMARY KEY,
  source  INTEGER NOT NULL,
  id      TEXT NOT NULL,
  records INTEGER NOT NULL DEFAULT 0,
  UNIQUE (source, id)
) STRICT;

-- Records, in runs: zstd of the text that src/record/block.rs describes.
CREATE TABLE block (
  first      INTEGER PRIMARY KEY,
  count      INTEGER NOT NULL,
  sealed     INTEGER NOT NULL,
  dictionary INTEGER NOT NULL,
  digest     BLOB NOT NULL CHECK (length(digest) = 32),
  bytes      BLOB NOT NULL
) STRICT;

-- Roots of perfect subtrees of 128 leaves (level 7) and more.
CREATE TABLE node (
  level INTEGER NOT NULL,
  idx   INTEGER NOT NULL,
  hash  BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;

-- One random secret for each 128 records, or, after an erasure, the keys of those that stay.
CREATE TABLE salt (
  span   INTEGER PRIMARY KEY,
  secret BLOB,
  keys   BLOB
) STRICT;

-- Which blocks hold first versions of a channel's messages, and from when to when.
CREATE TABLE span_index (
  channel INTEGER NOT NULL,
  max_ts  INTEGER NOT NULL,
  min_ts  INTEGER NOT NULL,
  block   INTEGER NOT NULL,
  PRIMARY KEY (channel, max_ts, block)
) STRICT, WITHOUT ROWID;

-- Versions of everything but the first version of a message. Keys of messages are padded to ten
-- digits so that text order is time order. change: 0 new, 1 changed, 2 gone, 3 back as it
-- was, 4 back and changed, 5 a file seen in another
-- channel, 6 a file whose contents were fetched at last.
CREATE TABLE subject (
  kind    INTEGER NOT NULL,
  source  INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  key     TEXT NOT NULL,
  version INTEGER NOT NULL,
  seq     INTEGER NOT NULL,
  change  INTEGER NOT NULL,
  PRIMARY KEY (kind, source, channel, key, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY,
  note TEXT NOT NULL,
  at   TEXT NOT NULL
) STRICT;

CREATE TABLE erased (
  seq      INTEGER PRIMARY KEY,
  leaf     BLOB NOT NULL,
  openings TEXT NOT NULL
) STRICT;

CREATE TABLE dictionary (
  id     INTEGER PRIMARY KEY,
  digest BLOB NOT NULL,
  bytes  BLOB NOT NULL
) STRICT;

-- A row exists only inside a transaction that compacts or erases.
CREATE TABLE maintenance (
  what TEXT NOT NULL
) STRICT;

-- The archive explains itself.
CREATE TABLE about (
  name TEXT PRIMARY KEY,
  text TEXT NOT NULL
) STRICT;

-- Crawl state: where the next pass goes on. Derived; changes with the records it speaks of.

CREATE TABLE blob (
  digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
  size   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counter (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT;

CREATE TABLE account (
  name         TEXT PRIMARY KEY,
  user_id      TEXT NOT NULL,
  state        TEXT NOT NULL,
  reason       TEXT,
  last_success TEXT
) STRICT;

CREATE TABLE run (
  id         INTEGER PRIMARY KEY,
  kind       TEXT NOT NULL,
  started_at TEXT NOT NULL,
  ended_at   TEXT,
  result     TEXT,
  summary    TEXT
) STRICT;

-- One row for each account and channel; `walk` is the unfinished walk, whole (protocol notes 6.2).
CREATE TABLE walk (
  account      TEXT NOT NULL,
  source       INTEGER NOT NULL,
  channel      TEXT NOT NULL,
  pin          INTEGER,
  walk         TEXT,
  walked_until TEXT,
  result       TEXT,
  run          INTEGER,
  PRIMARY KEY (account, source, channel)
) STRICT;

-- What is owed and tried again: files that could not be fetched, channels that were refused.
CREATE TABLE debt (
  kind   TEXT NOT NULL,
  key    TEXT NOT NULL,
  reason TEXT NOT NULL,
  since  TEXT NOT NULL,
  tries  INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT;

-- What each file looked like when it was last fetched.
CREATE TABLE file_state (
  source   INTEGER NOT NULL,
  id       TEXT NOT NULL,
  mark     TEXT NOT NULL,
  comments INTEGER NOT NULL,
  channels TEXT NOT NULL,
  PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

-- Files that were seen and not yet fetched as they were seen: written with the messages that name
-- them, so that a pass cut off between the two forgets none.
CREATE TABLE file_wanted (
  source  INTEGER NOT NULL,
  id      TEXT NOT NULL,
  channel TEXT NOT NULL,
  PRIMARY KEY (source, id, channel)
) STRICT, WITHOUT ROWID;

-- Guards.

CREATE TRIGGER archive_update BEFORE UPDATE ON archive BEGIN SELECT RAISE(ABORT, 'the archive row never changes'); END;
CREATE TRIGGER archive_delete BEFORE DELETE ON archive BEGIN SELECT RAISE(ABORT, 'the archive row is never removed'); END;

CREATE TRIGGER block_update BEFORE UPDATE ON block WHEN NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'blocks change only under maintenance'); END;
CREATE TRIGGER block_delete BEFORE DELETE ON block WHEN NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'blocks are removed only under maintenance'); END;
CREATE TRIGGER block_replace BEFORE INSERT ON block WHEN EXISTS (SELECT 1 FROM block WHERE first = NEW.first) AND NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'blocks are never replaced'); END;

CREATE TRIGGER node_update BEFORE UPDATE ON node BEGIN SELECT RAISE(ABORT, 'nodes never change'); END;
CREATE TRIGGER node_delete BEFORE DELETE ON node BEGIN SELECT RAISE(ABORT, 'nodes are never removed'); END;
CREATE TRIGGER node_replace BEFORE INSERT ON node WHEN EXISTS (SELECT 1 FROM node WHERE level = NEW.level AND idx = NEW.idx)
BEGIN SELECT RAISE(ABORT, 'nodes are never replaced'); END;

CREATE TRIGGER salt_update BEFORE UPDATE ON salt WHEN NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'salts change only under maintenance'); END;
CREATE TRIGGER salt_delete BEFORE DELETE ON salt BEGIN SELECT RAISE(ABORT, 'salts are never removed'); END;
CREATE TRIGGER salt_replace BEFORE INSERT ON salt WHEN EXISTS (SELECT 1 FROM salt WHERE span = NEW.span)
BEGIN SELECT RAISE(ABORT, 'salts are never replaced'); END;

CREATE TRIGGER span_index_update BEFORE UPDATE ON span_index WHEN NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'the span index changes only under maintenance'); END;
CREATE TRIGGER span_index_delete BEFORE DELETE ON span_index WHEN NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'the span index changes only under maintenance'); END;
CREATE TRIGGER span_index_replace BEFORE INSERT ON span_index
WHEN EXISTS (SELECT 1 FROM span_index WHERE channel = NEW.channel AND max_ts = NEW.max_ts AND block = NEW.block)
BEGIN SELECT RAISE(ABORT, 'the span index is never replaced'); END;

CREATE TRIGGER subject_update BEFORE UPDATE ON subject BEGIN SELECT RAISE(ABORT, 'versions never change'); END;
CREATE TRIGGER subject_delete BEFORE DELETE ON subject BEGIN SELECT RAISE(ABORT, 'versions are never removed'); END;
CREATE TRIGGER subject_replace BEFORE INSERT ON subject
WHEN EXISTS (SELECT 1 FROM subject WHERE kind = NEW.kind AND source = NEW.source AND channel = NEW.channel AND key = NEW.key AND version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'versions are never replaced'); END;

CREATE TRIGGER checkpoint_update BEFORE UPDATE ON checkpoint BEGIN SELECT RAISE(ABORT, 'checkpoints never change'); END;
CREATE TRIGGER checkpoint_delete BEFORE DELETE ON checkpoint BEGIN SELECT RAISE(ABORT, 'checkpoints are never removed'); END;
CREATE TRIGGER checkpoint_replace BEFORE INSERT ON checkpoint WHEN EXISTS (SELECT 1 FROM checkpoint WHERE size = NEW.size)
BEGIN SELECT RAISE(ABORT, 'checkpoints are never replaced'); END;

CREATE TRIGGER dictionary_update BEFORE UPDATE ON dictionary BEGIN SELECT RAISE(ABORT, 'dictionaries never change'); END;
CREATE TRIGGER dictionary_delete BEFORE DELETE ON dictionary WHEN NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'dictionaries are removed only under maintenance'); END;

CREATE TRIGGER erased_update BEFORE UPDATE ON erased BEGIN SELECT RAISE(ABORT, 'erasures never change'); END;
CREATE TRIGGER erased_delete BEFORE DELETE ON erased BEGIN SELECT RAISE(ABORT, 'erasures are never removed'); END;
