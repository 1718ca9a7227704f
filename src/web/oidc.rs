//! Signing in at an OIDC provider: authorization code with PKCE, state and nonce.
//!
//! What the provider says counts only in an ID token that one of its keys has signed, that is for us, that has not
//! expired and that answers the question this browser asked. It says who somebody is there, and nothing of what they may
//! do here: that is the account's, which must be there already. An account is bound to the provider's own name of a
//! person (`sub`) at the first sign-in; after that, no other claim leads to it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreJwsSigningAlgorithm,
    CoreProviderMetadata,
};
use openidconnect::{
    AuthType, AuthenticationContextClass, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, TokenResponse as _,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::desk::{Web, cookie};
use super::error::{WebError, blocking};
use super::front::Whence;
use super::limits::Turn;
use super::markup::visible;
use super::request::number;
use super::signin::{self, Next_, logged, login_page, too_often};
use super::words::words;
use crate::model::Digest;
use crate::store::access::User;

/// What a browser keeps while it is at the provider.
const COOKIE: &str = "__Host-oidc";
/// For so long, in seconds.
const PATIENCE_SECONDS: u32 = 600;
/// Where the provider sends people back to.
const BACK: &str = "/login/oidc/back";
/// Longer places to go to are given up: they must fit into the cookie.
const LONGEST_NEXT: usize = 1024;
/// What the provider says of itself is asked for again after so long; a failure is remembered for the second time.
const KNOWN_FOR: Duration = Duration::from_mins(10);
const FAILED_FOR: Duration = Duration::from_secs(5);
/// A key that is not among the known ones is looked for again, at most so often.
const KEYS_AGAIN: Duration = Duration::from_mins(1);
/// No answer of a provider is longer.
const LONGEST_ANSWER: usize = 1 << 20;

/// Signatures that are accepted: those that only the provider can make.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What is agreed on with a provider.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Its name, as it stands in its tokens.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// What it knows us by.
    pub secret: SecretString,
    /// The claim that names the account at the first sign-in.
    pub claim: String,
    /// How people must have signed in there (`acr`), one of these; none: as the provider likes.
    pub acr: Vec<String>,
    /// With what they must have signed in there (`amr`), all of these.
    pub amr: Vec<String>,
    /// The address under which people reach us.
    pub public_url: Url,
}

struct Known {
    at: Instant,
    answer: Result<Arc<CoreProviderMetadata>, String>,
}

/// A provider at which people sign in.
pub struct Provider {
    agreement: Agreement,
    issuer: IssuerUrl,
    back: RedirectUrl,
    http: reqwest::Client,
    known: Mutex<Option<Known>>,
}

/// A request that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreachable(String);

/// What is asked of one browser.
#[derive(Serialize, Deserialize)]
struct Asked {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
}

/// What the provider sends a browser back with.
#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    error: Option<String>,
    iss: Option<String>,
}

/// Why nobody is signed in; in the operator's log, where what others wrote stands in quotes.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// This browser did not ask for it, or long ago.
    #[error("this browser waits for no answer")]
    NotAsked,
    /// The provider refused, in its own word.
    #[error("the provider refuses: {0:?}")]
    Said(String),
    /// It gives no answer that can be read.
    #[error("the provider gives no answer that can be read: {0:?}")]
    Down(String),
    /// Its answer proves nothing.
    #[error("the provider's answer proves nothing: {0:?}")]
    Unproved(String),
    /// Who signed in there did so in another way than is asked for here.
    #[error("it was signed in in another way than is asked for: {0:?}")]
    Weak(String),
    /// It says too little: the claim that is missing.
    #[error("the provider does not say {0:?}")]
    Nameless(String),
    /// Whom it names has no account here that may be used: what they are called there, and here.
    #[error("there is no account that may be used for {said:?}")]
    NoAccount { said: String, account: String },
}

/// Who somebody is at the provider.
struct Person {
    subject: String,
    name: String,
}

/// Asks a provider something, and reads the answer to its end.
async fn ask(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, Unreachable> {
    let failed = |error: reqwest::Error| Unreachable(cause(&error.without_url()));
    let request = reqwest::Request::try_from(request).map_err(failed)?;
    let answer = http.execute(request).await.map_err(failed)?;
    let mut out = axum::http::Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get(header::CONTENT_TYPE) {
        out = out.header(header::CONTENT_TYPE, kind);
    }
    let (mut body, mut chunks) = (Vec::new(), answer.bytes_stream());
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(failed)?);
        if body.len() > LONGEST_ANSWER {
            return Err(Unreachable(format!("an answer is longer than {LONGEST_ANSWER} bytes")));
        }
    }
    out.body(body).map_err(|error| Unreachable(error.to_string()))
}

