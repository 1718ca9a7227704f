use super::Archive;
use crate::ledger::VerifierKey;
use crate::store::{self, AccessLog};
use crate::verify::{self, Depth, Finding, Report, Trust, anchors, check_with};

impl Archive {
    /// Checks what is stored against its key files and against what is kept elsewhere. `key` is one that is
    /// trusted; without it, the one in the keys directory is.
    pub fn check(
        &self,
        depth: Depth,
        key: Option<VerifierKey>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Report, store::Error> {
        let trust = Trust { ledger: key.or_else(|| self.keys.ledger_vkey()), access: self.keys.access_vkey() };
        let mut report = check_with(&self.reader, depth, &trust, progress)?;
        verify::keys(&self.keys, &mut report);
        let accepted = report.accepted.clone();
        anchors(&self.reader, &self.anchors, &accepted, depth, report)
    }

    /// The same for a short look while pages are served: it says, too, whether the access log continues its newest
    /// checkpoint.
    pub fn check_beside(&self, depth: Depth, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, store::Error> {
        let mut report = self.check(depth, None, progress)?;
        let archive = self.reader.archive();
        let log = AccessLog::open_reading(&self.layout, archive.id, &archive.origin)?;
        let outcome = log.map(|log| log.refuse_rollback(self.keys.access_vkey().as_ref())).transpose();
        if let Err(error) = outcome {
            if !error.is_integrity() {
                return Err(error);
            }
            report.ok = false;
            report.findings.push(Finding {
                kind: "access",
                record: None,
                path: Some(self.layout.access().display().to_string()),
                expected: String::new(),
                found: String::new(),
                detail: error.to_string(),
            });
        }
        Ok(report)
    }
}
