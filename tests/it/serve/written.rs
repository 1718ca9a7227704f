//! The routes of the router, read from where they are written down, and addresses of theirs.

/// A route, and whether it answers looking, sending, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) pattern: String,
    pub(crate) gets: bool,
    pub(crate) posts: bool,
}

/// The routes of the router, in its order.
pub(crate) fn routes() -> Vec<Route> {
    let source = include_str!("../../../src/web/mod.rs");
    let call = regex::Regex::new(r#"(?s)\.route\(\s*"([^"]+)",\s*(.*?)\)\s*(?:\.route|\.route_layer|;)"#).unwrap();
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(found) = call.captures_at(source, from) {
        let handler = &found[2];
        let any = handler.starts_with("any(");
        out.push(Route {
            pattern: found[1].to_owned(),
            gets: any || handler.contains("get("),
            posts: any || handler.contains("post("),
        });
        // What follows may be the next route.
        from = found.get(2).unwrap().end();
    }
    out
}

/// The addresses of a route, with each of these values in its place. `values` gives what stands for a parameter: the
/// pattern's first word and the parameter's name.
pub(crate) fn addresses(pattern: &str, values: &dyn Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let section = pattern.split('/').nth(1).unwrap_or_default();
    let mut out = vec![String::new()];
    for segment in pattern.split('/').skip(1) {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let choices = name.map_or_else(|| vec![segment.to_owned()], |name| values(section, name));
        out = out.iter().flat_map(|before| choices.iter().map(move |choice| format!("{before}/{choice}"))).collect();
    }
    out
}
