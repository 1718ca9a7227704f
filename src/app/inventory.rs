//! The inventory of people and rooms that should be there: a CSV file `kind,id,name`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::history::ExpectedLine;

/// A longer file is no inventory.
const MAX_BYTES: u64 = 64 << 20;

/// Why an inventory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The file could not be read.
    #[error("can't read the inventory: {0}")]
    Io(#[from] std::io::Error),
    /// It is too long to be one.
    #[error("{0} is longer than 64 MiB: that is no inventory")]
    TooLong(PathBuf),
    /// It does not parse.
    #[error("{origin}, line {line}: {detail}")]
    Malformed {
        /// The file.
        origin: String,
        /// Which line.
        line: u64,
        /// What is wrong.
        detail: String,
    },
}

#[derive(Deserialize)]
struct Line {
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
}

/// Reads a file: its bytes, and what they say.
pub fn read(path: &Path) -> Result<(Vec<u8>, Vec<ExpectedLine>), InventoryError> {
    if fs_err::metadata(path)?.len() > MAX_BYTES {
        return Err(InventoryError::TooLong(path.to_owned()));
    }
    let bytes = fs_err::read(path)?;
    let lines = parse(&bytes, &path.display().to_string())?;
    Ok((bytes, lines))
}

/// What an inventory says. Its first line names the columns: `kind` (`account` or `room`), `id`,
/// `name`; a line needs an id or a name.
pub fn parse(bytes: &[u8], origin: &str) -> Result<Vec<ExpectedLine>, InventoryError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let malformed = |line, detail: String| InventoryError::Malformed { origin: origin.to_owned(), line, detail };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(bytes);
    let columns = reader.headers().map_err(|error| malformed(1, error.to_string()))?;
    if !columns.iter().any(|name| name == "kind") {
        return Err(malformed(1, "the first line names the columns: kind,id,name".to_owned()));
    }
    let mut out = Vec::new();
    for line in reader.deserialize::<Line>() {
        let number = |error: &csv::Error| error.position().map_or(0, csv::Position::line);
        let line = line.map_err(|error| malformed(number(&error), error.to_string()))?;
        let is_account = match line.kind.as_str() {
            "account" => true,
            "room" => false,
            other => {
                let at = out.len() as u64 + 2;
                return Err(malformed(at, format!("`{other}` is no kind: account or room")));
            }
        };
        if line.id.is_empty() && line.name.is_empty() {
            return Err(malformed(out.len() as u64 + 2, "neither an id nor a name".to_owned()));
        }
        out.push(ExpectedLine { is_account, id: line.id, name: line.name });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_rooms_with_quotes_and_without_ids() {
        let text = "\u{feff}kind,id,name\r\naccount,ann@h.example,\"Ann, the first\"\nroom,QQ==,quay\n\nroom,,dock\n";
        let lines = parse(text.as_bytes(), "t").unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!((lines[0].is_account, lines[0].name.as_str()), (true, "Ann, the first"));
        assert_eq!((lines[2].id.as_str(), lines[2].name.as_str()), ("", "dock"));
    }

    #[test]
    fn what_is_no_inventory_is_refused_with_its_line() {
        for (text, said) in [
            ("id,name\n1,a\n", "kind,id,name"),
            ("kind,id,name\nperson,1,a\n", "line 2: `person`"),
            ("kind,id,name\nroom,1,a\nroom,,\n", "line 3: neither"),
        ] {
            let error = parse(text.as_bytes(), "people.csv").unwrap_err().to_string();
            assert!(error.contains(said) && error.starts_with("people.csv"), "{error}");
        }
    }
}
