//! Words near each other.

use super::Plan;

/// Said when `/s` or `/p` was typed: a text knows no sentences and paragraphs.
pub(super) const SENTENCE_WARNING: &str =
    "`/s` was read as `w/15` and `/p` as `w/50`: sentences and paragraphs are not told apart";

/// Which side stands where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Any side first: `w/5`.
    Either,
    /// The left side first: `pre/5`.
    Before,
    /// The right side must not be near: `not w/5`.
    Apart,
}

/// A proximity operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Near {
    pub(super) distance: u32,
    pub(super) order: Order,
}

impl Near {
    /// The operator as it is written.
    pub(super) fn written(self) -> String {
        let name = match self.order {
            Order::Either => "w",
            Order::Before => "pre",
            Order::Apart => "not w",
        };
        format!("{name}/{}", self.distance)
    }

    /// The operator in words.
    pub(super) fn in_words(self) -> String {
        let words = match self.distance {
            1 => "1 word".to_owned(),
            distance => format!("{distance} words"),
        };
        match self.order {
            Order::Either => format!("within {words} of"),
            Order::Before => format!("at most {words} before"),
            Order::Apart => format!("not within {words} of"),
        }
    }

    /// Both sides as one plan.
    pub(super) fn plan(self, left: Plan, right: Plan) -> Plan {
        let (left, right, distance) = (Box::new(left), Box::new(right), self.distance);
        match self.order {
            Order::Either => Plan::Near { left, right, distance, in_order: false },
            Order::Before => Plan::Near { left, right, distance, in_order: true },
            Order::Apart => Plan::NotNear { left, right, distance },
        }
    }
}
