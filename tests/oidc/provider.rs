//! A provider of OIDC with one person, who always agrees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{KeyInit as _, Mac as _};
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};
use sha2::Digest as _;
use teamchat_archive::model::Clock;
use url::Url;

pub(crate) const CLIENT: &str = "archive";
pub(crate) const SECRET: &str = "what the provider and the archive know";

/// What it does otherwise than the rules say.
pub(crate) struct Plan {
    /// Claims in place of the right ones; null takes one away.
    pub(crate) claims: Value,
    /// What is wrong with the signature; nothing if it is empty.
    pub(crate) signature: &'static str,
    /// What it says in place of a code.
    pub(crate) error: Option<&'static str>,
    /// It answers no question about tokens.
    pub(crate) is_failing: bool,
    key: KeyPair,
    key_id: u32,
    codes: HashMap<String, HashMap<String, String>>,
    issued: usize,
    given: usize,
}

impl Plan {
    pub(crate) fn new_key(&mut self) {
        self.key = KeyPair::generate().unwrap();
        self.key_id += 1;
    }
}

pub(crate) struct Fake {
    base: String,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Clone)]
struct Shared {
    base: String,
    plan: Arc<Mutex<Plan>>,
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A signature of ES256 as JOSE has it: both numbers, 32 bytes each.
fn plain(der: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(rest[1].into());
        let number = &number[number.len().saturating_sub(32)..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend(number);
        rest = after;
    }
    out
}

async fn configuration(State(Shared { base, .. }): State<Shared>) -> Json<Value> {
    Json(json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
    }))
}

async fn keys(State(shared): State<Shared>) -> Json<Value> {
    let plan = shared.plan.lock().unwrap();
    let point = plan.key.public_key_raw();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
    let id = plan.key_id.to_string();
    Json(json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id, "x": x, "y": y}]}))
}

async fn authorize(State(shared): State<Shared>, Query(asked): Query<HashMap<String, String>>) -> Redirect {
    assert_eq!(asked["client_id"], CLIENT);
    let mut plan = shared.plan.lock().unwrap();
    let mut to = Url::parse(&asked["redirect_uri"]).unwrap();
    to.query_pairs_mut().append_pair("state", &asked["state"]);
    match plan.error {
        Some(error) => {
            to.query_pairs_mut().append_pair("error", error).append_pair("error_description", "what it says more");
        }
        None => {
            plan.issued += 1;
            let code = format!("code{}", plan.issued);
            to.query_pairs_mut().append_pair("code", &code);
            plan.codes.insert(code, asked);
        }
    }
    Redirect::to(to.as_str())
}

async fn token(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut plan = shared.plan.lock().unwrap();
    if plan.is_failing {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let refuse = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response();
    // The secret is sent as a form has it.
    let secret: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let known = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{secret}")));
    if headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) != Some(known.as_str()) {
        return refuse("invalid_client");
    }
    // Used once, right or not.
    let Some(asked) = plan.codes.remove(&form["code"]) else { return refuse("invalid_grant") };
    let challenge = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(&form["code_verifier"]));
    if challenge != asked["code_challenge"] || form["redirect_uri"] != asked["redirect_uri"] {
        return refuse("invalid_grant");
    }
    plan.given += 1;
    let now = Clock::System.now().timestamp();
    let mut claims = json!({
        "iss": shared.base, "aud": CLIENT, "sub": "s-ada", "preferred_username": "ada",
        "iat": now, "exp": now + 300, "nonce": asked["nonce"],
    });
    for (name, value) in plan.claims.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let algorithm = match plan.signature {
        "none" | "HS256" => plan.signature,
        _ => "ES256",
    };
    let head = encoded(&json!({"alg": algorithm, "typ": "JWT", "kid": plan.key_id.to_string()}));
    let signed = format!("{head}.{}", encoded(&claims));
    let signature = match plan.signature {
        "none" => Vec::new(),
        "HS256" => {
            let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
            mac.update(signed.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        "another key" => plain(&KeyPair::generate().unwrap().sign(signed.as_bytes()).unwrap()),
        _ => plain(&plan.key.sign(signed.as_bytes()).unwrap()),
    };
    let mut answer = json!({"access_token": "a", "token_type": "Bearer", "expires_in": 60});
    match plan.signature {
        "no token" => {}
        "cut" => answer["id_token"] = json!(signed),
        _ => answer["id_token"] = json!(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))),
    }
    Json(answer).into_response()
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let plan = Arc::new(Mutex::new(Plan {
            claims: json!({}),
            signature: "",
            error: None,
            is_failing: false,
            key: KeyPair::generate().unwrap(),
            key_id: 1,
            codes: HashMap::new(),
            issued: 0,
            given: 0,
        }));
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(Shared { base: base.clone(), plan: Arc::clone(&plan) });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, plan }
    }

    pub(crate) fn issuer(&self) -> String {
        self.base.clone()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.plan.lock().unwrap());
    }

    /// How many codes were changed for tokens.
    pub(crate) fn tokens_given(&self) -> usize {
        self.plan.lock().unwrap().given
    }

    /// What a browser does there: where it is sent back to, from the root of the archive's pages on.
    pub(crate) async fn visit(&self, to: &Url) -> String {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let answer = client.get(to.clone()).send().await.unwrap();
        let back = Url::parse(answer.headers()[header::LOCATION].to_str().unwrap()).unwrap();
        assert_eq!(back.host_str(), Some("archive.example.com"));
        format!("{}?{}", back.path(), back.query().unwrap())
    }
}
