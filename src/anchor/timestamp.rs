//! Time-stamps of RFC 3161: that a checkpoint existed at a time, by the word of an authority.
//!
//! The request is the SHA-256 of the signed note's bytes. The answer is kept as it came; here it is
//! read no further than to know that it was granted for these bytes and this request. That the
//! authority signed it, and who vouches for the authority, is checked with
//! `openssl ts -verify -data NOTE -in TOKEN -CAfile AUTHORITY`.

use url::Url;

use super::der::{
    BIT_STRING, BOOLEAN, CONTEXT_0, GENERALIZED_TIME, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, SET, expect,
    optional, take, unsigned, value,
};
use super::http::{Reply, host, post};
use super::{Error, Offer};
use crate::model::Digest;
use crate::store;

/// An answer is a few kilobytes: a signature and its certificates.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// SHA-256: 2.16.840.1.101.3.4.2.1.
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// Signed data (RFC 5652): 1.2.840.113549.1.7.2.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// What is signed in a time-stamp: 1.2.840.113549.1.9.16.1.4.
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];

/// The `TimeStampReq` (RFC 3161 section 2.4.1) for these bytes, with the authority's certificate asked
/// for, so that the answer can be checked by itself.
fn request(imprint: &Digest, nonce: u64) -> Vec<u8> {
    let algorithm = value(SEQUENCE, &[value(OID, SHA_256), value(NULL, &[])].concat());
    let imprint = value(SEQUENCE, &[algorithm, value(OCTET_STRING, &imprint.0)].concat());
    let version = value(INTEGER, &[1]);
    let nonce = value(INTEGER, &unsigned(nonce));
    value(SEQUENCE, &[version, imprint, nonce, value(BOOLEAN, &[0xff])].concat())
}

/// Asks for a time-stamp of the signed note.
pub(super) async fn submit(url: &Url, proxy: Option<&Url>, offer: Offer<'_>) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce)
        .map_err(|error| store::Error::Io(std::io::Error::other(format!("no random number: {error}"))))?;
    let nonce = u64::from_be_bytes(nonce);
    let note = offer.note.as_bytes();
    let body = request(&Digest::of(note), nonce);
    let Reply { status, body, .. } =
        post(url.clone(), proxy, "application/timestamp-query", body, MAX_ANSWER_BYTES).await?;
    let place = host(url);
    match status {
        200 => check(&body, note, Some(nonce)).map(|()| body).map_err(|detail| {
            Error::Refused(format!("the time-stamping authority at {place} gave no time-stamp: {detail}"))
        }),
        429 | 500..=599 => Err(Error::Unavailable(format!(
            "the time-stamping authority at {place} can't answer now ({status}); the next checkpoint is offered again"
        ))),
        _ => Err(Error::Refused(format!(
            "the time-stamping authority at {place} answered {status}: is `url` in archive.toml right?"
        ))),
    }
}

/// Whether a `TimeStampResp` grants a time-stamp for the bytes of `note` and, where one is given, for
/// the request with this nonce.
pub(super) fn check(answer: &[u8], note: &[u8], nonce: Option<u64>) -> Result<(), String> {
    let mut input = answer;
    let unread = || "it is no time-stamp response in DER".to_owned();
    let mut response = expect(&mut input, SEQUENCE).filter(|_| input.is_empty()).ok_or_else(unread)?;
    let mut status = expect(&mut response, SEQUENCE).ok_or_else(unread)?;
    granted(&mut status).ok_or_else(unread)??;
    let mut info = info(&mut response).ok_or_else(|| "it holds no signed time-stamp in DER".to_owned())?;
    let stamp = stamp(&mut info).ok_or_else(|| "its time-stamp is not of the form that RFC 3161 defines".to_owned())?;
    if stamp.algorithm != SHA_256 || stamp.imprint != Digest::of(note).0 {
        return Err("it is for other bytes than this checkpoint's".to_owned());
    }
    match nonce {
        Some(nonce) if stamp.nonce != Some(unsigned(nonce).as_slice()) => {
            Err("it is the answer to another request".to_owned())
        }
        _ => Ok(()),
    }
}

