use super::days::Days;
use crate::index::Facet;
use crate::model::{ChannelId, UtcTime, Zone, parse_time};
use crate::web::desk::ZONE;

/// Longest address of a search that is kept or handed on.
pub(crate) const LONGEST: usize = 16 * 1024;
/// Pages are counted no further.
const LAST_PAGE: usize = 100_000;

/// What is looked for: all of it stands in the address, so that the address gives the same page again. Read by
/// hand, since a facet may be chosen more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) q: String,
    pub(crate) sort: String,
    pub(crate) as_of: String,
    pub(crate) zone: String,
    /// The days to which the histogram narrowed it.
    pub(crate) on: Option<Days>,
    /// Why `on` could not be read.
    pub(crate) no_days: Option<String>,
    pub(crate) only: Vec<(Facet, String)>,
    pub(crate) page: usize,
    /// A facet whose values are listed, as far as they are called like this.
    pub(crate) listed: Option<Facet>,
    pub(crate) like: String,
}

impl Asked {
    pub(crate) fn parse(raw: &str) -> Self {
        let mut asked = Self { page: 1, ..Self::default() };
        for (name, value) in url::form_urlencoded::parse(raw.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "q" => asked.q = value,
                "sort" => asked.sort = value,
                "asof" => asked.as_of = value,
                "page" => asked.page = value.parse().unwrap_or(1).clamp(1, LAST_PAGE),
                "list" => asked.listed = Facet::parse(&value),
                "like" => asked.like = value,
                "on" if !value.is_empty() => match Days::parse(&value) {
                    Some(days) => asked.on = Some(days),
                    None => asked.no_days = Some(value),
                },
                ZONE => asked.zone = value,
                // As `search --kind` has it.
                "kind" if value == "messages" => {
                    asked.choose(Facet::Kind, "message");
                    asked.choose(Facet::Kind, "comment");
                }
                "kind" if value == "files" => asked.choose(Facet::Kind, "file"),
                other => {
                    // Only nobody has no name.
                    if let Some(facet) =
                        Facet::parse(other).filter(|facet| *facet == Facet::Author || !value.is_empty())
                    {
                        asked.choose(facet, &value);
                    }
                }
            }
        }
        asked
    }

    fn choose(&mut self, facet: Facet, value: &str) {
        // A channel has one name in the index, however it is spelled.
        let channel = Some(value).filter(|_| facet == Facet::Channel).and_then(ChannelId::parse);
        let choice = (facet, channel.map_or_else(|| value.to_owned(), |id| id.to_string()));
        if !self.only.contains(&choice) {
            self.only.push(choice);
        }
    }

    /// Whether anything is looked for.
    pub(crate) fn is_search(&self) -> bool {
        !self.q.trim().is_empty() || !self.only.is_empty() || self.on.is_some() || self.no_days.is_some()
    }

    pub(crate) fn has(&self, facet: Facet, value: &str) -> bool {
        self.only.iter().any(|(known, chosen)| *known == facet && chosen == value)
    }

    /// The moment as of which things are asked for; `Err`: what is written is none.
    pub(crate) fn moment(&self, zone: Zone) -> Result<Option<UtcTime>, &str> {
        match self.as_of.trim() {
            "" => Ok(None),
            text => parse_time(text, zone).map(Some).ok_or(text),
        }
    }

    /// Names and values of the address. What follows from nothing else comes first.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut out: Vec<(&'static str, String)> = Vec::new();
        let texts = [("q", &self.q), ("sort", &self.sort), ("asof", &self.as_of), (ZONE, &self.zone)];
        out.extend(texts.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.clone())));
        out.extend(self.on.map(|days| ("on", days.to_string())));
        out.extend(self.only.iter().map(|(facet, value)| (facet.as_str(), value.clone())));
        out
    }

    /// What stands after the `?` of the search's first page.
    pub(crate) fn query(&self) -> String {
        let mut out = url::form_urlencoded::Serializer::new(String::new());
        out.extend_pairs(self.pairs());
        if self.page > 1 {
            out.append_pair("page", &self.page.to_string());
        }
        out.finish()
    }

    /// Its address.
    pub(crate) fn href(&self) -> String {
        format!("/search?{}", self.query())
    }

    /// The same search from its first page on, otherwise.
    fn changed(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = Self { page: 1, listed: None, like: String::new(), ..self.clone() };
        change(&mut other);
        other
    }

    pub(crate) fn with(&self, facet: Facet, value: &str) -> Self {
        self.changed(|other| other.choose(facet, value))
    }

    pub(crate) fn without(&self, facet: Facet, value: &str) -> Self {
        self.changed(|other| other.only.retain(|(known, chosen)| *known != facet || chosen != value))
    }

    /// Within these days, as `zone` has them; `None`: at any time.
    pub(crate) fn within(&self, days: Option<Days>, zone: Zone) -> Self {
        self.changed(|other| {
            other.on = days;
            // Days of another zone would be others.
            zone.name().clone_into(&mut other.zone);
        })
    }

    pub(crate) fn asking(&self, q: &str) -> Self {
        self.changed(|other| q.clone_into(&mut other.q))
    }

    pub(crate) fn sorted(&self, sort: &str) -> Self {
        self.changed(|other| sort.clone_into(&mut other.sort))
    }

    pub(crate) fn as_of_now(&self) -> Self {
        self.changed(|other| other.as_of.clear())
    }

    pub(crate) fn at_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }

    /// Names and values of the address that lists all values of a facet.
    pub(crate) fn listing(&self, facet: Facet) -> Vec<(&'static str, String)> {
        let mut out = self.pairs();
        out.push(("list", facet.as_str().to_owned()));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_the_search_and_the_search_its_address() {
        let raw = "q=%22change+order%22&sort=newest&asof=2026-03-01&tz=Europe%2FPrague&on=2026-03-02..2026-03-08\
                   &channel=C1&channel=C2&state=deleted&author=&page=3";
        let asked = Asked::parse(raw);
        assert_eq!(asked.query(), raw);
        assert_eq!(Asked::parse(&asked.query()), asked);
        assert_eq!(
            Asked::parse("kind=messages&kind=file&kind=files&state=&q=a").query(),
            "q=a&kind=message&kind=comment&kind=file"
        );
        assert_eq!(Asked::parse("channel=a-b_c%3D%3D").query(), "channel=a%2Bb%2Fc");
        assert_eq!(Asked::parse("on=never").no_days.as_deref(), Some("never"));
        assert!(!Asked::parse("q=+&sort=newest&tz=UTC").is_search());
    }

    #[test]
    fn a_changed_search_begins_at_its_first_page() {
        let asked = Asked::parse("q=a&channel=C1&page=3&list=author&like=x");
        assert_eq!(asked.with(Facet::Author, "j").href(), "/search?q=a&channel=C1&author=j");
        assert_eq!(asked.without(Facet::Channel, "C1").href(), "/search?q=a");
        assert_eq!(asked.at_page(4).href(), "/search?q=a&channel=C1&page=4");
        let days = Days::parse("2026-03-04");
        assert_eq!(asked.within(days, Zone::UTC).href(), "/search?q=a&tz=UTC&on=2026-03-04&channel=C1");
        assert_eq!(Asked::parse("page=0").page, 1);
    }
}
