//! Where a file stands: the messages that carry it, and other files of the same content.

use tantivy::Term;

use super::document::file_family;
use super::searcher::{Hit, Order, Paging, Request, Searcher};
use super::{Error, schema::Fields};
use crate::history::{Directory, ItemState};
use crate::model::{Digest, Scope};
use crate::query::{Query, Sort};

/// What has something in common, oldest first.
#[derive(Debug, Clone)]
pub struct Standing {
    /// How many there are.
    pub total: u64,
    /// The first of them, each as it last read.
    pub hits: Vec<Hit>,
    /// Every record below this number was looked at.
    pub searched_through: u64,
}

impl Searcher {
    /// The messages within `scope` that may carry a file, `limit` at most. Families are known by numbers that two
    /// may have in common: whoever reads a message sees whether it does.
    pub fn carriers(&self, scope: &Scope, file: &str, limit: usize) -> Result<Standing, Error> {
        let term = |fields: &Fields| Term::from_field_u64(fields.family, file_family(file));
        self.standing(scope, Sort::Message, term, limit)
    }

    /// The files within `scope` that have this content, `limit` at most.
    pub fn same_content(&self, scope: &Scope, content: &Digest, limit: usize) -> Result<Standing, Error> {
        let term = |fields: &Fields| Term::from_field_text(fields.blob, &content.to_string());
        self.standing(scope, Sort::File, term, limit)
    }

    fn standing(
        &self,
        scope: &Scope,
        kind: Sort,
        term: impl Fn(&Fields) -> Term,
        limit: usize,
    ) -> Result<Standing, Error> {
        let still = self.still()?;
        let request = Request {
            query: &Query::All,
            scope,
            directory: &Directory::default(),
            kinds: &[kind],
            // How each last read, whether it stands or is gone.
            states: &[ItemState::Current, ItemState::Deleted],
            as_of: None,
            order: Order::Oldest,
            paging: Paging::Page { offset: 0, limit },
            facets: None,
        };
        let (total, hits) = still.with_term(&request, term(still.fields()), limit)?;
        Ok(Standing { total, hits, searched_through: still.searched_through() })
    }
}
