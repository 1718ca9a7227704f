use super::{Finding, Report};
use crate::store::keys::Keys;

/// The ledger's key files beside an archive: that each that is there is one, and that the public half
/// is that of the secret one. Nothing is said when there is none: reading needs no key.
pub fn keys(keys: &Keys, report: &mut Report) {
    for (path, detail) in keys.problems() {
        report.findings.push(Finding::new("key", detail).in_file(&path));
        report.ok = false;
    }
}
