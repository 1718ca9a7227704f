//! Each fault of the sandbox alone, always and now and then: a pass ends, complete or saying what is
//! missing; nothing is invented; and when the fault is over one or two passes make it good.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use teamchat_archive::sandbox::Fault;

use super::stir;
use crate::schedules::town::{ANN, EVA, Town, full, outcome_problems};

const AT_ONCE: usize = 4;

/// Faults between two pages need more than one.
fn size(fault: Fault) -> usize {
    match fault {
        Fault::PageDrift | Fault::SilentHasMore => 2100,
        Fault::Unordered => 1030,
        // A megabyte each.
        Fault::HugeText => 6,
        _ => 20,
    }
}

/// Faults that take time and leave no reply.
fn is_slow(fault: Fault) -> bool {
    matches!(fault, Fault::RateLimit | Fault::RateLimitBadHeader | Fault::Timeout | Fault::Slow | Fault::SlowTrickle)
}

/// What one fault at one rate did wrong.
async fn survive(fault: Fault, rate: f64) -> Vec<String> {
    let people = [ANN, EVA];
    let mut town = match fault {
        // A page of twenty texts of 1 MiB takes an unoptimised build on a busy machine some seconds.
        Fault::HugeText => Town::unhurried(size(fault), &people, Duration::from_secs(30)).await,
        _ => Town::new(size(fault), &people).await,
    };
    town.is_spoilt = matches!(
        fault,
        Fault::InvalidUtf8 | Fault::LoneSurrogate | Fault::NulInText | Fault::DuplicateKeys | Fault::DeepNesting
    );
    let nothing = BTreeSet::new();
    let both = [ANN.to_owned(), EVA.to_owned()];
    let mut problems = Vec::new();
    for turn in 0..2 {
        // A message that was shown and is hushed afterwards is, by all that a client can see, gone:
        // the sandbox's whispers are whispers from the beginning.
        if turn == 1 && fault != Fault::Whisper {
            stir(&town, 0);
        }
        if turn == 0 || fault != Fault::Whisper {
            town.running.set_fault(fault, rate);
        }
        let meter = &town.accounts[0].reader.connection().meter().requests;
        let before = meter.load(Ordering::Relaxed);
        // What answers late is given a moment, then the pass is killed: that must do no harm either.
        let patience = Duration::from_secs(if is_slow(fault) { 2 } else { 60 });
        let start = std::time::Instant::now();
        let outcome = town.archive.crawl_watched(&town.accounts, &full(), || start.elapsed() < patience).await;
        let asked = meter.load(Ordering::Relaxed) - before;
        town.running.set_fault(fault, 0.0);
        town.sign_in_again();
        if asked > 1500 {
            problems.push(format!("pass {turn}: {asked} requests"));
        }
        match outcome {
            Some(outcome) => problems.extend(outcome_problems(&outcome, fault == Fault::TokenRevoked)),
            None if is_slow(fault) => {}
            None => problems.push(format!("pass {turn} has no end")),
        }
        problems.extend(town.audit(&nothing).into_iter().map(|problem| format!("pass {turn}: {problem}")));
    }
    let mut healed = Vec::new();
    for _ in 0..2 {
        healed.push(town.crawl(&full()).await);
        problems.extend(town.audit(&nothing).into_iter().map(|problem| format!("healed: {problem}")));
        town.note_shown(&both).await;
    }
    match &healed[1] {
        Ok(summary) if summary.result == "complete" => {}
        other => problems.push(format!("two passes after it is over: {other:?}; {:?}", town.owed())),
    }
    problems.extend(town.differences(&both).await.into_iter().map(|problem| format!("healed: {problem}")));
    town.archive.check_records();
    town.stop().await;
    problems.into_iter().map(|problem| format!("{} at {rate}: {problem}", fault.name())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_always() {
    each_fault(1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_now_and_then() {
    each_fault(0.3).await;
}

/// Some at once: much of the time a pass waits before it asks again.
async fn each_fault(rate: f64) {
    let all = futures_util::stream::iter(Fault::ALL).map(|fault| survive(*fault, rate)).buffered(AT_ONCE);
    let problems: Vec<String> = all.collect::<Vec<_>>().await.concat();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
