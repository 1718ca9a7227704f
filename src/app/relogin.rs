//! Signing in again without a person: when the server no longer accepts an account's token and its
//! password was kept. At most once an hour, so that a password that is not right any more locks
//! nobody out; and never where the server wants what only a person has (protocol notes (b)).

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::{Archive, Error};
use crate::api::{self, Credentials};
use crate::crawl::{self, Finding, Options, Progress, Summary};
use crate::model::rfc3339;
use crate::store::keys::AccountFile;
use crate::store::{AccountRow, Appender, Batch, StateChange};

/// Between two tries with one account.
const TRY_EVERY: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// The mark of the last try with an account.
fn tried(name: &str) -> String {
    format!("sign_in {name}")
}

/// The mark of the last try that the server answered by asking for a second factor.
fn asked_for_more(name: &str) -> String {
    format!("second_factor {name}")
}

/// Whether a refusal asks for a second factor. No list of the server's codes is public, so these
/// names are our guess, and one too many only means that a person has to sign in.
fn names_second_factor(code: &str) -> bool {
    const PHRASES: &[&str] = &[
        "two_step",
        "2_step",
        "second_step",
        "two_factor",
        "2_factor",
        "second_factor",
        "multi_factor",
        "verification",
    ];
    const WORDS: &[&str] = &["2fa", "mfa", "tfa", "otp", "totp"];
    let spaced = code.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    PHRASES.iter().any(|phrase| spaced.contains(phrase) || spaced.contains(&phrase.replace('_', "")))
        || spaced.split('_').any(|word| WORDS.contains(&word))
}

impl Archive {
    /// One pass, and one more with the accounts that the server refused and that could be signed in
    /// again; told as one. The caller holds the writer's lock.
    pub(super) async fn passes(
        &self,
        accounts: &[crawl::Account],
        options: &Options,
        progress: &dyn Progress,
        appender: &Appender,
    ) -> Result<Summary, Error> {
        let started = Instant::now();
        let mut first = crawl::run_to_end(accounts, &self.reader, appender, options, progress).await?;
        let mut renewed = Vec::new();
        for account in accounts.iter().filter(|account| first.summary.refused_accounts.contains_key(&account.name)) {
            renewed.extend(self.renew(account, appender).await?);
        }
        if renewed.is_empty() {
            return first.failure.map_or(Ok(first.summary), |failure| Err(failure.into()));
        }
        progress.step("signed in again", 0);
        let left = options.budget.map(|budget| budget.saturating_sub(started.elapsed()));
        let options = Options { budget: left, ..options.clone() };
        let second = crawl::run_to_end(&renewed, &self.reader, appender, &options, progress).await?;
        if let (Some(_), Some(failure)) = (first.failure, second.failure) {
            return Err(failure.into());
        }
        let names: BTreeSet<String> = renewed.into_iter().map(|account| account.name).collect();
        first.summary.refused_accounts.retain(|name, _| !names.contains(name));
        let mut summary = first.summary.followed_by(second.summary);
        if !first.partial.is_subset(&names) {
            summary.result = "partial";
        }
        summary.findings.extend(names.into_iter().map(|name| Finding {
            kind: "signed_in_again",
            channel: String::new(),
            detail: format!("{name}: with the password that was kept"),
        }));
        summary.findings.sort();
        Ok(summary)
    }

    /// Signs in again with an account that the server refused, if its password was kept, and gives
    /// the account with its new token, which is kept in the old one's place. `None`: it was not
    /// tried, or in vain; then the account's reason says why. The caller holds the writer's lock.
    pub async fn renew(&self, account: &crawl::Account, appender: &Appender) -> Result<Option<crawl::Account>, Error> {
        let rows = self.reader.accounts()?;
        let Some(row) = rows.into_iter().find(|row| row.name == account.name && row.state == "needs_login") else {
            return Ok(None);
        };
        let file = self.keys.account(&account.name)?;
        let Some(password) = file.password.clone().filter(|_| !file.disabled) else { return Ok(None) };
        match self.try_again(account, &row, &file, password.into(), appender).await? {
            Ok(token) => {
                // Read again: somebody may have changed what else it says meanwhile.
                let file = AccountFile { token: token.expose_secret().to_owned(), ..self.keys.account(&account.name)? };
                self.keys.store_account(&account.name, &file)?;
                let reader = api::Reader::new(Arc::clone(account.reader.connection()), token);
                Ok(Some(crawl::Account { reader, ..account.clone() }))
            }
            Err(reason) => {
                let refusal = row.reason.as_deref().unwrap_or("refused");
                let reason = Some(format!("{refusal}; {reason}"));
                self.note(appender, StateChange::Account(AccountRow { reason, ..row })).await?;
                Ok(None)
            }
        }
    }

    /// One try to sign in, if one is due; `Err` inside says to people why there was none, or what
    /// came of it.
    async fn try_again(
        &self,
        account: &crawl::Account,
        row: &AccountRow,
        file: &AccountFile,
        password: SecretString,
        appender: &Appender,
    ) -> Result<Result<SecretString, String>, Error> {
        const PERSON: &str = "signing in again asks for a second factor, which only a person has";
        let now = self.clock.now();
        // A pass that went well since then was made with what a person's sign-in gave.
        let asked = self.reader.mark(&asked_for_more(&account.name))?;
        if asked.is_some_and(|asked| row.last_success.is_none_or(|success| success < asked)) {
            return Ok(Err(PERSON.to_owned()));
        }
        // A try that seems to lie far ahead was noted by a clock that was wrong.
        let last = self.reader.mark(&tried(&account.name))?.filter(|last| (now - *last).abs() < TRY_EVERY);
        if let Some(last) = last {
            let reason = format!("signing in again is tried once an hour at most, and was at {}", rfc3339(last));
            return Ok(Err(reason));
        }
        // Noted before it is made: a death in between must not lead to one try after another.
        self.note(appender, StateChange::Mark { name: tried(&account.name), at: now }).await?;
        let username = file.username.clone();
        let credentials = if file.plain {
            Credentials::Plain { username, password }
        } else {
            Credentials::Digest { username, password }
        };
        Ok(match account.reader.connection().sign_in(&credentials).await {
            Ok(opened) if !account.user_id.is_empty() && !opened.user_id.eq_ignore_ascii_case(&account.user_id) => {
                Err(format!("the kept password now opens the account of {}, and views are never mixed", opened.user_id))
            }
            Ok(opened) => Ok(opened.token),
            Err(error) if error.code().is_some_and(names_second_factor) => {
                self.note(appender, StateChange::Mark { name: asked_for_more(&account.name), at: now }).await?;
                Err(PERSON.to_owned())
            }
            Err(error) => Err(format!("signing in again with the kept password failed: {error}")),
        })
    }

    async fn note(&self, appender: &Appender, change: StateChange) -> Result<(), Error> {
        appender.append(Batch { records: Vec::new(), changes: vec![change] }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::names_second_factor;

    #[test]
    fn a_second_factor_is_recognised_by_many_names() {
        for code in [
            "two_step_required",
            "login.two-factor",
            "2fa_required",
            "need_2_factor",
            "MFA_REQUIRED",
            "otp_required",
            "invalid_totp",
            "secondFactorNeeded",
            "two_step_verification",
            "missing_verification_code",
        ] {
            assert!(names_second_factor(code), "{code}");
        }
        for code in [
            "invalid_auth",
            "not_permitted",
            "account_inactive",
            "not_authorized",
            "no_permission",
            "too_many_steps",
            "",
        ] {
            assert!(!names_second_factor(code), "{code}");
        }
    }
}
