-- derived.db: what was read in files. Nothing here is evidence: if the file is deleted, the files are
-- read again from blobs/. A later row for the same file and a newer reader stands for both.

CREATE TABLE result (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256       BLOB NOT NULL CHECK (length(sha256) = 32),   -- of the file
    status       TEXT NOT NULL,      -- ok, partial, encrypted, unsupported, failed, timeout, too_big
    engine       TEXT NOT NULL,      -- what read it, with its version
    version      INTEGER NOT NULL,   -- of our readers
    text         BLOB NOT NULL,      -- UTF-8, zstd
    text_bytes   INTEGER NOT NULL,   -- before compression
    is_truncated INTEGER NOT NULL,
    pages        INTEGER,
    charset      TEXT,
    detail       TEXT,               -- what should be known: why it failed, what was hidden
    read_at      TEXT NOT NULL
) STRICT;

CREATE INDEX result_by_file ON result (sha256, number);

CREATE TABLE thumbnail (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    image  BLOB NOT NULL
) STRICT, WITHOUT ROWID;
