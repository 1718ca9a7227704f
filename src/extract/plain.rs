//! Text, tables, notes, source code: what a person can read as it is.

use super::charset;
use super::output::{Output, Trouble};

/// Reads it.
#[expect(clippy::unnecessary_wraps, reason = "every format has this signature")]
pub(super) fn read(bytes: &[u8], out: &mut Output, _: u32) -> Result<(), Trouble> {
    let found = charset::find(bytes, None);
    charset::say(found, out);
    charset::write(bytes, found, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::super::formats::tests::{read_all, read_within};
    use super::super::output::Limits;

    #[test]
    fn text_is_read_in_its_character_set() {
        for (bytes, expected) in
            [(&b"a,b\r\nc,d"[..], "a,b\nc,d"), (b"\xff\xfea\0\x11\x01", "ađ"), ("\u{feff}x".as_bytes(), "x"), (b"", "")]
        {
            let (status, text, _) = read_all("a.csv", bytes);
            assert_eq!((status, text.as_str()), (Status::Ok, expected));
        }
    }

    #[test]
    fn a_letter_across_two_chunks_stays_one() {
        let long = format!("x{}", "é".repeat(100_000));
        let (status, text, _) = read_all("a.txt", long.as_bytes());
        assert_eq!(status, Status::Ok);
        assert!(text == long, "{} bytes of {}", text.len(), long.len());
    }

    #[test]
    fn more_text_than_is_kept_is_partial() {
        let limits = Limits { text_bytes: 100, ..Limits::default() };
        let (status, text, _) = read_within("a.txt", &[b'a'; 1000], limits);
        assert_eq!((status, text.len()), (Status::Partial, 100));
    }
}
