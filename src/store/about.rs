/// The texts that are the same in every archive of this build, by name. Each can be taken out with
/// `sqlite3 archive.db "SELECT text FROM about WHERE name = '…'"`.
const TEXTS: &[(&str, &str)] = &[
    ("README", include_str!("about.txt")),
    ("FORMAT", include_str!("../../docs/FORMAT.md")),
    ("read.sh", include_str!("../../schemas/read/read.sh")),
    ("read.py", include_str!("../../schemas/read/read.py")),
    ("verify.py", include_str!("../../schemas/verify/verify.py")),
];

/// What an archive carries in its `about` table, so that it can be read without us.
pub(super) fn texts(vkey: &str) -> Vec<(&'static str, String)> {
    let mut texts: Vec<(&str, String)> = TEXTS.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    texts.push(("ledger.vkey", format!("{vkey}\n")));
    texts
}
