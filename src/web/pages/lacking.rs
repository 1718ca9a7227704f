//! Why something is not here, in the words of the pages.

use crate::history::{GapReason, Limit};
use crate::web::markup::visible;
use crate::web::words::Words;

/// Why a stretch was not captured, and what closes the gap.
pub(crate) fn why(w: &Words, reason: &GapReason) -> String {
    let given = |why: &Option<String>| why.as_deref().map_or_else(|| w.say("gap-no-reason"), visible);
    match reason {
        GapReason::NeverWalked => w.say("gap-never-walked"),
        GapReason::Lost => w.say("gap-lost"),
        GapReason::Failed => w.say("gap-failed"),
        GapReason::CutOff => w.say("gap-cut-off"),
        GapReason::NeedsLogin(why) => w.with("gap-needs-login", given(why)),
        GapReason::Account { state, why } => w.with_two("gap-account", visible(state), given(why)),
        GapReason::Imported => w.say("gap-imported"),
    }
}

/// What no crawl can see.
pub(crate) fn limit(w: &Words, limit: &Limit) -> String {
    match limit {
        Limit::OneView { enrolled, people } => w.with_two("limit-one-view", enrolled, people),
        Limit::Whispers => w.say("limit-whispers"),
        Limit::PrivatePins => w.say("limit-private-pins"),
        Limit::BetweenPasses => w.say("limit-between-passes"),
        Limit::Unrecognised => w.say("limit-unrecognised"),
        Limit::RosterCut { named, members } => w.with_two("limit-roster-cut", named, members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::words;

    #[test]
    fn what_is_missing_is_said_alike_on_the_pages_and_on_the_command_line() {
        let why_not = || Some("token_revoked".to_owned());
        for reason in [
            GapReason::NeverWalked,
            GapReason::Lost,
            GapReason::Failed,
            GapReason::CutOff,
            GapReason::NeedsLogin(why_not()),
            GapReason::NeedsLogin(None),
            GapReason::Account { state: "disabled".to_owned(), why: why_not() },
            GapReason::Imported,
        ] {
            assert_eq!(why(words(), &reason), reason.to_string());
        }
        for found in [
            Limit::OneView { enrolled: 1, people: 34 },
            Limit::Whispers,
            Limit::PrivatePins,
            Limit::BetweenPasses,
            Limit::Unrecognised,
            Limit::RosterCut { named: 20, members: 34 },
        ] {
            assert_eq!(limit(words(), &found), found.to_string());
        }
    }
}
