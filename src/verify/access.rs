use super::{Check, Finding};
use crate::model::Clock;
use crate::store::access::Access;

/// That the database of accounts opens and reads. It holds no evidence yet.
pub(super) fn check(check: &mut Check<'_>) {
    let path = check.reader.layout().access();
    if !path.exists() {
        check.report.notes.push("there is no access.db; it is made when the web interface is first used".to_owned());
        return;
    }
    let opened = Access::open_reading(check.reader.layout(), Clock::System).map_err(|error| error.to_string());
    if let Err(detail) = opened.and_then(|access| access.integrity_check().map_err(|error| error.to_string())) {
        check.find(Finding::new("access", detail).in_file(&path));
    }
}
