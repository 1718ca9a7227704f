use crate::cli::{CliError, Context, Exit};
use crate::export::{CHECKER, CHECKER_PAGE};

/// Print the independent checker, for whoever is handed a proof
///
/// The program that it prints needs Python 3.8 or newer and nothing else; with --html it is a page that
/// any browser opens from a file, without a network. Both check what `show --proof` prints against the
/// log's key (`ledger.vkey`), and neither needs this archive, or any.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive verifier > verify.py\n  teamchat-archive verifier --html > verify.html\n  teamchat-archive show 4711 --proof > 4711.tlog-proof\n  python3 verify.py --key ledger.vkey --show 4711.tlog-proof"
)]
pub(crate) struct Args {
    /// The page for a browser, instead of the program for Python
    #[arg(long)]
    html: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    context.output.bytes(if args.html { CHECKER_PAGE } else { CHECKER }.as_bytes())?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use crate::export::CHECKER_PAGE as PAGE;
    use crate::model::Digest;

    /// What stands between two words, each of which is there once.
    fn between(start: &str, end: &str) -> &'static str {
        assert_eq!(PAGE.matches(start).count(), 1, "{start}");
        let (_, rest) = PAGE.split_once(start).unwrap();
        rest.split_once(end).unwrap().0
    }

    #[test]
    fn the_page_allows_its_own_script_and_style_by_their_hashes_and_nothing_else() {
        let source = |text: &str| format!("'sha256-{}'", BASE64.encode(Digest::of(text.as_bytes()).0));
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'",
            source(between("<script>", "</script>")),
            source(between("<style>", "</style>"))
        );
        assert_eq!(between("http-equiv=\"Content-Security-Policy\" content=\"", "\""), policy);
    }

    #[test]
    fn the_page_asks_nobody() {
        for word in ["http:", "https:", "src=", "url(", "@import", "fetch", "XMLHttpRequest", "innerHTML", "eval"] {
            assert!(!PAGE.contains(word), "{word}");
        }
    }
}
