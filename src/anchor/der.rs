//! As much of DER (X.690) as a time-stamp request and its answer take.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0]`, constructed.
pub(super) const CONTEXT_0: u8 = 0xa0;

/// One value: tag, length in its shortest form, contents.
pub(super) fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = contents.len();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
            out.push(0x80 | u8::try_from(bytes.len()).expect("a length has 8 bytes at most"));
            out.extend_from_slice(bytes);
        }
    }
    out.extend_from_slice(contents);
    out
}

/// Contents of a positive INTEGER: no more leading zeros than its sign needs.
pub(super) fn unsigned(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let mut digits = bytes[bytes.iter().take_while(|byte| **byte == 0).count().min(7)..].to_vec();
    if digits[0] >= 0x80 {
        digits.insert(0, 0);
    }
    digits
}

/// Takes the next value off `input`: its tag and its contents. `None` when there is none, when it is
/// cut off, or when it has a form that DER does not allow (indefinite length, long tags).
pub(super) fn take<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                bytes
                    .iter()
                    .try_fold(0_usize, |length, byte| length.checked_mul(256)?.checked_add(usize::from(*byte)))?,
                rest,
            )
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((*tag, contents))
}

/// Takes the next value, which must have this tag, and gives its contents.
pub(super) fn expect<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    take(input).filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
}

/// Takes the next value if it has this tag; leaves `input` as it is when it has another.
pub(super) fn optional<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let mut ahead = *input;
    let contents = expect(&mut ahead, tag)?;
    *input = ahead;
    Some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_in_their_shortest_form_and_read_back() {
        assert_eq!(value(NULL, &[]), [5, 0]);
        assert_eq!(value(OCTET_STRING, &[7; 127])[..2], [4, 127]);
        assert_eq!(value(OCTET_STRING, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(value(OCTET_STRING, &[7; 256])[..4], [4, 0x82, 1, 0]);
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let bytes = value(SEQUENCE, &vec![9; length]);
            let mut input = bytes.as_slice();
            assert_eq!(take(&mut input), Some((SEQUENCE, vec![9; length].as_slice())));
            assert!(input.is_empty());
            assert_eq!(take(&mut &bytes[..bytes.len() - 1]), None, "cut off");
        }
    }

    #[test]
    fn numbers_have_a_sign() {
        for (number, digits) in [
            (0, &[0][..]),
            (1, &[1]),
            (127, &[127]),
            (128, &[0, 128]),
            (256, &[1, 0]),
            (u64::MAX, &[0, 255, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            assert_eq!(unsigned(number), digits, "{number}");
        }
    }

    #[test]
    fn odd_forms_are_refused() {
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x3f, 0x81, 0],
            &[4, 0x82, 1],
            &[4, 0x84, 255, 255, 255, 255],
        ] {
            assert_eq!(take(&mut &*bad), None, "{bad:?}");
        }
        let both = [value(OID, &[1]), value(NULL, &[])].concat();
        let mut input = both.as_slice();
        assert_eq!(optional(&mut input, NULL), None);
        assert_eq!(optional(&mut input, OID), Some(&[1][..]));
        assert_eq!(expect(&mut input, NULL), Some(&[][..]));
    }
}
