-- What keepers elsewhere answered to a checkpoint: cosignatures, time-stamp tokens. `evidence` is
-- what each answered, byte for byte; empty for a folder, which keeps a copy and says nothing.
CREATE TABLE anchored (
  size     INTEGER NOT NULL,
  sink     TEXT NOT NULL,
  at       TEXT NOT NULL,
  evidence BLOB NOT NULL,
  PRIMARY KEY (size, sink)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER anchored_update BEFORE UPDATE ON anchored BEGIN SELECT RAISE(ABORT, 'answers never change'); END;
CREATE TRIGGER anchored_delete BEFORE DELETE ON anchored BEGIN SELECT RAISE(ABORT, 'answers are never removed'); END;
CREATE TRIGGER anchored_replace BEFORE INSERT ON anchored WHEN EXISTS (SELECT 1 FROM anchored WHERE size = NEW.size AND sink = NEW.sink)
BEGIN SELECT RAISE(ABORT, 'answers are never replaced'); END;

-- Guards that the first formats lacked.
CREATE TRIGGER archive_replace BEFORE INSERT ON archive WHEN EXISTS (SELECT 1 FROM archive)
BEGIN SELECT RAISE(ABORT, 'the archive row is never replaced'); END;
CREATE TRIGGER source_update BEFORE UPDATE ON source BEGIN SELECT RAISE(ABORT, 'sources never change'); END;
CREATE TRIGGER source_delete BEFORE DELETE ON source BEGIN SELECT RAISE(ABORT, 'sources are never removed'); END;
CREATE TRIGGER source_replace BEFORE INSERT ON source WHEN EXISTS (SELECT 1 FROM source WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'sources are never replaced'); END;
CREATE TRIGGER dictionary_replace BEFORE INSERT ON dictionary WHEN EXISTS (SELECT 1 FROM dictionary WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'dictionaries are never replaced'); END;
CREATE TRIGGER erased_replace BEFORE INSERT ON erased WHEN EXISTS (SELECT 1 FROM erased WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'erasures are never replaced'); END;
CREATE TRIGGER about_update BEFORE UPDATE ON about WHEN NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'what the archive says of itself changes only under maintenance'); END;
CREATE TRIGGER about_delete BEFORE DELETE ON about WHEN NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'what the archive says of itself changes only under maintenance'); END;
CREATE TRIGGER about_replace BEFORE INSERT ON about WHEN EXISTS (SELECT 1 FROM about WHERE name = NEW.name) AND NOT EXISTS (SELECT 1 FROM maintenance)
BEGIN SELECT RAISE(ABORT, 'what the archive says of itself changes only under maintenance'); END;
