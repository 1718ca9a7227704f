/// What an archive carries in its `about` table, so that it can be read without us.
pub(super) fn texts(vkey: &str) -> Vec<(&'static str, String)> {
    vec![("README", include_str!("about.txt").to_owned()), ("ledger.vkey", format!("{vkey}\n"))]
}
