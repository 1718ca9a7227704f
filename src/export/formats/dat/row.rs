//! A row of a Concordance load file, and what each of its fields means.
//!
//! Every value stands between þ (C3 BE), values are parted by 0x14, a line break inside a value is ® (C2 AE),
//! and a row ends with CRLF. The three characters, and control characters, can't stand in a value: þ becomes
//! `th`, ® becomes `(R)`, the others become U+FFFD. Every value with a replacement is named to whoever writes
//! the row, who lists it; the texts of a document hold what was there. A semicolon parts the values of a field
//! that has several: one within a value becomes a comma, and is listed, too.

/// Parts values.
const SEPARATOR: char = '\u{14}';
/// Stands before and after each value.
const QUOTE: char = 'þ';
/// Stands for a line break in a value.
const BREAK: char = '®';
/// Between the values of a field that has several.
const BETWEEN: &str = "; ";

/// Fields in their order, each with its name and what it means.
macro_rules! columns {
    ($(#[$doc:meta])* $kind:ident $all:ident: $($variant:ident $name:literal $what:literal,)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $kind {
            $($variant,)*
        }

        impl From<$kind> for usize {
            fn from(column: $kind) -> Self {
                column as Self
            }
        }

        /// Names and meanings, in the order of the fields.
        pub(super) const $all: &[(&str, &str)] = &[$(($name, $what),)*];
    };
}

columns! {
    /// A field of the participants file.
    Who PARTICIPANTS:
    Conversation "CONVERSATIONID" "",
    Date "DATE" "",
    Name "CHANNELNAME" "",
    Topic "CHANNELTOPIC" "",
    Count "COUNT" "",
    People "PARTICIPANTS" "",
}

