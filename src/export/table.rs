//! Rows of CSV that a spreadsheet opens without obeying them.

/// A row of CSV (RFC 4180) with CRLF. A field that a spreadsheet would take for a formula begins with an
/// apostrophe, which a spreadsheet shows as text; the list of what may begin one is OWASP's ("CSV Injection").
pub(super) fn line(fields: &[&str]) -> String {
    let mut out = String::new();
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        push(&mut out, &inert(field));
    }
    out.push_str("\r\n");
    out
}

fn push(out: &mut String, field: &str) {
    if field.contains(['"', ',', '\r', '\n']) || field.starts_with(' ') || field.ends_with(' ') {
        out.push('"');
        out.push_str(&field.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(field);
    }
}

/// A text that no spreadsheet takes for a formula, whatever it said. One that begins with an apostrophe gets
/// another, so that what was there can be told from what was added.
pub(super) fn inert(field: &str) -> std::borrow::Cow<'_, str> {
    let first = field.chars().next();
    match first {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\'' | '＝' | '＋' | '－' | '＠') => {
            format!("'{field}").into()
        }
        _ => field.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_and_everything_comes_back() {
        let given = ["=1+1", "-5", "'quoted'", "a,b", "say \"x\"", "two\nlines", "", " blank ", "plain"];
        let text = line(&given);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        let back: Vec<String> = row.iter().map(|field| field.strip_prefix('\'').unwrap_or(field).to_owned()).collect();
        assert_eq!(back, given);
        assert!(row.iter().all(|field| !field.starts_with(['=', '-', '+', '@'])));
    }
}
