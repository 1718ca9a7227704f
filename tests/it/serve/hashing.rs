//! How many passwords are hashed at once: two, whoever asks and whoever goes away meanwhile.
//!
//! The threads on which hashes are made are one here, and it is held up: what was begun waits in a line behind it, in
//! the order in which it was begun. A change of the password that gets into the line is seen by what is begun after
//! it, and not by what was begun before. So the outcome tells the order, and no clock is needed.

use std::pin::Pin;
use std::sync::{Arc, mpsc};

use axum::Router;
use secrecy::SecretString;
use teamchat_archive::model::{Clock, Role, Zone};
use teamchat_archive::store::access::{Access, Grant};
use teamchat_archive::web::{Web, router};
use tokio::runtime::Runtime;

use super::{Answer, PASSWORD, filled, form, send};
use crate::support::TestArchive;

const NEW: &str = "another horse and its battery";

type SignIn = Pin<Box<dyn Future<Output = Answer>>>;

struct Door {
    _archive: TestArchive,
    access: Access,
    router: Router,
    runtime: Runtime,
}

impl Door {
    fn open() -> Self {
        let archive = TestArchive::in_memory("https://chat.example/");
        let access = Access::open(&archive.layout, Clock::System).unwrap();
        access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
        let web = Web::new(archive.reader(), access.clone(), Zone::UTC, Clock::System).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build();
        Self { _archive: archive, access, router: router(Arc::new(web)), runtime: runtime.unwrap() }
    }

    fn sign_in(&self, name: &str, password: &str) -> SignIn {
        let request = form("/login").body(filled(&[("username", name), ("password", password)])).unwrap();
        let router = self.router.clone();
        Box::pin(async move { send(&router, request).await })
    }

    /// Two tries are begun, `meanwhile` happens to them, a third comes; then the password becomes the one that the third
    /// names. What the third is answered.
    fn third(&self, meanwhile: impl FnOnce(&mut Vec<SignIn>)) -> u16 {
        self.runtime.block_on(async {
            let (release, held) = mpsc::channel::<()>();
            let holding = tokio::task::spawn_blocking(move || held.recv());
            let mut two = vec![self.sign_in("eve", "a wrong password 1"), self.sign_in("bob", "a wrong password 2")];
            for one in &mut two {
                begin(one).await;
            }
            meanwhile(&mut two);
            let mut third = self.sign_in("ada", NEW);
            begin(&mut third).await;
            let (access, new) = (self.access.clone(), SecretString::from(NEW.to_owned()));
            let change = tokio::task::spawn_blocking(move || access.set_password("ada", &new));
            release.send(()).unwrap();
            holding.await.unwrap().unwrap();
            change.await.unwrap().unwrap();
            for one in two {
                assert_eq!(one.await.status, 401);
            }
            third.await.status.as_u16()
        })
    }
}

/// Goes as far with a request as it goes without a thread for what takes long.
async fn begin(one: &mut SignIn) {
    for _ in 0..8 {
        let is_over =
            std::future::poll_fn(|context| std::task::Poll::Ready(one.as_mut().poll(context).is_ready())).await;
        assert!(!is_over, "it needs no hash");
        tokio::task::yield_now().await;
    }
}

#[test]
fn of_three_sign_ins_at_once_the_third_is_not_begun_while_two_run() {
    assert_eq!(Door::open().third(|_| {}), 303, "it was begun before the password was changed");
}

#[test]
fn who_goes_away_while_their_password_is_hashed_makes_no_room_for_another() {
    assert_eq!(Door::open().third(Vec::clear), 303, "there were three hashes at once");
}
