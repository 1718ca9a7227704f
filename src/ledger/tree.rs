use sha2::{Digest as _, Sha256};

use crate::model::Digest;

/// The root of the tree without leaves (RFC 6962 section 2.1).
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// The hash of a leaf entry (RFC 6962 section 2.1): SHA-256 of 0x00 and the entry.
pub fn hash_leaf(entry: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(entry);
    Digest(hash.finalize().into())
}

/// The hash of an inner node (RFC 6962 section 2.1): SHA-256 of 0x01 and both children.
pub fn hash_children(left: &Digest, right: &Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left.0);
    hash.update(right.0);
    Digest(hash.finalize().into())
}

/// The perfect subtrees that make up a tree of some size, largest first: enough to append to it
/// and to give its root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// From the roots of the perfect subtrees of a tree of `size` leaves, largest first. `None`
    /// when their number is not that of the one-bits of `size`.
    pub fn from_peaks(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf's hash and calls `node` with the level and hash of each perfect subtree
    /// that this completes (the leaf is level 0 and is not reported).
    pub fn push(&mut self, leaf: Digest, mut node: impl FnMut(u8, u64, Digest)) {
        let mut hash = leaf;
        let mut level = 0_u8;
        while self.size >> level & 1 == 1 {
            let left = self.peaks.pop().expect("each one-bit of the size has its peak");
            hash = hash_children(&left, &hash);
            level += 1;
            node(level, self.size >> level, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the tree so far.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| hash_children(left, &right))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The eight entries on which the published roots of RFC 6962 trees are computed.
    pub(in crate::ledger) fn classic_leaves() -> Vec<Digest> {
        let entries: [&[u8]; 8] = [
            b"",
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        entries.iter().map(|entry| hash_leaf(entry)).collect()
    }

    /// Published roots for sizes 1 to 8 (transparency-dev/merkle and others).
    pub(in crate::ledger) const CLASSIC_ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_published_roots_come_out() {
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in classic_leaves().into_iter().zip(CLASSIC_ROOTS) {
            frontier.push(leaf, |_, _, _| {});
            assert_eq!(frontier.root().to_string(), root);
        }
    }

    #[test]
    fn the_published_hashes_of_single_nodes_come_out() {
        assert_eq!(
            hash_leaf(b"L123456").to_string(),
            "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
        );
        // base64 TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=
        assert_eq!(
            hash_leaf(b"hello world").to_string(),
            "4eccf34608d31bac5c7becf6006df59005d828181056d092084e341e6bb005bd"
        );
        let mut node = vec![1];
        node.extend_from_slice(b"N123N456");
        assert_eq!(Digest::of(&node).to_string(), "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb");
    }
}
