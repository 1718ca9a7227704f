use super::tree::{empty_root, hash_children};
use crate::model::Digest;

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not below the size, or the smaller size is above the larger.
    #[error("the proof is for a place outside the tree")]
    OutOfRange,
    /// The path is longer or shorter than the tree allows.
    #[error("the proof has the wrong number of hashes")]
    WrongLength,
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root")]
    WrongRoot,
}

/// Reads the root of the perfect subtree at (level, index); the caller holds the nodes.
type Subtree<'a, E> = &'a mut dyn FnMut(u8, u64) -> Result<Digest, E>;

/// The root over leaves `[start, end)`, where `start` is a multiple of a power of two not smaller
/// than the width (the only ranges that RFC 6962 asks for).
fn range_root<E>(mut start: u64, end: u64, subtree: Subtree<'_, E>) -> Result<Digest, E> {
    let mut peaks = Vec::new();
    while start < end {
        let width = end - start;
        let level = width.ilog2();
        peaks.push(subtree(u8::try_from(level).expect("a level is below 64"), start >> level)?);
        start += 1 << level;
    }
    let mut peaks = peaks.into_iter().rev();
    let Some(last) = peaks.next() else { return Ok(empty_root()) };
    Ok(peaks.fold(last, |right, left| hash_children(&left, &right)))
}

