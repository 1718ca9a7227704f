use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use secrecy::SecretString;
use serde::Serialize;

use super::{CliError, Global};
use crate::crawl;

/// Where things are said: data to stdout, the rest to stderr.
pub(super) struct Output {
    pub(super) json: bool,
    quiet: bool,
    bars: bool,
}

#[expect(clippy::unused_self, reason = "printing goes through the output of a command, and nowhere else")]
impl Output {
    pub(super) fn new(global: &Global) -> Self {
        match global.color {
            clap::ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
            clap::ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
            clap::ColorChoice::Auto => {}
        }
        Self {
            json: global.json,
            quiet: global.quiet,
            bars: !global.no_progress && !global.quiet && std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn start_logging(&self, verbose: u8, quiet: bool) {
        use tracing_subscriber::filter::EnvFilter;
        let level = match (quiet, verbose) {
            (true, _) => "error",
            (false, 0) => "teamchat_archive=warn",
            (false, 1) => "teamchat_archive=info",
            (false, 2) => "teamchat_archive=debug",
            (false, _) => "debug",
        };
        let started = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(level))
            .with_writer(std::io::stderr)
            .with_target(false)
            .try_init();
        // Only a second start in one process (tests) finds a logger there.
        drop(started);
    }

    /// Data: lines on stdout.
    pub(super) fn data(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()?;
        Ok(())
    }

    /// Bytes as they are, for `show --raw`.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(())
    }

    /// Data as one JSON document.
    pub(super) fn json(&self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| CliError::other(error.to_string()))?;
        self.data(&text)
    }

    /// Data as one line of JSON among others.
    pub(super) fn json_line(&self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value).map_err(|error| CliError::other(error.to_string()))?;
        self.data(&text)
    }

    /// Something for the person at the terminal.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            // A terminal that is gone is no reason to stop the work.
            let _closed = writeln!(anstream::stderr().lock(), "{text}");
        }
    }

    pub(super) fn error(&self, error: &CliError) {
        let mut stderr = anstream::stderr().lock();
        let _closed = writeln!(stderr, "\u{1b}[1;31merror:\u{1b}[0m {}", error.message());
        for hint in error.hints() {
            let _closed = writeln!(stderr, "\u{1b}[1;36mhint:\u{1b}[0m {hint}");
        }
    }

    /// How a crawl is shown: bars on a terminal, a line a step elsewhere.
    pub(super) fn crawl_progress(&self) -> CrawlProgress {
        CrawlProgress { bars: self.bars, quiet: self.quiet || self.json, state: Mutex::default() }
    }

    /// A bar for `total` things; hidden when bars are off.
    pub(super) fn bar(&self, what: &str, total: u64) -> ProgressBar {
        if !self.bars {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total).with_message(what.to_owned());
        bar.set_style(style());
        bar
    }
}

/// What people wrote, with what a terminal would obey shown as what it is.
pub(super) fn visible(text: &str) -> String {
    let is_obeyed = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_obeyed(c) { format!("[U+{:04X}]", u32::from(c)) } else { c.to_string() }).collect()
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:<9} {wide_bar} {human_pos}/{human_len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Shows how a crawl goes on.
pub(super) struct CrawlProgress {
    bars: bool,
    quiet: bool,
    state: Mutex<(Option<ProgressBar>, u64)>,
}

impl CrawlProgress {
    fn with(&self, change: impl FnOnce(&mut (Option<ProgressBar>, u64))) {
        change(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.with(|(bar, _)| {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        });
    }
}

impl crawl::Progress for CrawlProgress {
    fn step(&self, what: &str, total: u64) {
        self.with(|(bar, messages)| {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            if self.bars {
                let new = ProgressBar::new(total);
                new.set_style(style());
                new.set_message(what.to_owned());
                new.enable_steady_tick(Duration::from_millis(200));
                *bar = Some(new);
            } else if !self.quiet {
                let read = if *messages > 0 { format!(" ({messages} messages so far)") } else { String::new() };
                let count = if total > 0 { format!(": {total}") } else { String::new() };
                let _closed = writeln!(anstream::stderr().lock(), "{what}{count}{read}");
            }
        });
    }

    fn done(&self) {
        self.with(|(bar, _)| {
            if let Some(bar) = bar {
                bar.inc(1);
            }
        });
    }

    fn messages(&self, count: u64) {
        self.with(|(bar, messages)| {
            *messages += count;
            if let Some(bar) = bar {
                bar.set_message(format!("channels, {messages} messages"));
            }
        });
    }
}

/// A secret from a file, from stdin (`-`), or typed without echo.
pub(super) fn read_secret(file: Option<&std::path::Path>, prompt: &str) -> Result<SecretString, CliError> {
    let text = match file {
        Some(path) if path.as_os_str() == "-" => {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut std::io::stdin(), &mut text)?;
            text
        }
        Some(path) => fs_err::read_to_string(path).map_err(|error| CliError::other(error.to_string()))?,
        None if std::io::stdin().is_terminal() => rpassword::prompt_password(prompt)?,
        None => {
            return Err(CliError::usage("there is no terminal to ask for it")
                .hint("give a file with `--password-file FILE`, or `-` for standard input"));
        }
    };
    Ok(text.trim_end_matches(['\r', '\n']).to_owned().into())
}