/// Reads a `PKIStatusInfo`: whether it grants (0), grants with changes (1), or why not.
fn granted(status: &mut &[u8]) -> Option<Result<(), String>> {
    let code = expect(status, INTEGER)?;
    if matches!(code, [0 | 1]) {
        return Some(Ok(()));
    }
    // Words of the authority's, which are not repeated.
    let _said = optional(status, SEQUENCE);
    let why = optional(status, BIT_STRING).and_then(first_bit).and_then(|bit| {
        let known = [
            (0, "it does not accept SHA-256"),
            (2, "it does not allow this request"),
            (5, "it can't read the request"),
            (14, "its clock is out of order"),
            (15, "it does not have the policy that was asked for"),
            (16, "it does not have the extension that was asked for"),
            (17, "it does not have what was asked for besides"),
            (25, "it is out of order"),
        ];
        known.iter().find(|(number, _)| *number == bit).map(|(_, words)| *words)
    });
    let code = code.iter().fold(0_u32, |code, byte| code.wrapping_shl(8) | u32::from(*byte));
    Some(Err(format!("it was refused with status {code}: {}", why.unwrap_or("no reason is given"))))
}

/// The number of the first bit that is set; the first byte counts the unused bits.
fn first_bit(bits: &[u8]) -> Option<usize> {
    let bytes = bits.get(1..)?;
    let at = bytes.iter().position(|byte| *byte != 0)?;
    Some(at * 8 + usize::try_from(bytes[at].leading_zeros()).ok()?)
}

/// The `TSTInfo` inside a `ContentInfo` of signed data (RFC 5652 sections 3 and 5.1).
fn info<'a>(response: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut content = expect(response, SEQUENCE)?;
    if !response.is_empty() || expect(&mut content, OID)? != SIGNED_DATA {
        return None;
    }
    let mut explicit = expect(&mut content, CONTEXT_0)?;
    let mut signed = expect(&mut explicit, SEQUENCE)?;
    expect(&mut signed, INTEGER)?;
    expect(&mut signed, SET)?;
    let mut encapsulated = expect(&mut signed, SEQUENCE)?;
    if expect(&mut encapsulated, OID)? != TST_INFO {
        return None;
    }
    let mut explicit = expect(&mut encapsulated, CONTEXT_0)?;
    let mut octets = expect(&mut explicit, OCTET_STRING)?;
    expect(&mut octets, SEQUENCE)
}

struct Stamp<'a> {
    algorithm: &'a [u8],
    imprint: &'a [u8],
    nonce: Option<&'a [u8]>,
}

