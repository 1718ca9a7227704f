-- What the pages keep for those who look: where a session came from, who may take sets away, saved
-- searches, exhibits, and the sets that were asked for from a page.

ALTER TABLE user ADD COLUMN may_export INTEGER NOT NULL DEFAULT 0;

-- The address and the browser's own words of the one who signed in.
ALTER TABLE session ADD COLUMN came_from TEXT;
ALTER TABLE session ADD COLUMN agent TEXT;

-- The token with which the first account is made: its SHA-256, and until when it holds.
CREATE TABLE setup (
  digest  BLOB PRIMARY KEY CHECK (length(digest) = 32),
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whose account somebody has whom a provider signs in: what the provider calls them, which never changes there.
CREATE TABLE provided (
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  user    TEXT NOT NULL REFERENCES user (name),
  PRIMARY KEY (issuer, subject),
  UNIQUE (issuer, user)
) STRICT, WITHOUT ROWID;

-- The second factor of an account: what its secret is made of together with a key that lies elsewhere, since when that
-- is known (seconds since 1970), whether a code is asked for, and the step of time of the last one that was used.
CREATE TABLE second_factor (
  user      TEXT PRIMARY KEY REFERENCES user (name),
  salt      BLOB NOT NULL CHECK (length(salt) = 16),
  begun     INTEGER NOT NULL,
  is_on     INTEGER NOT NULL DEFAULT 0,
  last_step INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- `address` is what stands after the `?` of the search.
CREATE TABLE saved_search (
  id      INTEGER PRIMARY KEY,
  user    TEXT NOT NULL REFERENCES user (name),
  name    TEXT NOT NULL,
  address TEXT NOT NULL,
  saved   TEXT NOT NULL,
  UNIQUE (user, name)
) STRICT;

-- Records that somebody put together to show them. It holds numbers, no contents. No number is ever given twice:
-- the access log names exhibits and sets by theirs.
CREATE TABLE exhibit (
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  user  TEXT NOT NULL REFERENCES user (name),
  title TEXT NOT NULL,
  made  TEXT NOT NULL
) STRICT;

CREATE TABLE exhibit_record (
  exhibit INTEGER NOT NULL REFERENCES exhibit (id),
  record  INTEGER NOT NULL,
  PRIMARY KEY (exhibit, record)
) STRICT, WITHOUT ROWID;

-- A set that was asked for from a page. `asked` is the form, `report` what `export --json` prints.
CREATE TABLE export_job (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  user   TEXT NOT NULL REFERENCES user (name),
  asked  TEXT NOT NULL,
  state  TEXT NOT NULL,
  began  TEXT NOT NULL,
  ended  TEXT,
  report TEXT,
  error  TEXT
) STRICT;

-- What entries of the access log are found by: src/store/access_list.rs asks for the same expressions.
CREATE INDEX entry_who ON entry (CASE WHEN json_valid(body) THEN coalesce(json_extract(body, '$.user'), json_extract(body, '$.token'), json_extract(body, '$.subject')) END);
CREATE INDEX entry_action ON entry (CASE WHEN json_valid(header) THEN json_extract(header, '$.action') END);
CREATE INDEX entry_at ON entry (CASE WHEN json_valid(header) THEN json_extract(header, '$.at') END);
