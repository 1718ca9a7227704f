//! What became of each record in scope, as the format says when it writes it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Error;
use super::unit::Cell;
use crate::model::{ChannelId, RecordSeq};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the set.
    Produced,
    /// A slip-sheet is, in its place.
    Withheld,
    /// The format has no room for it; it is listed.
    NotCarried,
    /// It should be in the set and is not, or not whole; it is listed.
    Exception,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Produced, Self::Withheld, Self::NotCarried, Self::Exception];

    fn place(self) -> usize {
        self as usize
    }
}

/// How many records of a cell came out how, in the order of [`Outcome`].
pub(super) type Counts = [u64; 4];

/// Marks a line that names a cell.
const CELL: u8 = 255;
/// Marks a record that is withheld, whatever became of it.
const HIDDEN: u8 = 64;

#[derive(Serialize, Deserialize)]
struct CellLine {
    custodian: String,
    conversation: String,
    day: String,
}

/// Numbers of records, one bit each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Adds a number.
    pub(super) fn insert(&mut self, seq: RecordSeq) {
        let at = usize::try_from(seq.0 / 64).unwrap_or(usize::MAX);
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (seq.0 % 64);
    }

    /// Whether a number is there.
    pub(super) fn contains(&self, seq: u64) -> bool {
        usize::try_from(seq / 64).ok().and_then(|at| self.0.get(at)).is_some_and(|word| word >> (seq % 64) & 1 == 1)
    }

    /// Whether any number of `from..to` is there.
    pub(super) fn any(&self, from: u64, to: u64) -> bool {
        let mut at = from;
        while at < to {
            let word = usize::try_from(at / 64).ok().and_then(|place| self.0.get(place));
            let Some(word) = word else { return false };
            let rest = word >> (at % 64);
            if rest != 0 {
                return at + u64::from(rest.trailing_zeros()) < to;
            }
            at = (at / 64 + 1) * 64;
        }
        false
    }
}

/// The accounts of a set. They are written to a file beside the bag while it is made, so that a run that was
/// cut off goes on with them.
pub(super) struct Accounts {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    numbers: HashMap<Cell, u32>,
    cells: Vec<Cell>,
    counts: Vec<Counts>,
    /// The records there is an account of.
    pub(super) shown: Bits,
    /// Those of them that are withheld: their proof shows no more than that they are there.
    pub(super) hidden: Bits,
    people: HashMap<String, Arc<str>>,
    written: u64,
}

impl Accounts {
    /// Begins, or goes on after `bytes` of what is there.
    pub(super) fn open(folder: &Path, bytes: u64) -> Result<Self, Error> {
        let path = folder.join("outcomes.log");
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(Error::file("write", &path))?;
        if file.metadata().map_err(Error::file("read", &path))?.len() < bytes {
            let short = std::io::Error::other("it is shorter than it was when the run was cut off");
            return Err(Error::file("go on with", &path)(short));
        }
        file.set_len(bytes).map_err(Error::file("write", &path))?;
        std::io::Seek::rewind(&mut file).map_err(Error::file("read", &path))?;
        let reader = file.try_clone().map_err(Error::file("read", &path))?;
        let mut accounts = Self {
            path: path.clone(),
            file: BufWriter::new(file),
            bytes,
            numbers: HashMap::new(),
            cells: Vec::new(),
            counts: Vec::new(),
            shown: Bits::default(),
            hidden: Bits::default(),
            people: HashMap::new(),
            written: 0,
        };
        accounts.read(BufReader::new(reader)).map_err(Error::file("read", &path))?;
        Ok(accounts)
    }

    fn read(&mut self, mut reader: BufReader<File>) -> std::io::Result<()> {
        let mut tag = [0];
        while reader.read(&mut tag)? == 1 {
            let mut number = [0; 4];
            reader.read_exact(&mut number)?;
            let number = u32::from_le_bytes(number);
            if tag[0] == CELL {
                let mut text = vec![0; number as usize];
                reader.read_exact(&mut text)?;
                let line: CellLine = serde_json::from_slice(&text)?;
                let conversation =
                    ChannelId::parse(&line.conversation).ok_or_else(|| std::io::Error::other("no channel"))?;
                let day = line.day.parse().map_err(std::io::Error::other)?;
                let custodian =
                    self.people.entry(line.custodian.clone()).or_insert_with(|| line.custodian.into()).clone();
                self.enter(Cell { custodian, conversation, day });
                continue;
            }
            let mut seq = [0; 8];
            reader.read_exact(&mut seq)?;
            let (is_hidden, outcome) = (tag[0] & HIDDEN != 0, tag[0] & !HIDDEN);
            let outcome = Outcome::ALL.get(usize::from(outcome)).copied();
            let (Some(outcome), Some(_)) = (outcome, self.cells.get(number as usize)) else {
                return Err(std::io::Error::other("a line of it is none that was written"));
            };
            self.note(outcome, number, RecordSeq(u64::from_le_bytes(seq)), is_hidden);
        }
        Ok(())
    }