/// Reads a `TSTInfo` (RFC 3161 section 2.4.2) as far as its nonce.
fn stamp<'a>(info: &mut &'a [u8]) -> Option<Stamp<'a>> {
    expect(info, INTEGER).filter(|version| *version == [1])?;
    expect(info, OID)?;
    let mut message = expect(info, SEQUENCE)?;
    let mut algorithm = expect(&mut message, SEQUENCE)?;
    let algorithm = expect(&mut algorithm, OID)?;
    let imprint = expect(&mut message, OCTET_STRING)?;
    expect(info, INTEGER)?;
    expect(info, GENERALIZED_TIME)?;
    // Accuracy and ordering may stand before the nonce; the authority's name and extensions after it.
    let _accuracy = optional(info, SEQUENCE);
    let _ordering = optional(info, BOOLEAN);
    let nonce = optional(info, INTEGER);
    while !info.is_empty() {
        take(info)?;
    }
    Some(Stamp { algorithm, imprint, nonce })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response as an authority gives it, its signature left out.
    fn response(status: &[u8], note: &[u8], nonce: u64) -> Vec<u8> {
        let algorithm = value(SEQUENCE, &[value(OID, SHA_256), value(NULL, &[])].concat());
        let imprint = value(SEQUENCE, &[algorithm.clone(), value(OCTET_STRING, &Digest::of(note).0)].concat());
        let info = [
            value(INTEGER, &[1]),
            value(OID, &[0x2a, 0x03]),
            imprint,
            value(INTEGER, &[7]),
            value(GENERALIZED_TIME, b"20260304092207Z"),
            value(SEQUENCE, &value(INTEGER, &[1])),
            value(INTEGER, &unsigned(nonce)),
            value(CONTEXT_0, &[]),
        ];
        let info = value(SEQUENCE, &info.concat());
        let encapsulated = [value(OID, TST_INFO), value(CONTEXT_0, &value(OCTET_STRING, &info))].concat();
        let signed = [value(INTEGER, &[3]), value(SET, &algorithm), value(SEQUENCE, &encapsulated)].concat();
        let content = [value(OID, SIGNED_DATA), value(CONTEXT_0, &value(SEQUENCE, &signed))].concat();
        let status = value(SEQUENCE, &value(INTEGER, status));
        value(SEQUENCE, &[status, value(SEQUENCE, &content)].concat())
    }

    #[test]
    fn a_request_is_what_openssl_makes() {
        // `openssl ts -query -data FILE -sha256 -cert` of a file with this digest drew this nonce.
        let imprint = "f909c6727467bea9bea396cef0c645426153a8e342df2933c89eeaf6fd4f1ac4".parse().unwrap();
        let bytes = request(&imprint, 0x1bec_d988_8395_005e);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "30430201013031300d060960864801650304020105000420f909c6727467bea9bea396cef0c645426153a8e342df2933c89eeaf6fd4f1ac4\
             02081becd9888395005e0101ff"
        );
    }

    #[test]
    fn a_grant_for_this_note_and_request_is_accepted() {
        for nonce in [0, 1, 200, u64::MAX] {
            assert_eq!(check(&response(&[0], b"note", nonce), b"note", Some(nonce)), Ok(()));
            assert_eq!(check(&response(&[1], b"note", nonce), b"note", None), Ok(()));
        }
    }

    #[test]
    fn another_note_request_or_form_is_refused() {
        let good = response(&[0], b"note", 9);
        for (bytes, note, nonce, words) in [
            (good.clone(), &b"another"[..], Some(9), "other bytes"),
            (good.clone(), b"note", Some(10), "another request"),
            (response(&[2], b"note", 9), b"note", Some(9), "status 2"),
            (b"<html>".to_vec(), b"note", None, "no time-stamp response"),
            ([good.clone(), vec![0]].concat(), b"note", None, "no time-stamp response"),
            (good[..good.len() - 1].to_vec(), b"note", None, "no time-stamp response"),
            (value(SEQUENCE, &value(SEQUENCE, &value(INTEGER, &[0]))), b"note", None, "no signed time-stamp"),
        ] {
            let detail = check(&bytes, note, nonce).unwrap_err();
            assert!(detail.contains(words), "{detail}");
        }
    }

    #[test]
    fn no_change_of_a_byte_is_an_answer_for_other_bytes() {
        let good = response(&[0], b"note", 9);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                assert!(check(&bytes, b"another note", Some(9)).is_err(), "byte {at}");
            }
            assert!(check(&good[..at], b"note", Some(9)).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let reasons = [(&[7, 0x80][..], "SHA-256"), (&[1, 0, 0x02], "clock"), (&[6, 0, 0, 0, 0x40], "out of order")];
        for (bits, words) in reasons {
            let said = value(SEQUENCE, &value(0x0c, b"secret words"));
            let status = [value(INTEGER, &[2]), said, value(BIT_STRING, bits)].concat();
            let detail = check(&value(SEQUENCE, &value(SEQUENCE, &status)), b"note", None).unwrap_err();
            assert!(detail.contains(words) && !detail.contains("secret"), "{detail}");
        }
    }
}
