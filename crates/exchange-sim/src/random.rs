//! Numbers that look random and depend on their inputs alone.
//!
//! Nothing in the simulator draws from a stateful generator: every "random" decision is a hash of a seed and of what it
//! is about (a slot, a request), so neither the order of requests nor their concurrency changes any answer.

/// Hash of a seed and some numbers.
pub(crate) fn hash(seed: u64, values: &[u64]) -> u64 {
    values.iter().fold(finish(seed), |state, value| finish(state ^ value.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// Hash of a seed and a text (FNV-1a, then mixed).
pub(crate) fn hash_text(seed: u64, text: &str) -> u64 {
    let fnv = text
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    hash(seed, &[fnv])
}

/// A hash as a number in `[0, 1)`.
pub(crate) fn unit(hash: u64) -> f64 {
    // 53 bits are what a double holds exactly.
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// The finaliser of SplitMix64.
fn finish(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fill_the_interval_evenly() {
        let mean = (0..10_000).map(|i| unit(hash(7, &[i]))).sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
        assert!((0..10_000).all(|i| (0.0..1.0).contains(&unit(hash(7, &[i])))));
    }

    #[test]
    fn every_input_changes_the_hash() {
        let base = hash(1, &[2, 3]);
        assert!(
            [hash(2, &[2, 3]), hash(1, &[3, 2]), hash(1, &[2]), hash(1, &[2, 4])].iter().all(|h| *h != base)
        );
        assert_ne!(hash_text(1, "BTCUSDT"), hash_text(1, "ETHUSDT"));
    }
}