    fn enter(&mut self, cell: Cell) -> u32 {
        let number = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        self.numbers.insert(cell.clone(), number);
        self.cells.push(cell);
        self.counts.push(Counts::default());
        number
    }

    fn note(&mut self, outcome: Outcome, number: u32, seq: RecordSeq, is_hidden: bool) {
        self.written += 1;
        self.counts[number as usize][outcome.place()] += 1;
        self.shown.insert(seq);
        if is_hidden {
            self.hidden.insert(seq);
        }
    }

    /// Notes what became of a record of a cell, and whether it is withheld.
    pub(super) fn add(&mut self, outcome: Outcome, cell: &Cell, seq: RecordSeq, is_hidden: bool) -> Result<(), Error> {
        let mut line = Vec::with_capacity(16);
        let number = if let Some(number) = self.numbers.get(cell) {
            *number
        } else {
            let text = serde_json::to_vec(&CellLine {
                custodian: cell.custodian.to_string(),
                conversation: cell.conversation.to_string(),
                day: cell.day.to_string(),
            });
            let text = text.unwrap_or_default();
            line.push(CELL);
            line.extend(u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
            line.extend(text);
            self.enter(cell.clone())
        };
        line.push(outcome as u8 | if is_hidden { HIDDEN } else { 0 });
        line.extend(number.to_le_bytes());
        line.extend(seq.0.to_le_bytes());
        self.note(outcome, number, seq, is_hidden);
        self.bytes += line.len() as u64;
        self.file.write_all(&line).map_err(Error::file("write", &self.path))
    }

    /// Hands everything to the system and says how many bytes there are.
    pub(super) fn flush(&mut self) -> Result<u64, Error> {
        self.file.flush().map_err(Error::file("write", &self.path))?;
        Ok(self.bytes)
    }

    /// The counts by cell.
    pub(super) fn by_cell(&self) -> BTreeMap<&Cell, Counts> {
        self.cells.iter().zip(self.counts.iter().copied()).collect()
    }

    /// How many records there are an account of.
    pub(super) fn totals_written(&self) -> u64 {
        self.written
    }

    /// Records by outcome, of all cells.
    pub(super) fn totals(&self) -> Counts {
        let mut out = Counts::default();
        for counts in &self.counts {
            for (total, count) in out.iter_mut().zip(counts) {
                *total += count;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn cell(day: u32) -> Cell {
        let day = NaiveDate::from_ymd_opt(2026, 1, day).unwrap();
        Cell { custodian: "ann".into(), conversation: ChannelId::parse("C1").unwrap(), day }
    }

    #[test]
    fn accounts_go_on_where_they_were_noted() {
        let folder = tempfile::tempdir().unwrap();
        let mut accounts = Accounts::open(folder.path(), 0).unwrap();
        accounts.add(Outcome::Produced, &cell(1), RecordSeq(5), false).unwrap();
        accounts.add(Outcome::Withheld, &cell(1), RecordSeq(6), true).unwrap();
        let bytes = accounts.flush().unwrap();
        let (counts, shown) = (accounts.totals(), accounts.shown.clone());
        accounts.add(Outcome::NotCarried, &cell(2), RecordSeq(900), false).unwrap();
        drop(accounts);
        let mut again = Accounts::open(folder.path(), bytes).unwrap();
        assert_eq!((again.totals(), &again.shown), (counts, &shown));
        assert_eq!(again.by_cell()[&cell(1)], [1, 1, 0, 0]);
        again.add(Outcome::Exception, &cell(1), RecordSeq(7), true).unwrap();
        let bytes = again.flush().unwrap();
        let last = Accounts::open(folder.path(), bytes).unwrap();
        assert_eq!(last.by_cell()[&cell(1)], [1, 1, 0, 1]);
        // What is withheld stays hidden, whatever became of it.
        let hidden = [5, 6, 7].map(|seq| last.hidden.contains(seq));
        assert_eq!(hidden, [false, true, true]);
    }

    #[test]
    fn bits_know_what_lies_between() {
        let mut bits = Bits::default();
        for seq in [3, 64, 700] {
            bits.insert(RecordSeq(seq));
        }
        for (from, to, expected) in [
            (0, 3, false),
            (0, 4, true),
            (4, 64, false),
            (4, 65, true),
            (65, 700, false),
            (65, 701, true),
            (701, 9000, false),
        ] {
            assert_eq!(bits.any(from, to), expected, "{from}..{to}");
        }
        assert_eq!((bits.contains(64), bits.contains(65)), (true, false));
    }
}