/// The innermost cause, which holds no address.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The strings of a claim that is one string or several.
fn strings(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The claims of a token that was verified.
fn claims_of(token: &CoreIdToken) -> Option<Value> {
    let text = token.to_string();
    let payload = URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

impl Provider {
    /// Prepares for signing in. Nothing is sent yet; what is wrong is said in words.
    pub fn new(agreement: Agreement) -> Result<Self, String> {
        let issuer = IssuerUrl::new(agreement.issuer.clone()).map_err(|error| error.to_string())?;
        let back = agreement.public_url.join(BACK).map_err(|error| error.to_string())?;
        // The first client of this process installs the provider; later calls find it there.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("teamchat-archive/", env!("CARGO_PKG_VERSION")))
            // A provider is where the settings say, and what it names is reached as it is.
            .redirect(reqwest::redirect::Policy::none())
            .https_only(issuer.url().scheme() == "https")
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .no_proxy()
            .build()
            .map_err(|error| cause(&error))?;
        Ok(Self { issuer, back: RedirectUrl::from_url(back), http, known: Mutex::default(), agreement })
    }

    /// What it is called towards people.
    pub(super) fn host(&self) -> String {
        self.issuer.url().host_str().unwrap_or_default().to_owned()
    }

    /// What asks it.
    fn asker(&self) -> impl Fn(HttpRequest) -> BoxFuture<'static, Result<HttpResponse, Unreachable>> + use<> {
        let http = self.http.clone();
        move |request| ask(http.clone(), request).boxed()
    }

    /// What it says of itself and its keys, no older than it may be.
    async fn metadata(&self, at_most: Duration) -> Result<Arc<CoreProviderMetadata>, Refused> {
        // One asks, the others wait for the answer.
        let mut known = self.known.lock().await;
        if let Some(Known { at, answer }) = &*known {
            let holds = if answer.is_ok() { at_most } else { FAILED_FOR };
            if at.elapsed() < holds {
                return answer.clone().map_err(Refused::Down);
            }
        }
        let ask = self.asker();
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &ask).await;
        let answer = found.map(Arc::new).map_err(|error| cause(&error));
        *known = Some(Known { at: Instant::now(), answer: answer.clone() });
        answer.map_err(Refused::Down)
    }

    /// Where a browser goes to sign in, and what it keeps meanwhile.
    async fn question(&self, next: &str) -> Result<(Url, Asked), Refused> {
        let metadata = self.metadata(KNOWN_FOR).await?;
        let client = CoreClient::from_provider_metadata(
            (*metadata).clone(),
            ClientId::new(self.agreement.client_id.clone()),
            None,
        )
        .set_redirect_uri(self.back.clone());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut asking = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
            .set_pkce_challenge(challenge);
        if self.agreement.claim != "sub" {
            asking = asking.add_scope(Scope::new("profile".to_owned()));
        }
        for way in &self.agreement.acr {
            asking = asking.add_auth_context_value(AuthenticationContextClass::new(way.clone()));
        }
        let (url, state, nonce) = asking.url();
        let next = signin::local_path(next);
        let next = if next.len() > LONGEST_NEXT { "/" } else { next };
        let asked = Asked {
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            next: next.to_owned(),
        };
        Ok((url, asked))
    }

    /// Changes a code for a token and looks at it closely: who signed in.
    async fn person(&self, web: &Web, code: String, asked: &Asked) -> Result<Person, Refused> {
        let metadata = self.metadata(KNOWN_FOR).await?;
        let (token, claims) = {
            let client = CoreClient::from_provider_metadata(
                (*metadata).clone(),
                ClientId::new(self.agreement.client_id.clone()),
                Some(ClientSecret::new(self.agreement.secret.expose_secret().to_owned())),
            )
            .set_redirect_uri(self.back.clone());
            let ways = metadata.token_endpoint_auth_methods_supported();
            let in_body = ways.is_some_and(|ways| {
                ways.contains(&CoreClientAuthMethod::ClientSecretPost)
                    && !ways.contains(&CoreClientAuthMethod::ClientSecretBasic)
            });
            let client = client.set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth });
            let ask = self.asker();
            let answer = client
                .exchange_code(AuthorizationCode::new(code))
                .map_err(|error| Refused::Down(error.to_string()))?
                .set_pkce_verifier(PkceCodeVerifier::new(asked.verifier.clone()))
                .request_async(&ask)
                .await;
            let answer = answer.map_err(|error| match error {
                RequestTokenError::ServerResponse(said) => Refused::Said(said.error().to_string()),
                error => Refused::Down(cause(&error)),
            })?;
            let token = answer.id_token().ok_or_else(|| Refused::Unproved("there is no ID token".to_owned()))?.clone();
            let claims = claims_of(&token).unwrap_or_default();
            (token, claims)
        };
        match self.verify(web, &metadata, &token, &asked.nonce) {
            // It may sign with a new key since.
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
                let metadata = self.metadata(KEYS_AGAIN).await?;
                self.verify(web, &metadata, &token, &asked.nonce)
            }
            verified => verified,
        }
        .map_err(|error| Refused::Unproved(cause(&error)))?;
        // The library leaves this one to us (OpenID Connect Core 1.0, section 3.1.3.7, point 5).
        if claims.get("azp").is_some_and(|party| party.as_str() != Some(self.agreement.client_id.as_str())) {
            return Err(Refused::Unproved("it was given to another client".to_owned()));
        }
        self.named(&claims)
    }

    /// Checks a token: signed by a key of the provider, from it, for us, not expired, for this question.
    fn verify(
        &self,
        web: &Web,
        metadata: &CoreProviderMetadata,
        token: &CoreIdToken,
        nonce: &str,
    ) -> Result<(), ClaimsVerificationError> {
        let client =
            CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(self.agreement.client_id.clone()), None);
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(|| web.now());
        token.claims(&verifier, &Nonce::new(nonce.to_owned())).map(drop)
    }

    /// Whom the claims of a token that was verified name.
    fn named(&self, claims: &Value) -> Result<Person, Refused> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let Agreement { claim, acr, amr, .. } = &self.agreement;
        if !acr.is_empty() && !text("acr").is_some_and(|way| acr.iter().any(|asked| asked == way)) {
            return Err(Refused::Weak(format!("acr is {:?}", text("acr").unwrap_or_default())));
        }
        let used = strings(claims.get("amr"));
        if !amr.iter().all(|asked| used.contains(&asked.as_str())) {
            return Err(Refused::Weak(format!("amr is {used:?}")));
        }
        let find = |name: &str| text(name).map(str::to_owned).ok_or_else(|| Refused::Nameless(name.to_owned()));
        Ok(Person { subject: find("sub")?, name: find(claim)? })
    }

    /// The account of a person.
    async fn account(&self, web: &Web, person: Person) -> Result<Result<User, Refused>, WebError> {
        let (access, issuer) = (web.access().clone(), self.agreement.issuer.clone());
        blocking(move || {
            let Person { subject, name } = person;
            Ok(match access.account_at(&issuer, &subject, &name)? {
                Some(user) if !user.disabled => Ok(user),
                Some(user) => Err(Refused::NoAccount { said: name, account: user.name }),
                None => Err(Refused::NoAccount { account: name.clone(), said: name }),
            })
        })
        .await
    }

    /// The form, which says why nobody was signed in.
    fn refusal(&self, refused: &Refused, next: &str) -> Response {
        let (w, host) = (words(), self.host());
        let (status, said) = match refused {
            Refused::NotAsked => (StatusCode::BAD_REQUEST, w.with("oidc-not-asked", host)),
            Refused::Said(_) => (StatusCode::UNAUTHORIZED, w.with("oidc-refused", host)),
            // It is no fault of the person: under this number the operator finds what happened.
            Refused::Down(_) => {
                let said = format!("{} {} {}", w.with("oidc-down", host), w.say("error-reference"), number());
                (StatusCode::BAD_GATEWAY, said)
            }
            Refused::Unproved(_) => (StatusCode::UNAUTHORIZED, w.with("oidc-unproved", host)),
            Refused::Weak(_) => (StatusCode::FORBIDDEN, w.with("oidc-weak", host)),
            Refused::Nameless(claim) => (StatusCode::FORBIDDEN, w.with_two("oidc-nameless", host, claim)),
            Refused::NoAccount { said, .. } => {
                (StatusCode::FORBIDDEN, w.with_two("oidc-no-account", host, visible(said)))
            }
        };
        login_page(status, String::new(), next.to_owned(), Some(said), Some(self.host()))
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.agreement.issuer).finish_non_exhaustive()
    }
}

