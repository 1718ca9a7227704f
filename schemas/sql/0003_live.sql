-- Deletions of which a live event told and that are not recorded as deletions yet, with the number of
-- the event's record: whoever finds the message gone names it as a witness. Crawl state, no evidence.
CREATE TABLE told (
  source  INTEGER NOT NULL,
  channel TEXT NOT NULL,
  ts      INTEGER NOT NULL,
  event   INTEGER NOT NULL,
  PRIMARY KEY (source, channel, ts)
) STRICT, WITHOUT ROWID;
