//! The page image of a document that has no pages of its own: its number, and why there is nothing to look
//! at. A PDF of one page with a font that every reader has; the same text is always the same bytes.

/// A page with a number at the foot and these lines above. Only ASCII can be shown; what is not is a `?`.
pub(super) fn page(bates: &str, lines: &[&str]) -> Vec<u8> {
    let mut content = String::new();
    for (at, text) in (0_u32..).zip(lines) {
        content.push_str(&shown(14, 72, 520 - at * 24, text));
    }
    content.push_str(&shown(11, 72, 36, bates));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}endstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut out = "%PDF-1.4\n".to_owned();
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(out.len());
        out.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let table = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    for place in places {
        out.push_str(&format!("{place:010} 00000 n \n"));
    }
    out.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1));
    out.into_bytes()
}

/// A line of text at a place, in points from the lower left corner.
fn shown(size: u32, x: u32, y: u32, text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '(' | ')' | '\\' => safe.extend(['\\', letter]),
            ' '..='~' => safe.push(letter),
            _ => safe.push('?'),
        }
    }
    format!("BT /F1 {size} Tf {x} {y} Td ({safe}) Tj ET\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_is_where_the_table_says() {
        let text = String::from_utf8(page("TCA00000001", &["Withheld (see the load file)", "ž"])).unwrap();
        let at = text.rsplit("startxref\n").next().and_then(|rest| rest.lines().next()).unwrap();
        let table = &text[at.parse::<usize>().unwrap()..];
        assert!(table.starts_with("xref\n0 6\n"));
        for (number, line) in table.lines().skip(3).take(5).enumerate() {
            let place: usize = line[..10].parse().unwrap();
            assert!(text[place..].starts_with(&format!("{} 0 obj\n", number + 1)), "{line}");
        }
        let length: usize = text.split("/Length ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let stream = text.split("stream\n").nth(1).unwrap();
        assert_eq!(stream.find("endstream"), None);
        assert_eq!(stream.len() - "end".len(), length);
        assert!(text.contains("(Withheld \\(see the load file\\)) Tj") && text.contains("(?) Tj"), "{text}");
    }
}