/// What a browser keeps for a while, or no longer.
fn keep(response: &mut Response, value: &str, seconds: u32) {
    let cookie = format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// What this browser was asked, if the answer is one to that.
fn asked(headers: &HeaderMap, state: &str) -> Option<Asked> {
    let kept = URL_SAFE_NO_PAD.decode(cookie(headers, COOKIE)?).ok()?;
    let asked: Asked = serde_json::from_slice(&kept).ok()?;
    // As digests, so that the time it takes tells nothing.
    let is_same = Digest::of(asked.state.as_bytes()) == Digest::of(state.as_bytes());
    (is_same && !state.is_empty()).then_some(asked)
}

/// To the provider. A link leads here, no form: the policy of the pages lets no form lead elsewhere.
async fn start(State(web): State<Arc<Web>>, Query(query): Query<Next_>) -> Result<Response, WebError> {
    let provider = web.provider().ok_or(WebError::NotFound)?;
    match provider.question(&query.next).await {
        Ok((url, asked)) => {
            let kept = serde_json::to_vec(&asked).map_err(|error| WebError::Internal(error.to_string()))?;
            let to = HeaderValue::from_str(url.as_str()).map_err(|error| WebError::Internal(error.to_string()))?;
            let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
            keep(&mut response, &URL_SAFE_NO_PAD.encode(kept), PATIENCE_SECONDS);
            Ok(response)
        }
        Err(refused) => {
            tracing::warn!(reason = %refused, "nobody can sign in at the provider");
            Ok(provider.refusal(&refused, &query.next))
        }
    }
}

/// From the provider. Whatever comes of it, what the browser kept is used up.
async fn back(State(web): State<Arc<Web>>, Query(back): Query<Back>, request: Request) -> Result<Response, WebError> {
    let provider = web.provider().ok_or(WebError::NotFound)?;
    let (parts, _body) = request.into_parts();
    let whence = signin::whence(&parts);
    // A link that anybody put on a page is no try.
    if asked(&parts.headers, &back.state).is_none() {
        return Ok(provider.refusal(&Refused::NotAsked, ""));
    }
    // No account has such a name: those who come from one address share their tries.
    let who = format!("\0oidc {:?}", whence.client);
    match web.limits().ask(&who, whence.client, web.now()) {
        Turn::ComeBack(wait) => {
            let said = words().count("sign-in-too-often", signin::seconds(wait));
            let status = StatusCode::TOO_MANY_REQUESTS;
            let page = login_page(status, String::new(), String::new(), Some(said), Some(provider.host()));
            return Ok(too_often(page, wait));
        }
        Turn::After(wait) if wait.is_zero() => {}
        Turn::After(wait) => tokio::time::sleep(wait).await,
    }
    let mut response = match answered(&web, provider, back, &parts.headers, &whence).await? {
        Ok(response) => {
            web.limits().succeeded(&who, whence.client);
            response
        }
        Err((refused, next)) => {
            tracing::warn!(reason = %refused, "a sign-in at the provider came to nothing");
            let name = match &refused {
                Refused::NoAccount { account, .. } => account.clone(),
                _ => String::new(),
            };
            let visit = whence.visit.clone();
            logged(&web, move |access| access.refuse_sign_in(&name, &visit)).await?;
            provider.refusal(&refused, &next)
        }
    };
    keep(&mut response, "", 0);
    Ok(response)
}

/// What becomes of the provider's answer: signed in, or why not, and where they wanted to go.
async fn answered(
    web: &Web,
    provider: &Provider,
    back: Back,
    headers: &HeaderMap,
    whence: &Whence,
) -> Result<Result<Response, (Refused, String)>, WebError> {
    let Some(asked) = asked(headers, &back.state) else {
        return Ok(Err((Refused::NotAsked, String::new())));
    };
    let refuse = |refused| Ok(Err((refused, asked.next.clone())));
    if back.iss.is_some_and(|issuer| issuer != provider.agreement.issuer) {
        return refuse(Refused::Unproved("another provider answers".to_owned()));
    }
    if let Some(said) = back.error {
        return refuse(Refused::Said(said));
    }
    let person = match provider.person(web, back.code, &asked).await {
        Ok(person) => person,
        Err(refused) => return refuse(refused),
    };
    match provider.account(web, person).await? {
        Ok(user) => {
            let cookie = signin::start_session(web, &user, whence, headers).await?;
            Ok(Ok(signin::redirect(signin::local_path(&asked.next), &cookie)))
        }
        Err(refused) => refuse(refused),
    }
}

/// The way to the provider and back.
pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new().route("/login/oidc", get(start)).route(BACK, get(back))
}
