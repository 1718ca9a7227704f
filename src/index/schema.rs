use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::TextAnalyzer;

use super::fold::Fold;

/// Changes whenever documents are made differently: an index of another version is rebuilt.
pub const SCHEMA_VERSION: u32 = 1;

/// Name of the tokenizer in the schema.
const FOLD: &str = "fold1";

/// The fields of a document: one document for each reading of a message, comment or file.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) schema: Schema,
    /// Record number: the key by which a document is replaced.
    pub(super) seq: Field,
    /// `message`, `comment`, `file`.
    pub(super) kind: Field,
    /// Every channel it stands in, canonical.
    pub(super) channel: Field,
    /// Who wrote it.
    pub(super) author: Field,
    /// When, microseconds since 1970.
    pub(super) ts: Field,
    /// A number for the channel, by which equal times are ordered.
    pub(super) place: Field,
    /// `current`, `edited`, `deleted`.
    pub(super) state: Field,
    /// `link`, `file`, `reaction`, `edited`, `bot`, `im`, `comment` …
    pub(super) flag: Field,
    /// Extension of a file.
    pub(super) extension: Field,
    /// The time stamp, file id or comment id.
    pub(super) key: Field,
    /// The comment that it is: `m:` and its id for one in a stream, `c:` for one read from its file.
    pub(super) comment: Field,
    /// What was written.
    pub(super) body: Field,
    /// A file's name and title.
    pub(super) title: Field,
}

pub(super) fn fields() -> Fields {
    let mut builder = Schema::builder();
    let folded =
        TextFieldIndexing::default().set_tokenizer(FOLD).set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = TextOptions::default().set_indexing_options(folded);
    let raw_fast = STRING | FAST;
    let seq = builder.add_u64_field("seq", INDEXED | FAST);
    let kind = builder.add_text_field("kind", raw_fast.clone());
    let channel = builder.add_text_field("channel", raw_fast.clone());
    let author = builder.add_text_field("author", raw_fast.clone());
    let ts = builder.add_i64_field("ts", INDEXED | FAST);
    let place = builder.add_u64_field("place", FAST);
    let state = builder.add_text_field("state", raw_fast);
    let flag = builder.add_text_field("flag", STRING);
    let extension = builder.add_text_field("extension", STRING);
    let key = builder.add_text_field("key", STRING);
    let comment = builder.add_text_field("comment", STRING);
    let body = builder.add_text_field("body", text.clone());
    let title = builder.add_text_field("title", text);
    Fields {
        schema: builder.build(),
        seq,
        kind,
        channel,
        author,
        ts,
        place,
        state,
        flag,
        extension,
        key,
        comment,
        body,
        title,
    }
}

/// Makes the tokenizer known to an index that was opened.
pub(super) fn register(index: &tantivy::Index) {
    index.tokenizers().register(FOLD, TextAnalyzer::from(Fold));
}