columns! {
    /// A field of the load file.
    Column COLUMNS:
    BegBates "BEGBATES" "number of the document; there is one number a document, and none is left out",
    EndBates "ENDBATES" "the same number",
    BegAttach "BEGATTACH" "first number of its family",
    EndAttach "ENDATTACH" "last number of its family; a document on its own is a family of one",
    ParentBates "PARENTBATES" "the document that it belongs to: of a file its message, of a comment its file; empty for a parent",
    AttachCount "ATTACHCOUNT" "of a parent: how many documents its family has beside it",
    Volume "VOLUME" "the volume in which it stands",
    Custodian "CUSTODIAN" "id of the person who wrote it, or the name of a program without one, as in RECONCILIATION.csv",
    DupCustodian "DUPCUSTODIAN" "ids of the other parties of the direct conversations in which it stands, as far as the source names them",
    DocType "DOCTYPE" "Chat message, Chat file, Chat comment or Chat pins",
    FileExt "FILEEXT" "ending of the file's name",
    FileName "FILENAME" "name of the file",
    Title "TITLE" "title of the file, where it has one",
    FileSize "FILESIZE" "bytes of the native",
    From "FROM" "who wrote it, by the name of the time; of a program to which the source gives no account the name alone",
    To "TO" "of a direct conversation the other party, else the channel",
    Cc "CC" "always empty: chat has none",
    Bcc "BCC" "always empty: chat has none",
    Subject "SUBJECT" "name of the conversation, as it was",
    DateSent "DATESENT" "day of the message, as the source says, in TIMEZONE",
    TimeSent "TIMESENT" "its time of day in TIMEZONE",
    DateCreated "DATECREATED" "of a file or a comment: day on which it was made, as the source says, in TIMEZONE",
    TimeCreated "TIMECREATED" "its time of day in TIMEZONE",
    DateMod "DATEMOD" "day of the last edit, of a file that of this version, as far as the source says one, in TIMEZONE",
    TimeMod "TIMEMOD" "its time of day in TIMEZONE",
    TimeZone "TIMEZONE" "the zone of all dates and times here that do not say UTC",
    UtcOffset "UTCOFFSET" "what that zone was ahead of UTC when it was sent",
    SentUtc "SENTUTC" "when it was sent, as the source says, in UTC",
    CreatedUtc "CREATEDUTC" "of a file or a comment: when it was made, as the source says, in UTC",
    EditedUtc "EDITEDUTC" "when that was, in UTC",
    Md5 "MD5HASH" "MD5 of the file that HASHOF names",
    Sha256 "SHA256" "SHA-256 of the file that HASHOF names",
    HashOf "HASHOF" "NATIVE, or TEXT where the document has no native",
    NativePath "NATIVEPATH" "the native, from the folder in which the volume lies",
    TextPath "TEXTPATH" "the text, from the folder in which the volume lies",
    PageCount "PAGECOUNT" "pages in the image load file: 1 for files and for what is withheld, 0 for chat, which has no page images",
    Confidentiality "CONFIDENTIALITY" "always empty: for the producing party to fill in",
    ConversationId "CONVERSATIONID" "id of the conversation",
    ChannelName "CHANNELNAME" "its name, as it was",
    ChannelTopic "CHANNELTOPIC" "its topic, as it was",
    ConversationType "CONVERSATIONTYPE" "channel or direct",
    AllConversations "ALLCONVERSATIONS" "of a file: ids of all the conversations in which it is known to stand",
    Participants "PARTICIPANTS" "who was in the conversation, as far as the source says; of more than 100 the first 100, and all of them in the participants file",
    ParticipantCount "PARTICIPANTCOUNT" "how many that were",
    ThreadId "THREADID" "time stamp of the message that began its thread, else of the one that it answers, where the source says one",
    Answers "ANSWERS" "time stamp of the message that it answers, where the source says one",
    ItemId "ITEMID" "time stamp of the message, id of the file, or id of the file / id of the comment",
    AuthorId "AUTHORID" "id of who wrote it, where the source gives one",
    Subtype "SUBTYPE" "what kind of message the source says it is",
    Edited "EDITED" "Y when another reading of it is in the set, or the source says that it was edited",
    EditedBy "EDITEDBY" "who edited it last, as far as the source says",
    Deleted "DELETED" "Y when it is gone",
    DeletedWhen "DELETEDWHEN" "when it went last and by whom, as far as the source says, else between which observations of the archive",
    Restored "RESTORED" "Y when it was gone and came back",
    Version "VERSION" "number of the version that the document shows",
    Versions "VERSIONS" "how many readings of it are in the set; of a message all stand in its text, of a file each is a document",
    Records "RECORDS" "numbers of the archive's records that stand in this document",
    ObservedUtc "OBSERVEDUTC" "when the archive saw the version that the document shows: the archive's clock, not the source's",
    Reactions "REACTIONS" "the reactions, as they were last seen",
    FilesBefore "FILESBEFORE" "ids of files that the message shows and that are documents with an earlier message of the conversation",
    FilesElsewhere "FILESELSEWHERE" "ids of files that the message shows and that are documents of another conversation, which follows each",
    FilesNotGiven "FILESNOTGIVEN" "ids of files that the message shows and of which nothing is in scope, or nothing in the archive",
    TextStatus "TEXTSTATUS" "of a file: how reading its text ended; not read: no attempt was made",
    ContentStatus "CONTENTSTATUS" "of a file: produced, withheld, none of its own, or why its content is not here",
    Withheld "WITHHELD" "withhold or redact, when the document is a slip-sheet",
    WithheldReason "WITHHELDREASON" "why",
}

/// A row while it is filled.
#[derive(Debug)]
pub(super) struct Row {
    columns: &'static [(&'static str, &'static str)],
    values: Vec<List>,
}

/// Several values as one, and how many semicolons within them became commas.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    text: String,
    replaced: usize,
}

impl List {
    /// Parts values by semicolons.
    pub(super) fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let values: Vec<&str> = values.into_iter().collect();
        let replaced = values.iter().map(|value| value.matches(';').count()).sum();
        let text = values.iter().map(|value| value.replace(';', ",")).collect::<Vec<_>>().join(BETWEEN);
        Self { text, replaced }
    }
}

impl Row {
    /// An empty row with these fields.
    pub(super) fn of(columns: &'static [(&'static str, &'static str)]) -> Self {
        Self { columns, values: vec![List::default(); columns.len()] }
    }

    /// Sets a field.
    pub(super) fn set(&mut self, column: impl Into<usize>, value: impl Into<String>) {
        self.put(column, List { text: value.into(), replaced: 0 });
    }

