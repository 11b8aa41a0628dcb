//! Random weights from a seed, the same on every machine.

/// A source of weights: splitmix64, shaped with integers and one multiplication, so that no library function whose
/// last bit differs between platforms is involved.
pub(super) struct Noise {
    state: u64,
}

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One weight, close to normally distributed around 0 with deviation 0.05: the sum of four even numbers.
    fn weight(&mut self) -> f32 {
        const DEVIATION: f32 = 4729.7; // of a sum of four 13-bit numbers
        const MEAN: i16 = 16_382;
        let sum: i16 = self
            .next()
            .to_le_bytes()
            .as_chunks::<2>()
            .0
            .iter()
            .map(|two| i16::from_le_bytes(*two) & 0x1fff)
            .sum();
        f32::from(sum - MEAN) * (0.05 / DEVIATION)
    }

    /// `count` weights.
    pub(super) fn weights(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.weight()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_centred_with_the_stated_deviation() {
        let weights = Noise::new(1).weights(100_000);
        let mean = weights.iter().sum::<f32>() / 100_000.0;
        let variance = weights.iter().map(|w| (w - mean).powi(2)).sum::<f32>() / 100_000.0;
        assert!(mean.abs() < 0.001, "mean {mean}");
        assert!((variance.sqrt() - 0.05).abs() < 0.001, "deviation {}", variance.sqrt());
    }
}
