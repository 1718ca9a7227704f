//! An archive as others have it: crawled by the command line, asked over HTTP by a client that knows
//! nothing but the contract. Nothing of the library judges itself here.

use std::time::Duration;

use serde_json::Value;
use teamchat_archive::sandbox::seed::Seed;
use tokio::runtime::Runtime;

use crate::cli::harness::{DONE, Place, Server, Started, list, string};
use crate::support::canonical;
use crate::thirdparty::run_script;

/// All that `states` can ask for.
pub(crate) const ALL_STATES: &str = "current,edited,deleted";

/// `serve` over the archive of a place, and a token that reads all of it.
pub(crate) struct Desk {
    runtime: Runtime,
    http: reqwest::Client,
    /// Dropped, it is killed.
    serving: Started,
    /// The base of the API.
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Desk {
    pub(crate) fn open(place: &Place) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let token = place.run(&["token", "create", "reader", "--role", "auditor", "--json"]).expect(DONE).json();
        let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
        let ready: Value = serde_json::from_str(&serving.line()).unwrap();
        // What takes long on a busy machine is no failure; what never ends is.
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(2)).build().unwrap();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            http,
            serving,
            url: format!("{}teamchatapi/", string(&ready, "/url")),
            token: string(&token, "/token"),
        }
    }

    /// Whatever a call is answered. Sent as a form, since an address has no room for a long query.
    pub(crate) fn call(&self, method: &str, arguments: &[(&str, &str)]) -> Value {
        let request = self.http.post(format!("{}{method}", self.url)).bearer_auth(&self.token).form(arguments);
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap_or_else(|error| panic!("{method} {arguments:?}: {error:?}"));
            answer.json().await.unwrap()
        })
    }

    /// What a call is answered that is not refused.
    #[track_caller]
    pub(crate) fn reply(&self, method: &str, arguments: &[(&str, &str)]) -> Value {
        let reply = self.call(method, arguments);
        let shown: Vec<(&str, String)> =
            arguments.iter().map(|(name, value)| (*name, value.chars().take(300).collect())).collect();
        assert_eq!(reply["ok"], true, "{method} {shown:?}: {reply}");
        reply
    }

    /// All messages that a query finds, in any state, page after page; as many as the total says.
    #[track_caller]
    pub(crate) fn messages(&self, query: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut arguments = vec![("query", query), ("count", "1000"), ("sort", "newest"), ("states", ALL_STATES)];
            if let Some(cursor) = &cursor {
                arguments.push(("cursor", cursor));
            }
            let reply = self.reply("search.messages", &arguments);
            all.extend(list(&reply, "/messages/matches"));
            match reply["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => {
                    assert_eq!(reply["messages"]["total"], all.len(), "the total of {query:?}");
                    return all;
                }
            }
        }
    }

    /// What a client that nobody here wrote prints of it.
    pub(crate) fn run_script(&self, script: &str, arguments: &[&str]) -> Value {
        self.runtime.block_on(run_script(script, &self.url, &self.token, arguments))
    }

    /// It still answers, and ends when it is asked to.
    pub(crate) fn close(self) {
        assert_eq!(self.call("api.test", &[])["ok"], true);
        self.serving.terminate();
        self.serving.finish().expect(DONE);
    }
}

/// A place with an archive of what a seed makes, crawled and indexed.
pub(crate) fn crawled(seed: Seed) -> (Server, Place) {
    let server = Server::start(seed);
    let place = Place::new();
    place.enrol(&server.ready);
    let crawl = place.crawl();
    assert_eq!(crawl["result"], "complete", "{crawl}");
    (server, place)
}

/// A message as the ground truth names it: channel, colon, time stamp.
pub(crate) fn address(found: &Value) -> String {
    let channel = found.pointer("/archive/channel").and_then(Value::as_str).unwrap_or_default();
    format!("{}:{}", canonical(channel), string(found, "/ts"))
}

/// Numbers that look random and are the same in each run (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}