    /// Sets a field that has several values.
    pub(super) fn set_list<'a>(&mut self, column: impl Into<usize>, values: impl IntoIterator<Item = &'a str>) {
        self.put(column, List::of(values));
    }

    /// Sets a field to several values that are one already.
    pub(super) fn put(&mut self, column: impl Into<usize>, list: List) {
        self.values[column.into()] = list;
    }

    /// The line, and the fields in which characters were replaced, each with how many.
    pub(super) fn line(&self) -> (String, Vec<(&'static str, usize)>) {
        line(self.values.iter().map(|value| (value.text.as_str(), value.replaced)), self.columns)
    }
}

/// Whether a field holds a value as it is.
pub(super) fn holds(value: &str) -> bool {
    push(&mut String::new(), value) == 0
}

/// The line that names the fields.
pub(super) fn header(columns: &[(&'static str, &str)]) -> String {
    line(columns.iter().map(|(name, _)| (*name, 0)), columns).0
}

/// A line of values, each with what was replaced in it before, and the fields in which characters were replaced,
/// each with how many.
fn line<'a>(
    values: impl IntoIterator<Item = (&'a str, usize)>,
    columns: &[(&'static str, &str)],
) -> (String, Vec<(&'static str, usize)>) {
    let mut out = String::new();
    let mut replaced = Vec::new();
    for (n, ((value, before), (name, _))) in values.into_iter().zip(columns).enumerate() {
        if n > 0 {
            out.push(SEPARATOR);
        }
        out.push(QUOTE);
        let count = before + push(&mut out, value);
        out.push(QUOTE);
        if count > 0 {
            replaced.push((*name, count));
        }
    }
    out.push_str("\r\n");
    (out, replaced)
}

fn push(out: &mut String, value: &str) -> usize {
    let mut replaced = 0;
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => {
                let _lf = letters.next_if_eq(&'\n');
                out.push(BREAK);
            }
            '\n' => out.push(BREAK),
            '\t' => out.push('\t'),
            QUOTE => {
                replaced += 1;
                out.push_str("th");
            }
            BREAK => {
                replaced += 1;
                out.push_str("(R)");
            }
            control if control.is_control() || matches!(control, '\u{2028}' | '\u{2029}') => {
                replaced += 1;
                out.push(char::REPLACEMENT_CHARACTER);
            }
            plain => out.push(plain),
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_bytes_of_the_convention() {
        let columns = [("A", ""), ("B", ""), ("C", "")];
        let (text, replaced) = line([("x", 0), ("", 0), ("two\r\nlines\nand\rmore", 0)], &columns);
        assert_eq!(
            text.as_bytes(),
            b"\xc3\xbex\xc3\xbe\x14\xc3\xbe\xc3\xbe\x14\xc3\xbetwo\xc2\xaelines\xc2\xaeand\xc2\xaemore\xc3\xbe\r\n"
        );
        assert_eq!(replaced, []);
    }

    #[test]
    fn what_a_row_can_not_hold_is_replaced_and_counted() {
        let columns = [("A", ""), ("B", "")];
        let (text, replaced) = line([("a\u{14}þ®\0\u{2028}", 0), ("tab\tžluť \u{202e}", 0)], &columns);
        assert_eq!(text, "þa\u{fffd}th(R)\u{fffd}\u{fffd}þ\u{14}þtab\tžluť \u{202e}þ\r\n");
        assert_eq!(replaced, [("A", 5)]);
    }

    #[test]
    fn a_semicolon_within_a_value_is_replaced_and_counted() {
        let mut row = Row::of(&[("A", ""), ("B", "")]);
        row.set_list(0_usize, ["one;two;", "þree"]);
        row.set(1_usize, "a;b");
        assert_eq!(row.line(), ("þone,two,; threeþ\u{14}þa;bþ\r\n".to_owned(), vec![("A", 3)]));
    }

    #[test]
    fn every_field_has_a_name_of_its_own() {
        let mut names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COLUMNS.len());
        assert_eq!(COLUMNS[Column::WithheldReason as usize].0, "WITHHELDREASON");
    }
}
