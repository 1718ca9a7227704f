//! Whose view is archived, as the API tells it.

use std::sync::Arc;

use teamchat_archive::api::Connection;
use teamchat_archive::crawl::Options;
use teamchat_archive::model::Role;

use super::{Desk, only};
use crate::support::{account_of, quick};

#[tokio::test]
async fn of_two_archived_accounts_the_first_is_told() {
    // Whatever their names: one that comes after in the alphabet, and one that comes before.
    for second in ["petr.malek@orlava.example", "hana.vesela@orlava.example"] {
        let desk = Desk::alone().await;
        let first = desk.running.username.clone();
        let connection = Arc::new(Connection::new(&desk.running.url, &quick()).unwrap());
        let account = account_of(&desk.running, second, &connection);
        desk.archive.crawl(&account, &Options::default()).await.unwrap();
        assert_eq!(desk.archive.reader().accounts().unwrap().len(), 2);
        let legal = desk.channel(&desk.auditor_token(), "legal").await;
        let narrow = desk.token("rita's", Role::Reviewer, &only(&[&legal]));
        for token in [desk.token("eve's", Role::Auditor, &teamchat_archive::model::Scope::All), narrow] {
            let reply = desk.reply(&token, "auth.test", &[]).await;
            assert_eq!((&reply["user"], &reply["user_id"]), (&first.clone().into(), &first.clone().into()), "{second}");
            let reply = desk.reply(&token, "users.identity", &[]).await;
            assert_eq!(reply["user"]["id"], first, "{second}");
            let info = desk.reply(&token, "users.info", &[("user", &first)]).await;
            assert_eq!(reply["user"], info["user"], "{second}");
        }
    }
}
