use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::desk::Web;
use super::front::Front;

/// Nothing but our own files; what a browser refuses is told to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types archive; report-uri /csp-report";

const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), autoplay=(), bluetooth=(), browsing-topics=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), usb=(), web-share=(), xr-spatial-tracking=()",
    ),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Browsers that came over TLS once never ask without it again, for two years.
const ONLY_TLS: &str = "max-age=63072000";

/// Puts the headers on every answer that does not set its own.
pub(super) async fn headers(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if web.front().is_https() {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ONLY_TLS));
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A page view is evidence: none is made by a browser that only guesses what comes next.
pub(super) async fn refuse_prefetch(request: Request, next: Next) -> Response {
    let purpose = request.headers().get("sec-purpose").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if purpose.contains("prefetch") {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    next.run(request).await
}

/// Refuses a change that another site's page asks for. A request that no browser sent has neither
/// header and is let through.
pub(super) async fn refuse_cross_site(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    if is_cross_site(web.front(), request.method(), request.headers()) {
        return (StatusCode::FORBIDDEN, "this request was made by another site").into_response();
    }
    next.run(request).await
}

fn is_cross_site(front: &Front, method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => !front.is_ours(origin, text("host").unwrap_or_default()),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_sites_are_refused() {
        let check = |pairs: &[(&'static str, &str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
                .collect();
            is_cross_site(&Front::default(), &Method::POST, &headers)
        };
        assert!(!check(&[]));
        assert!(!check(&[("sec-fetch-site", "same-origin")]));
        assert!(check(&[("sec-fetch-site", "cross-site")]));
        assert!(check(&[("sec-fetch-site", "same-site")]));
        assert!(!check(&[("origin", "http://h:1"), ("host", "h:1")]));
        assert!(check(&[("origin", "http://evil"), ("host", "h:1")]));
        assert!(check(&[("origin", "null"), ("host", "h:1")]));
        assert!(!is_cross_site(&Front::default(), &Method::GET, &HeaderMap::new()));
    }

    #[test]
    fn a_proxy_may_ask_under_another_name_than_people_do() {
        let public_url = url::Url::parse("https://archive.example.com/").ok();
        let front = Front { public_url, ..Front::default() };
        for (origin, is_cross) in [
            ("https://archive.example.com", false),
            ("http://archive.example.com", true),
            ("https://archive.example.com.evil.example", true),
            ("https://archive.example.com:444", true),
        ] {
            let pairs = [(header::ORIGIN, origin), (header::HOST, "127.0.0.1:8080")];
            let headers =
                pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_str(value).unwrap())).collect();
            assert_eq!(is_cross_site(&front, &Method::POST, &headers), is_cross, "{origin}");
        }
    }
}
