-- The access log: who was shown what, and what was changed about who may look. Append-only, with a
-- Merkle tree and signed checkpoints of its own, as the records of archive.db have them.

-- Numbered from 0 without gaps. `header` and `body` are lines of JSON, hashed as they stand; `leaf`
-- is the tree's leaf over both.
CREATE TABLE entry (
  number INTEGER PRIMARY KEY CHECK (number >= 0),
  header TEXT NOT NULL,
  body   TEXT NOT NULL,
  leaf   BLOB NOT NULL CHECK (length(leaf) = 32)
) STRICT;

-- Roots of perfect subtrees of 128 leaves (level 7) and more.
CREATE TABLE node (
  level INTEGER NOT NULL,
  idx   INTEGER NOT NULL,
  hash  BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;

-- One random secret for each 128 entries, from which the salts of their leaves follow.
CREATE TABLE salt (
  span   INTEGER PRIMARY KEY,
  secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;

CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY,
  note TEXT NOT NULL,
  at   TEXT NOT NULL
) STRICT;

-- The keys that signed it, by its own word; the newest is the last.
CREATE TABLE signer (
  number INTEGER PRIMARY KEY,
  vkey   TEXT NOT NULL UNIQUE,
  since  TEXT NOT NULL
) STRICT;

CREATE TRIGGER entry_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries never change'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;
CREATE TRIGGER entry_replace BEFORE INSERT ON entry WHEN EXISTS (SELECT 1 FROM entry WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'entries are never replaced'); END;

CREATE TRIGGER node_update BEFORE UPDATE ON node BEGIN SELECT RAISE(ABORT, 'nodes never change'); END;
CREATE TRIGGER node_delete BEFORE DELETE ON node BEGIN SELECT RAISE(ABORT, 'nodes are never removed'); END;
CREATE TRIGGER node_replace BEFORE INSERT ON node WHEN EXISTS (SELECT 1 FROM node WHERE level = NEW.level AND idx = NEW.idx)
BEGIN SELECT RAISE(ABORT, 'nodes are never replaced'); END;

CREATE TRIGGER salt_update BEFORE UPDATE ON salt BEGIN SELECT RAISE(ABORT, 'salts never change'); END;
CREATE TRIGGER salt_delete BEFORE DELETE ON salt BEGIN SELECT RAISE(ABORT, 'salts are never removed'); END;
CREATE TRIGGER salt_replace BEFORE INSERT ON salt WHEN EXISTS (SELECT 1 FROM salt WHERE span = NEW.span)
BEGIN SELECT RAISE(ABORT, 'salts are never replaced'); END;

CREATE TRIGGER checkpoint_update BEFORE UPDATE ON checkpoint BEGIN SELECT RAISE(ABORT, 'checkpoints never change'); END;
CREATE TRIGGER checkpoint_delete BEFORE DELETE ON checkpoint BEGIN SELECT RAISE(ABORT, 'checkpoints are never removed'); END;
CREATE TRIGGER checkpoint_replace BEFORE INSERT ON checkpoint WHEN EXISTS (SELECT 1 FROM checkpoint WHERE size = NEW.size)
BEGIN SELECT RAISE(ABORT, 'checkpoints are never replaced'); END;

CREATE TRIGGER signer_update BEFORE UPDATE ON signer BEGIN SELECT RAISE(ABORT, 'signers never change'); END;
CREATE TRIGGER signer_delete BEFORE DELETE ON signer BEGIN SELECT RAISE(ABORT, 'signers are never removed'); END;
CREATE TRIGGER signer_replace BEFORE INSERT ON signer
WHEN EXISTS (SELECT 1 FROM signer WHERE number = NEW.number OR vkey = NEW.vkey)
BEGIN SELECT RAISE(ABORT, 'signers are never replaced'); END;
