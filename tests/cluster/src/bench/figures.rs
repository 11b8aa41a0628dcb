//! What is made of many measurements: percentiles, a straight line, ratios.

use serde::{Deserialize, Serialize};

/// The percentiles of latencies, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half are at most this.
    pub p50: f64,
    /// 90 of 100.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1000.
    pub p999: f64,
}

impl Spread {
    /// Of values in any order; none of no value.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self {
            p50: percentile(&values, 500)?,
            p90: percentile(&values, 900)?,
            p99: percentile(&values, 990)?,
            p999: percentile(&values, 999)?,
        })
    }
}

/// The smallest of sorted values that so many thousandths of them are not above. Always a value that was measured.
#[must_use]
pub fn percentile(sorted: &[f64], thousandths: usize) -> Option<f64> {
    let rank = (sorted.len() * thousandths).div_ceil(1000);
    sorted.get(rank.max(1) - 1).copied()
}

/// The middle one; of an even number the lower.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    percentile(&values, 500)
}

/// A straight line through points, by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// What each more of x adds.
    pub slope: f64,
    /// At x = 0.
    pub start: f64,
    /// How far the farthest point is from the line, as a part of the largest y.
    pub residual: f64,
}

impl Line {
    /// None of fewer than two different x.
    #[must_use]
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.iter().fold(0.0, |n, _| n + 1.0);
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|p| p.0), mean(|p| p.1));
        let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
        if points.len() < 2 || spread == 0.0 {
            return None;
        }
        let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
        let start = y - slope * x;
        let largest = points.iter().map(|p| p.1.abs()).fold(0.0, f64::max);
        let farthest = points.iter().map(|p| (p.1 - start - slope * p.0).abs());
        Some(Self {
            slope,
            start,
            residual: ratio(farthest.fold(0.0, f64::max), largest).unwrap_or(0.0),
        })
    }
}

/// How many times as large; none where there is nothing to compare with.
#[must_use]
pub fn ratio(now: f64, before: f64) -> Option<f64> {
    (before != 0.0 && before.is_finite() && now.is_finite()).then(|| now / before)
}

/// A count as a figure. Counts of requests and bytes are far below 2^52, up to which this is exact.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn count(number: impl TryInto<u64>) -> f64 {
    number.try_into().map_or(f64::NAN, |n| n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        let spread = Spread::of(values).unwrap();
        let expected = Spread {
            p50: 500.0,
            p90: 900.0,
            p99: 990.0,
            p999: 999.0,
        };
        assert_eq!(spread, expected);
        let few = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((few.p50, few.p90, few.p999), (2.0, 3.0, 3.0));
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(median(vec![9.0, 1.0, 5.0, 7.0]), Some(5.0));
    }

    #[test]
    fn a_line_says_how_far_the_points_are_from_it() {
        let straight = Line::through(&[(0.0, 5.0), (100.0, 25.0), (300.0, 65.0)]).unwrap();
        assert!((straight.slope - 0.2).abs() < 1e-9 && (straight.start - 5.0).abs() < 1e-9);
        assert!(straight.residual < 1e-9);
        let bent = Line::through(&[(0.0, 0.0), (1.0, 1.0), (2.0, 4.0)]).unwrap();
        assert!((bent.residual - (2.0 / 3.0 / 4.0)).abs() < 1e-9, "{bent:?}");
        assert_eq!(Line::through(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Line::through(&[]), None);
    }

    #[test]
    fn there_is_no_ratio_to_nothing() {
        assert_eq!(ratio(3.0, 2.0), Some(1.5));
        assert_eq!(ratio(3.0, 0.0), None);
        assert_eq!(ratio(f64::NAN, 1.0), None);
    }
}
