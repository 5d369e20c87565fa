//! Documents whose ids count up without a gap, from 1: the last one is found by point reads.

use crate::Error;

/// The last number that `exists`, which is `known` or later.
///
/// One read when `known` is right, about `2 log n` when it is not. The last number for which
/// `exists` says yes is the answer, unless that is `known`.
///
/// # Errors
/// Those of `exists`.
pub async fn last<R>(known: u64, exists: impl Fn(u64) -> R) -> Result<u64, Error>
where
    R: Future<Output = Result<bool, Error>>,
{
    let (mut found, mut step) = (known, 1);
    while exists(found + step).await? {
        found += step;
        step *= 2;
    }
    let mut missing = found + step;
    while missing - found > 1 {
        let middle = found + (missing - found) / 2;
        if exists(middle).await? {
            found = middle;
        } else {
            missing = middle;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn the_last_is_found_from_any_number_before_it() {
        for count in (0..70).chain([1_000, 1_000_000]) {
            for known in [0, count / 2, count] {
                let reads = Cell::new(0_u32);
                let exists = |number| {
                    reads.set(reads.get() + 1);
                    async move { Ok(number <= count) }
                };
                assert_eq!(last(known, exists).await.unwrap(), count);
                let most = 2 * (count - known + 1).ilog2() + 2;
                assert!(
                    reads.get() <= most,
                    "{} reads from {known} to {count}",
                    reads.get()
                );
            }
        }
    }

    #[tokio::test]
    async fn a_number_that_is_known_costs_one_read() {
        let reads = Cell::new(0);
        let exists = |number| {
            reads.set(reads.get() + 1);
            async move { Ok(number <= 17) }
        };
        assert_eq!((last(17, exists).await.unwrap(), reads.get()), (17, 1));
    }
}
