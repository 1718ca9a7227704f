//! The mails of [`super::eml`], those of one conversation in one file under `mbox/`: each after a line that
//! begins with `From `, with a line of its own that would be taken for one quoted (mboxrd). Lines end in LF.

use std::io::Write;

use serde_json::{Value, json};

use super::Format;
use super::eml::{Mail, Thread};
use super::pages;
use crate::export::Error;
use crate::export::out::Out;
use crate::export::unit::Unit;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Mbox {
    thread: Thread,
    /// The file that grows; empty: none.
    open: String,
}

impl Format for Mbox {
    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        if self.thread.take(&unit.conversation) {
            self.close(out)?;
        }
        self.open = format!("mbox/{}.mbox", self.thread.folder());
        let set = out.set;
        let mail = Mail::new(unit, &self.thread, set)?;
        let file = out.growing(&self.open)?;
        let begin = format!("From {} {}\n", mail.sender, mail.date.format("%a %b %e %H:%M:%S %Y"));
        let mut lines = Quoted { to: &mut *file, line: Vec::new() };
        let written = lines
            .to
            .write_all(begin.as_bytes())
            .map_err(Into::into)
            .and_then(|()| mail.write(&mut lines))
            .and_then(|()| lines.end().map_err(Into::into));
        written.map_err(|problem| problem.error(file.error()))?;
        let Mail { contents, id, .. } = mail;
        self.thread.sent(id);
        pages::account(unit, &contents, out)
    }

    fn end(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        self.close(out)
    }

    fn state(&self) -> Value {
        json!({"thread": self.thread, "open": self.open})
    }

    fn resume(&mut self, state: &Value) {
        self.thread = serde_json::from_value(state["thread"].clone()).unwrap_or_default();
        state["open"].as_str().unwrap_or_default().clone_into(&mut self.open);
    }

    fn growth(&self) -> (u64, u64) {
        (10, 2)
    }
}

impl Mbox {
    fn close(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            let path = out.path(&open);
            out.bag.grown(&path)?;
        }
        Ok(())
    }
}

/// Lines of a mail as they stand in an mbox. A mail has no long lines, so one is held at a time.
struct Quoted<W: Write> {
    to: W,
    line: Vec<u8>,
}

impl<W: Write> Quoted<W> {
    fn flush_line(&mut self) -> std::io::Result<()> {
        let mut line = std::mem::take(&mut self.line);
        if line.ends_with(b"\r\n") {
            line.truncate(line.len() - 2);
            line.push(b'\n');
        }
        let quotes = line.iter().take_while(|byte| **byte == b'>').count();
        if line[quotes..].starts_with(b"From ") {
            self.to.write_all(b">")?;
        }
        self.to.write_all(&line)?;
        line.clear();
        self.line = line;
        Ok(())
    }

    /// Ends the mail with an empty line.
    fn end(&mut self) -> std::io::Result<()> {
        if !self.line.is_empty() {
            self.line.push(b'\n');
            self.flush_line()?;
        }
        self.to.write_all(b"\n")
    }
}

impl<W: Write> Write for Quoted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.flush_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_would_begin_a_mail_are_quoted() {
        let mut out = Vec::new();
        let mut lines = Quoted { to: &mut out, line: Vec::new() };
        for piece in ["From a\r", "\n>From b\r\nFrom: c\r\n", "x From d\r\n>>Fro", "m e"] {
            lines.write_all(piece.as_bytes()).unwrap();
        }
        lines.end().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), ">From a\n>>From b\nFrom: c\nx From d\n>>>From e\n\n");
    }
}
