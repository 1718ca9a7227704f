//! The audit UI and the read-only TeamChat API, over one router that is tested without a socket.
//!
//! It changes no record and never calls TeamChat. Every handler of content sits
//! at a desk (`desk.rs`) on which lies what its reader may see; what is out of scope answers as what
//! does not exist. Whatever is shown has an entry
//! in the access log first (`visits.rs`). Pages work without script.

mod assets;
mod checks;
mod copies;
mod counts;
mod desk;
mod error;
mod exporting;
mod front;
mod halfway;
mod limits;
mod listening;
mod markup;
#[cfg(feature = "oidc")]
mod oidc;
mod pages;
mod reports;
mod request;
mod rights;
mod security;
mod sending;
mod signin;
pub mod teamchat;
mod tls;
mod visits;
mod words;

use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};
use axum::{Extension, Router};

pub use checks::Check;
pub use desk::{Inventory, Web};
pub use front::{Front, Vouching};
pub use listening::{Bounds, Listening};
#[cfg(feature = "oidc")]
pub use oidc::{Agreement, Provider};
pub use tls::{Encrypted, TlsError};

/// All routes.
pub fn router(web: Arc<Web>) -> Router {
    // Every page of content stands in here, behind the door that writes the access log.
    let content = Router::new()
        .route("/", get(pages::overview::page))
        .route("/search", get(pages::search::page))
        .route("/search/advanced", get(pages::search::advanced::lead))
        .route("/saved", get(pages::saved::page))
        .route("/saved/keep", post(pages::saved::keep))
        .route("/saved/{id}/delete", post(pages::saved::delete))
        .route("/certificate", get(pages::search::certificate::page))
        .route("/exhibits", get(pages::exhibits::list).post(pages::exhibits::make))
        .route("/exhibits/{n}", get(pages::exhibits::page))
        .route("/exhibits/{n}/exhibit.html", get(pages::exhibits::file))
        .route("/exhibits/{n}/remove", post(pages::exhibits::remove))
        .route("/exhibits/{n}/join", post(pages::exhibits::join))
        .route("/exhibits/{n}/title", post(pages::exhibits::rename))
        .route("/exhibits/{n}/delete", post(pages::exhibits::delete))
        .route("/exports", get(pages::exports::list).post(pages::exports::ask))
        .route("/exports/{n}", get(pages::exports::page))
        .route("/exports/{n}/set.zip", get(pages::exports::download))
        .route("/exports/{n}/stop", post(pages::exports::stop))
        .route("/exports/{n}/again", post(pages::exports::go_on))
        .route("/exports/{n}/delete", post(pages::exports::delete))
        .route("/c", get(pages::channels::page))
        .route("/c/{id}", get(pages::timeline::page))
        .route("/c/{id}/day/{date}", get(pages::day::page))
        .route("/c/{id}/day/{date}/list.txt", get(pages::day::list))
        .route("/people", get(pages::people::page))
        .route("/people/{id}", get(pages::person::page))
        .route("/r/{record}", get(pages::record::page))
        .route("/r/{record}/v/{number}", get(pages::version::page))
        .route("/r/{record}/raw.json", get(pages::record::raw))
        .route("/r/{record}/proof.tlog-proof", get(pages::record::proof))
        .route("/r/{record}/proof.json", get(pages::record::proof_json))
        .route("/f", get(pages::files::list))
        .route("/f/{id}", get(pages::files::page))
        .route("/f/{id}/text", get(pages::files::text))
        .route("/f/{id}/preview", get(pages::files::preview))
        .route("/f/{id}/thumbnail", get(pages::files::thumbnail))
        .route("/f/{id}/blob", get(pages::files::blob))
        .route("/crawl", get(pages::crawl::list))
        .route("/crawl/coverage", get(pages::coverage::page))
        .route("/crawl/runs/{run}", get(pages::crawl::page))
        .route("/verify", get(pages::verify::page).post(pages::verify::run))
        .route("/verify/verify.py", get(pages::verify::script))
        .route("/verify/verify.html", get(pages::verify::checking_page))
        .route("/verify/ledger.vkey", get(pages::verify::key))
        .route("/access", get(pages::access::list))
        .route("/access/{entry}", get(pages::access::entry))
        .route("/sessions", get(pages::sessions::page))
        .route("/sessions/factor", get(pages::factor::page))
        .route("/admin/users", get(pages::users::page))
        .route("/admin/tokens", get(pages::tokens::page))
        .route_layer(from_fn(rights::check))
        .route_layer(from_fn_with_state(Arc::clone(&web), visits::recorded));
    // Each of these changes something, and the entry of the change is the one that tells of it.
    let changes = Router::new()
        .route("/sessions/end", post(pages::sessions::end))
        .route("/sessions/password", post(pages::sessions::set_password))
        .route("/sessions/factor/begin", post(pages::factor::begin))
        .route("/sessions/factor/on", post(pages::factor::turn_on))
        .route("/sessions/factor/off", post(pages::factor::turn_off))
        .route("/admin/users/factor", post(pages::users::reset_factor))
        .route("/admin/users/add", post(pages::users::add))
        .route("/admin/users/change", post(pages::users::change))
        .route("/admin/users/password", post(pages::users::set_password))
        .route("/admin/users/state", post(pages::users::set_state))
        .route("/admin/tokens/create", post(pages::tokens::create))
        .route("/admin/tokens/revoke", post(pages::tokens::revoke))
        .route_layer(from_fn(rights::check))
        .route_layer(from_fn_with_state(Arc::clone(&web), visits::refused));
    let signed_in = content
        .merge(changes)
        .route("/look", post(pages::look::set))
        .route("/out", get(pages::out::page))
        .route("/logout", post(signin::sign_out))
        .route_layer(from_fn_with_state(Arc::clone(&web), signin::require));
    let open = Router::new()
        .route("/login", get(signin::page).post(signin::sign_in))
        .route("/login/code", post(signin::give_code))
        .route("/setup", get(pages::setup::page).post(pages::setup::finish))
        .route("/healthz", get(pages::health::healthz))
        .route("/readyz", get(pages::health::readyz))
        .route("/static/{hash}/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::favicon))
        .route("/teamchatapi/{method}", any(teamchat::handle))
        .route("/robots.txt", get(pages::health::robots))
        .route("/openapi.json", get(assets::openapi))
        .route("/csp-report", post(reports::take).layer(Extension(Arc::new(reports::Reports::default()))));
    #[cfg(feature = "oidc")]
    let open = open.merge(oidc::routes());
    // Outermost last: headers go on every answer, the refusals of the layers within included.
    signed_in
        .merge(open)
        .fallback(pages::health::not_found)
        .layer(from_fn_with_state(Arc::clone(&web), security::refuse_cross_site))
        .layer(from_fn(security::refuse_prefetch))
        .layer(from_fn(request::numbered))
        .layer(from_fn_with_state(Arc::clone(&web), security::headers))
        .layer(from_fn_with_state(Arc::clone(&web), front::look))
        .with_state(web)
}
