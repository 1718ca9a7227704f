//! Makes sets for other people, and enters each in the access log before it has its name.

use super::{Archive, Error};
use crate::export::{self, Handed, Progress, Report, Request, Sources};
use crate::history;
use crate::index::Searcher;
use crate::record::{Action, Visit};
use crate::store::access::command_line;
use crate::store::{Blobs, DerivedReader};

impl Archive {
    /// Makes a set. Its entry in the access log says what was asked, by whom, the checkpoint and the digest of
    /// the bag; a set that could not be entered is not handed out.
    pub fn export(&self, request: &Request, progress: &dyn Progress) -> Result<Report, Error> {
        let (access, signer) = self.open_access()?;
        let log = access.log();
        let previous = log.last(Action::Export)?.as_ref().and_then(export::handed_out);
        let directory = history::directory(&self.reader)?;
        let coverage = self.coverage()?;
        let searcher = Searcher::new(&self.layout);
        let derived = DerivedReader::open(&self.layout)?;
        let sources = Sources {
            reader: &self.reader,
            searcher: &searcher,
            blobs: &Blobs::new(self.layout.blobs()),
            derived: derived.as_ref(),
            directory: &directory,
            coverage: &coverage,
            clock: &self.clock,
            previous,
        };
        let mut request = request.clone();
        if request.asked_by.is_empty() {
            request.asked_by = command_line();
        }
        let from = request.asked_by.clone();
        let mut hand_over = |handed: &Handed| -> Result<(), export::Error> {
            let bag = handed.bag.display().to_string();
            let by = Visit { from: Some(from.clone()), subject: Some(bag), ..Visit::default() };
            log.record(Action::Export, &handed.told(by))?;
            Ok(())
        };
        let report = export::run(&request, &sources, &mut hand_over, progress)?;
        if let Some(signer) = signer {
            signer.sign_now()?;
        }
        Ok(report)
    }
}
