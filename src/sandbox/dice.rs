//! Numbers that look random and are the same each time: a seed decides all of them.

/// A sequence of numbers made by stepping a counter and mixing its bits.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// A sequence; two seeds give two sequences that have nothing to do with each other.
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5eed_0f7e_ac4a_1e55))
    }

    /// The next number.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// The next number, brought below `limit`; 0 when the limit is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // The upper half of the product: no division, and even enough for small limits.
        let product = u128::from(self.roll()) * u128::from(limit);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// One of the items; `None` when there is none.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len() as u64);
        items.get(usize::try_from(index).ok()?)
    }

    /// True in `share` of `whole` cases.
    pub(crate) fn chance(&mut self, share: u64, whole: u64) -> bool {
        self.below(whole) < share
    }
}

/// Spreads the bits of a number over all of it; two different numbers stay different.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xa076_1d64_78bd_642f);
    mixed ^ (mixed >> 32)
}
