use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use url::Url;

use super::http::{Reply, host, post};
use super::{Error, Offer};
use crate::ledger::{CosignerKey, Note};

/// An answer is a line or a few.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// The media type of a size in a refusal.
const SIZE: &str = "text/x.tlog.size";

/// What came of one request.
enum Answer {
    /// Cosignatures, checked.
    Cosigned(Vec<u8>),
    /// The witness was last given another size.
    Known(u64),
}

/// Offers the checkpoint, and once more when the witness has seen another one than we believe.
pub(super) async fn submit(
    url: &Url,
    proxy: Option<&Url>,
    key: &CosignerKey,
    offer: Offer<'_>,
) -> Result<Vec<u8>, Error> {
    let size = offer.checkpoint.size;
    let believed = offer.last.unwrap_or(0).min(size);
    let known = match ask(url, proxy, key, offer, believed).await? {
        Answer::Cosigned(lines) => return Ok(lines),
        Answer::Known(known) => known,
    };
    if known > size {
        return Err(Error::Contradicts(format!(
            "the witness {} has seen {known} records of this archive, which has {size}: an older copy of it was put back",
            key.name()
        )));
    }
    if known == believed {
        return Err(repeated(key.name(), &host(url), known, size));
    }
    match ask(url, proxy, key, offer, known).await? {
        Answer::Cosigned(lines) => Ok(lines),
        Answer::Known(again) if again == known => Err(repeated(key.name(), &host(url), known, size)),
        Answer::Known(_) => Err(Error::Unavailable(format!(
            "the witness {} is given checkpoints of this archive by someone else at the same time; the next one is offered again",
            key.name()
        ))),
    }
}

/// `POST <url>/add-checkpoint` with the proof from `old` records on.
async fn ask(url: &Url, proxy: Option<&Url>, key: &CosignerKey, offer: Offer<'_>, old: u64) -> Result<Answer, Error> {
    let body = request(offer, old)?;
    let mut url = url.clone();
    let path = format!("{}/add-checkpoint", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let reply = post(url.clone(), proxy, "text/plain; charset=utf-8", body.into_bytes(), MAX_ANSWER_BYTES).await?;
    read(reply, &url, key, offer)
}

/// The body of a request.
fn request(offer: Offer<'_>, old: u64) -> Result<String, Error> {
    let mut body = format!("old {old}\n");
    for hash in offer.reader.consistency(old, offer.checkpoint.size)? {
        body.push_str(&BASE64.encode(hash.0));
        body.push('\n');
    }
    body.push('\n');
    body.push_str(offer.note);
    Ok(body)
}

fn read(reply: Reply, url: &Url, key: &CosignerKey, offer: Offer<'_>) -> Result<Answer, Error> {
    let Reply { status, media_type, body } = reply;
    let (name, place) = (key.name(), host(url));
    let refused = |detail: String| Err(Error::Refused(format!("the witness {name} at {place} {detail}")));
    match status {
        200 => match check(&body, offer.note, key) {
            Ok(_) => Ok(Answer::Cosigned(body)),
            Err(detail) => refused(format!(
                "answered with something else than its cosignature: {detail}; compare `key` in archive.toml with its operator"
            )),
        },
        409 if media_type == SIZE => {
            let text = std::str::from_utf8(&body).ok().and_then(|text| text.strip_suffix('\n'));
            let size = text.and_then(|text| text.parse().ok().filter(|size: &u64| size.to_string() == text));
            match size {
                Some(size) => Ok(Answer::Known(size)),
                None => refused("answered that it knows another size, and not which".to_owned()),
            }
        }
        // What a witness calls the same size with another root: 422 of old, 409 since.
        409 | 422 => Err(other_history(name, &place)),
        400 => refused("took the request for malformed: it may be no C2SP witness, or a much older one".to_owned()),
        403 => refused(format!(
            "does not accept the key of this archive: give its operator {}",
            offer.keys.first().map(crate::ledger::VerifierKey::to_text).unwrap_or_default()
        )),
        404 => refused(format!(
            "does not know this archive: give its operator the origin {} and the key {}, or correct `url`",
            offer.checkpoint.origin,
            offer.keys.first().map(crate::ledger::VerifierKey::to_text).unwrap_or_default()
        )),
        429 | 500..=599 => Err(Error::Unavailable(format!(
            "the witness {name} at {place} can't answer now ({status}); the next checkpoint is offered again"
        ))),
        300..=399 => refused(format!("points to another address ({status}): give that one in archive.toml")),
        _ => refused(format!("answered {status}: is `url` in archive.toml right?")),
    }
}

/// The witness names the size that it was just told. Of the checkpoint's own size, that means
/// another root; of any other, nothing.
fn repeated(name: &str, place: &str, known: u64, size: u64) -> Error {
    if known == size {
        return other_history(name, place);
    }
    Error::Refused(format!(
        "the witness {name} at {place} says that it knows {known} records, which is what it was told: ask its operator"
    ))
}

/// What the witness was given before is no beginning of this archive.
fn other_history(name: &str, place: &str) -> Error {
    Error::Contradicts(format!(
        "the witness {name} at {place} has seen another history of this archive: run `verify`, and compare with copies of its checkpoints"
    ))
}

/// Whether an answer holds a cosignature by `key` of the checkpoint in `note`, and none by it that is
/// wrong; the time that it names, in seconds since 1970. Lines by other keys are passed over.
pub(super) fn check(answer: &[u8], note: &str, key: &CosignerKey) -> Result<u64, String> {
    let lines = std::str::from_utf8(answer).map_err(|_| "it is not UTF-8".to_owned())?;
    let note = Note::parse(note.as_bytes()).map_err(|error| error.to_string())?;
    let cosigned = Note::parse(format!("{}\n{lines}", note.text()).as_bytes()).map_err(|error| error.to_string())?;
    // An answer with an empty line in it would be read as more text.
    if cosigned.text() != note.text() {
        return Err("it is more than signature lines".to_owned());
    }
    key.verify(&cosigned).map_err(|error| error.to_string())
}