/// The largest power of two below `n`, for `n` of 2 or more.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The audit path of leaf `index` in the tree of `size` leaves, leaf's sibling first (RFC 6962
/// section 2.1.1). The caller makes sure that `index` is below `size`.
pub fn inclusion_proof<E>(index: u64, size: u64, subtree: Subtree<'_, E>) -> Result<Vec<Digest>, E> {
    debug_assert!(index < size, "the leaf must be in the tree");
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range_root(middle, end, subtree)?);
            end = middle;
        } else {
            path.push(range_root(start, middle, subtree)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `old` leaves is a beginning of the tree of `new` leaves (RFC 6962
/// section 2.1.2). Empty for `old` 0 and for equal sizes.
pub fn consistency_proof<E>(old: u64, new: u64, subtree: Subtree<'_, E>) -> Result<Vec<Digest>, E> {
    debug_assert!(old <= new, "the older tree is the smaller one");
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Ok(path);
    }
    let (mut start, mut end) = (0, new);
    // Goes down to the subtree that ends where the old tree ended; `whole` while the old tree
    // began with the range at hand, so that its own root needs no mention.
    let mut whole = true;
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range_root(middle, end, subtree)?);
            end = middle;
        } else {
            path.push(range_root(start, middle, subtree)?);
            start = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(range_root(start, end, subtree)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks an audit path (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Digest,
    path: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            hash = hash_children(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = hash_children(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// Checks that the tree of `old` leaves with `old_root` is a beginning of the tree of `new`
/// leaves with `new_root` (RFC 9162 section 2.1.4.2). For `old` 0, which that section leaves out, the
/// empty proof and the empty tree's root are right.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Digest,
    new_root: &Digest,
    path: &[Digest],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange);
    }
    if old == 0 || old == new {
        if !path.is_empty() {
            return Err(ProofError::WrongLength);
        }
        // Every tree continues the empty one, which has one root.
        let is_right = if old == 0 {
            *old_root == empty_root() && (new > 0 || new_root == old_root)
        } else {
            old_root == new_root
        };
        return if is_right { Ok(()) } else { Err(ProofError::WrongRoot) };
    }
    let mut path = path.iter();
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let seed = if old.is_power_of_two() { old_root } else { path.next().ok_or(ProofError::WrongLength)? };
    let (mut from_old, mut from_new) = (*seed, *seed);
    for hash in path {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            from_old = hash_children(hash, &from_old);
            from_new = hash_children(hash, &from_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            from_new = hash_children(&from_new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if from_old == *old_root && from_new == *new_root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::super::tree::tests::{CLASSIC_ROOTS, classic_leaves};
    use super::super::tree::{Frontier, hash_leaf};
    use super::*;

    /// The subtree reader over leaves held in memory, computed by the definition.
    fn reader(leaves: &[Digest]) -> impl FnMut(u8, u64) -> Result<Digest, std::convert::Infallible> + '_ {
        |level, index| {
            let width = 1_usize << level;
            let start = usize::try_from(index).unwrap() * width;
            let mut row: Vec<Digest> = leaves[start..start + width].to_vec();
            while row.len() > 1 {
                row = row.chunks(2).map(|pair| hash_children(&pair[0], &pair[1])).collect();
            }
            Ok(row[0])
        }
    }

    fn hex(digests: &[Digest]) -> Vec<String> {
        digests.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_published_proofs_come_out() {
        let leaves = classic_leaves();
        let mut nodes = reader(&leaves);
        assert_eq!(
            hex(&inclusion_proof(5, 8, &mut nodes).unwrap()),
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                CLASSIC_ROOTS[3],
            ]
        );
        assert_eq!(
            hex(&consistency_proof(6, 8, &mut nodes).unwrap()),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                CLASSIC_ROOTS[3],
            ]
        );
        assert_eq!(
            hex(&consistency_proof(3, 7, &mut nodes).unwrap()),
            [
                "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
                "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
                CLASSIC_ROOTS[1],
                "837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e",
            ]
        );
    }

    #[test]
    fn the_published_proofs_from_the_smaller_trees_come_out() {
        let leaves = classic_leaves();
        let mut nodes = reader(&leaves);
        assert_eq!(
            hex(&consistency_proof(2, 5, &mut nodes).unwrap()),
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        );
        assert_eq!(
            hex(&consistency_proof(1, 8, &mut nodes).unwrap()),
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        );
    }

    /// What Google's log `argon2020` answered when it held 961,984,011 certificates: the path of
    /// entry 10,000, and the proof from 3,654,490 entries. The upper ends are the same.
    const ARGON_PATH: &str = "
        T46AmJsuOM/gFiGlUp+IJJebp+1Z5qratFNW7U0JyOQ=
        9Jj1Feodn42uRYEfffkV4HF/EIPFQ5Zo9IwkxbQ2uhk=
        D53/1oCNebF4J59HHgioovKZxrmrKcVuCVhy3Izg8Ck=
        wSFDgGSrsXRPA+1c8WHoAFCsWeUv8NDyP/Q/SgsyVyY=
        516/RcwsgdwdzHn18v1dJHqBkgFUbNhmCIWOGjsMJaE=
        naTFY2ajLFgrgs5XUl+zJYZnnlJksLGsA1VYwpLfqbY=
        mKBRJo6qao+0Kdh/rhGkZUbHUAxMhrtrclrTpIbNjIg=
        Co4ueOFE7lpifLio94irxxsv1wFMMaK3tPu2ZQkHlro=
        yRgy800K6JMYCC05sWfqF2kvCg2riT/pVM+nEa6V5+0=
        n2O38XJZC8/Wpbwi9HhgVizlUyeUHVZvYyQB1607MRc=
        go3tAjuNfNSCj87y2Rg1xOroDknGN1eaf3cgvzObf7Q=
        8D0Mj3/J7ySSnFb0afIHYXv6rlOhECnsebY6XKi1IR8=
        6rcez46ZU8M5vPiWVMAUfJfAOV0pPP/mch/lYzZhj/M=
        2rtIeXrPvSdUyHc5maIgSAVB2BzaKaupWxSAiVayDE4=
        nniW/IMFQPN5xw8UsHFn7CRStYbm1gLu7NNa6kkRqJQ=
        mRPPi7sQS22MduIEyvcNzCNFqIt6kLwYPkNKrVtIcu8=
        JvTivzESNS9wHI8aph5a7uieVmtS/p9PciMZ5D6GyOo=
        UTyQd+Ym0wY4zG+qK806bBORwi1CSVvFQ/KknnqoZj8=
        hXODrqN+ff+U6zPqRQ+ZQKs6im1fPcxIerDSfNwflhE=
        II6GE+WY/DrpZzfHztLwkR46o37zVkNLCyPYlf68zA0=
        d609kWWcNBllbA8Jb/ad4XAVVGnScLRmtP8FYyr+Dck=
        rikBsP0G0gioXRpBFED2CzQdSLrGPvRd0bEcbEZw1rI=";
    const ARGON_CONSISTENCY: &str = "
        80Sfbj6UQEdVSZCSIgh9NMPj3vCBzcc1A48B2crJSWg=
        FZcrgAHUk6nNPviJZq8kEK6jCG1d18pJOFE45ZDc1TQ=
        Q67reWXmPBo1UfmwBap4Xi9PMPfFdUSSw3WGlRZdG7k=
        eJ7CyhR4PxzBxDIsWgrVYW1eFUb9ndgf46tFmiqVrxA=
        QrDwp062Grm5WY8KdrhFsBuuNjGzRox2Jb8PmVL5OYw=
        XM4YMjMEdLH/XJam/ZWyaP14k3cmsOtnPsOWQ54lW1s=
        SGiBh+jOTGccXU48ZzgQ88lRcBmtB4wz4oSDndv2QTg=
        WAS6txqNLYKGL1GdBdpqmV42TTfn6cJsuDsqLXuTCNI=
        QFmRS0rirUA7ZN3lxFjDncV+E1OCrn3NUB4RCp+5fzc=
        Hdbp7It2XBNZmNDBpCN/KPd7vfVqxgzwOosqVIaEA9E=
        mxvHL0ZiblBdD7j7pIa1jlfB0gSqfJ6oX0UGo7L0VsU=
        q5hjyvoW6TL/PThgcitpDcSTrnKX2p1+aqscqH2euRA=
        jTOWDqt3IHj2NVFeezyBz2ofpru+ztEywqKUAfFclKI=
        GIRn0w3HqJdvU9j1WVD//eR6lk2AaTVjyzjsJNP8U88=
        x52GJvxG81fnQBrgOTbll1A5tz95/LXK0Ag1NhB0r1I=
        6/0OqrcTgc3o5dD5PymmoC96lB9yLPFuTHVvLy8fSGk=
        Gf+iKLfcXO5l4JEFmsZvSdG5q1uEeWPfYLrds6pmjz0=
        DGuaco+McyM3AfRSF6qX7RwSetwe2ieYJmxw5e9rVx0=
        2tQJ9V32hnYp+fdpP6TcjmgJmLeNVOMKM0Ml1kk4cNU=
        3PapK+IkyJr8I9yAErAmzuZezzLMzsg+PfeRCgNW8NQ=
        s6xiYeejb+wtqHA+URJZ2I/SCPyIW8coP6aB00FJbMY=
        z9lSpmdTcr5M5ZzKlc4EPh3SrSypKFdk6JUF/UccaZU=";
    const ARGON_BOTH: &str = "
        GXIElfmnRuWfbA4z7ubV/UwlpSRUbUeec7oL5HDDnh0=
        pR0SH/NYP6s9+8azWwaeUXA4Ze/3WCIgMfh5YW6wvcE=
        f3GuAKYVrF8RBg3s15jvA/YvV9oAliWtzP/imwPhQVA=
        WHn8zDxlVgkV+lSlmzaOdfSBrTHoRr5nT3d76q0KKWE=
        f2uV2ZxVgULzLPKuZcowRY3ZY7fRlX59iDBjV1R8kNQ=
        NzQVjJsvQwbi7WStMr9oFkh9VbHfK7LB6o7WwAqwNTs=
        C0LttBeYHZHgL+032JIcJC3CTBIyza/hsbmJUgJfmDI=
        30HzZbwT4DdqHQi4f7+WRG6M4YwVGaKgGXicDvSFT6k=";

    #[test]
    fn the_answers_of_a_large_public_log_hold() {
        let digest = |text: &str| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
            Digest::from_slice(&bytes).unwrap()
        };
        let path = |text: &str| -> Vec<Digest> {
            text.split_whitespace().chain(ARGON_BOTH.split_whitespace()).map(digest).collect()
        };
        let (size, old) = (961_984_011, 3_654_490);
        let root = digest("AWxD3p811N3m4WTinWRXPvBZHfT9IR9g/R4C7SKLPiU=");
        let old_root = digest("AuIZ5V6sDUj1vn3Y1K85oOaQ7y+FJJKtyRTl1edIKBQ=");
        let leaf = digest("nCs3mfIydh9x4CKyQ+u2xtmpxmFggA5MLymHwNQSlLg=");
        let (inclusion, consistency) = (path(ARGON_PATH), path(ARGON_CONSISTENCY));
        assert_eq!(verify_inclusion(10_000, size, &leaf, &inclusion, &root), Ok(()));
        assert_eq!(verify_inclusion(10_001, size, &leaf, &inclusion, &root), Err(ProofError::WrongRoot));
        assert_eq!(verify_consistency(old, size, &old_root, &root, &consistency), Ok(()));
        assert_eq!(verify_consistency(old - 1, size, &old_root, &root, &consistency), Err(ProofError::WrongLength));
        for at in 0..30 {
            let (mut inclusion, mut consistency) = (inclusion.clone(), consistency.clone());
            inclusion[at].0[31] ^= 0x80;
            consistency[at].0[31] ^= 0x80;
            assert_eq!(verify_inclusion(10_000, size, &leaf, &inclusion, &root), Err(ProofError::WrongRoot));
            let refused = verify_consistency(old, size, &old_root, &root, &consistency);
            assert_eq!(refused, Err(ProofError::WrongRoot));
        }
    }

    #[test]
    fn every_pair_up_to_130_proves_and_any_change_fails() {
        let leaves: Vec<Digest> = (0..130_u32).map(|i| hash_leaf(&i.to_be_bytes())).collect();
        let mut frontier = Frontier::default();
        let mut roots = vec![frontier.root()];
        for leaf in &leaves {
            frontier.push(*leaf, |_, _, _| {});
            roots.push(frontier.root());
        }
        let mut nodes = reader(&leaves);
        for size in 1..=130_u64 {
            let root = roots[usize::try_from(size).unwrap()];
            for index in 0..size {
                let leaf = leaves[usize::try_from(index).unwrap()];
                let path = inclusion_proof(index, size, &mut nodes).unwrap();
                assert_eq!(verify_inclusion(index, size, &leaf, &path, &root), Ok(()));
                assert!(verify_inclusion(index, size, &hash_leaf(b"other"), &path, &root).is_err());
                assert!(verify_inclusion(size, size, &leaf, &path, &root).is_err());
                if let Some((_, shorter)) = path.split_last() {
                    assert!(verify_inclusion(index, size, &leaf, shorter, &root).is_err());
                }
            }
            for old in 1..=size {
                let old_root = roots[usize::try_from(old).unwrap()];
                let path = consistency_proof(old, size, &mut nodes).unwrap();
                assert_eq!(verify_consistency(old, size, &old_root, &root, &path), Ok(()));
                for k in 0..path.len() {
                    let mut bad = path.clone();
                    bad[k].0[7] ^= 1;
                    assert!(verify_consistency(old, size, &old_root, &root, &bad).is_err());
                }
            }
        }
    }
}
