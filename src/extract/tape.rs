//! tar archives, old and new: names as text, entries one level deeper. Long names of both kinds (GNU, pax) are
//! understood; links and devices are names only.

use super::embedded;
use super::output::{Output, Trouble};

const BLOCK: usize = 512;

/// Reads it.
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let mut rest = bytes;
    let mut long_name: Option<String> = None;
    while let Some((header, after)) = rest.split_at_checked(BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        if !has_right_sum(header) {
            return Err(Trouble::Damaged("a header of the tar is damaged".to_owned()));
        }
        let size =
            number(&header[124..136]).ok_or_else(|| Trouble::Damaged("a size in the tar is no number".to_owned()))?;
        let (content, is_whole) = match after.get(..size) {
            Some(content) => (content, true),
            None => (after, false),
        };
        match header[156] {
            b'L' => long_name = Some(text(content)),
            b'x' => long_name = pax_path(content).or(long_name),
            b'g' | b'K' => {}
            kind => {
                out.entry()?;
                let name = long_name.take().unwrap_or_else(|| short_name(header));
                if matches!(kind, b'0' | 0 | b'7') {
                    embedded(&name, content, out, depth);
                } else {
                    out.part(&name);
                }
                out.line_break();
            }
        }
        if !is_whole {
            return Err(Trouble::Damaged("the tar ends within an entry".to_owned()));
        }
        rest = after.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    Ok(())
}

/// Text up to the first zero.
fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn short_name(header: &[u8]) -> String {
    let name = text(&header[..100]);
    let prefix = if header.get(257..263) == Some(b"ustar\0") { text(&header[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// An octal number; sizes beyond what octal digits hold are more than any limit here.
fn number(field: &[u8]) -> Option<usize> {
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() { Some(0) } else { usize::from_str_radix(digits, 8).ok() }
}

fn has_right_sum(header: &[u8]) -> bool {
    let sum: usize = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { usize::from(*byte) })
        .sum();
    number(&header[148..156]) == Some(sum)
}

/// The path in a pax header: records of `length key=value`.
fn pax_path(content: &[u8]) -> Option<String> {
    String::from_utf8_lossy(content)
        .lines()
        .find_map(|line| line.split_once(' ')?.1.strip_prefix("path=").map(ToOwned::to_owned))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::super::formats::tests::read_all;

    fn entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        header.extend(content);
        header.resize(header.len().next_multiple_of(512), 0);
        header
    }

    #[test]
    fn names_and_contents_are_read() {
        let mut tar = entry("a.txt", b'0', b"first");
        tar.extend(entry("folder/", b'5', b""));
        tar.extend(entry("x", b'L', b"a/long/name.txt\0"));
        tar.extend(entry("a/long/na", b'0', b"second"));
        tar.extend(entry("x", b'x', "20 path=p\u{159}es.txt\n".as_bytes()));
        tar.extend(entry("pes", b'0', b"third"));
        tar.extend([0; 1024]);
        let (status, text, _) = read_all("a.tar", &tar);
        assert_eq!(status, Status::Ok);
        assert_eq!(text, "a.txt\nfirst\n\u{1d}folder/\n\u{1d}a/long/name.txt\nsecond\n\u{1d}přes.txt\nthird\n");
    }

    #[test]
    fn a_cut_or_damaged_one_keeps_what_was_read() {
        let mut tar = entry("a.txt", b'0', b"first");
        tar.extend(entry("b.txt", b'0', &[b'x'; 600]));
        let (status, text, _) = read_all("a.tar", &tar[..1024 + 512 + 10]);
        assert_eq!((status, text.as_str()), (Status::Partial, "a.txt\nfirst\n\u{1d}b.txt\nxxxxxxxxxx\n"));
        tar[1024] ^= 1;
        let (status, text, _) = read_all("a.tar", &tar);
        assert_eq!((status, text.as_str()), (Status::Partial, "a.txt\nfirst\n"));
    }
}
