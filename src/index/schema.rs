//! The fields of a document.

use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions};

use super::tokenizer::FOLD;

/// Changes whenever documents are made differently: an index of another version is rebuilt.
pub const SCHEMA_VERSION: u32 = 2;

/// The fields of a document: one document for each reading of a message, comment or file.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) schema: Schema,
    /// Record number: the key by which a document is replaced.
    pub(super) seq: Field,
    /// A checksum of all that the document was made of.
    pub(super) check: Field,
    /// `message`, `comment`, `file`.
    pub(super) kind: Field,
    /// Every channel it stands in, canonical.
    pub(super) channel: Field,
    /// Who wrote it.
    pub(super) author: Field,
    /// Who is named in it.
    pub(super) mention: Field,
    /// When, microseconds since 1970.
    pub(super) ts: Field,
    /// A number for its first channel, by which equal times are ordered for who may see all channels.
    pub(super) place: Field,
    /// When we first saw it read so, when we saw the next reading, and when it went and came back, in turn.
    pub(super) observed: Field,
    pub(super) replaced: Field,
    pub(super) gone: Field,
    /// `current`, `edited`, `deleted`.
    pub(super) state: Field,
    /// `link`, `file`, `reaction`, `edited`, `bot`, `im`, `comment` …
    pub(super) flag: Field,
    /// Names of reactions.
    pub(super) reaction: Field,
    /// Of a file: its extension, type, size, digest, and what became of reading its text.
    pub(super) extension: Field,
    pub(super) mime: Field,
    pub(super) size: Field,
    pub(super) blob: Field,
    pub(super) status: Field,
    /// Numbers that a message, the files it carries and their comments have in common.
    pub(super) family: Field,
    /// The time stamp, file id or comment id.
    pub(super) key: Field,
    /// The comment that it is: `m:` and its id for one in a stream, `c:` for one read from its file.
    pub(super) comment: Field,
    /// What was written.
    pub(super) body: Field,
    /// A file's name and title.
    pub(super) title: Field,
    /// What was read in a file.
    pub(super) content: Field,
}

pub(super) fn fields() -> Fields {
    let mut builder = Schema::builder();
    let folded =
        TextFieldIndexing::default().set_tokenizer(FOLD).set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = TextOptions::default().set_indexing_options(folded);
    let raw_fast = STRING | FAST;
    let seq = builder.add_u64_field("seq", INDEXED | FAST);
    let check = builder.add_u64_field("check", FAST);
    let kind = builder.add_text_field("kind", raw_fast.clone());
    let channel = builder.add_text_field("channel", raw_fast.clone());
    let author = builder.add_text_field("author", raw_fast.clone());
    let mention = builder.add_text_field("mention", STRING);
    let ts = builder.add_i64_field("ts", INDEXED | FAST);
    let place = builder.add_u64_field("place", FAST);
    let observed = builder.add_i64_field("observed", FAST);
    let replaced = builder.add_i64_field("replaced", FAST);
    let gone = builder.add_i64_field("gone", FAST);
    let state = builder.add_text_field("state", raw_fast.clone());
    let flag = builder.add_text_field("flag", STRING);
    let reaction = builder.add_text_field("reaction", STRING);
    let extension = builder.add_text_field("extension", raw_fast.clone());
    let mime = builder.add_text_field("mime", STRING);
    let size = builder.add_u64_field("size", INDEXED | FAST);
    let blob = builder.add_text_field("blob", STRING);
    let status = builder.add_text_field("status", raw_fast);
    let family = builder.add_u64_field("family", INDEXED | FAST);
    let key = builder.add_text_field("key", STRING);
    let comment = builder.add_text_field("comment", STRING);
    let body = builder.add_text_field("body", text.clone());
    let title = builder.add_text_field("title", text.clone());
    let content = builder.add_text_field("content", text);
    Fields {
        schema: builder.build(),
        seq,
        check,
        kind,
        channel,
        author,
        mention,
        ts,
        place,
        observed,
        replaced,
        gone,
        state,
        flag,
        reaction,
        extension,
        mime,
        size,
        blob,
        status,
        family,
        key,
        comment,
        body,
        title,
        content,
    }
}
