//! Which frontend gets the next request: the less loaded of two drawn at random.
//!
//! A frontend that is new gets a growing part of that: caches are cold, code is not compiled yet.
//!
//! Two random choices keep the longest queue near the shortest without anyone knowing all queues,
//! and unlike "least loaded of all" they do not send every ingress to the same frontend at once.
//! Pure: loads, refusals and randomness come in as arguments.

/// What the balancer sees of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) in_flight: u64,
    pub(super) fitness: Fitness,
    /// The part of its share that it gets, in thousandths; see [`warmth`].
    pub(super) warmth: u32,
}

/// How welcome a request is at a candidate. Ordered: the fittest class that has anyone is used
/// alone, so a frontend is never refused everything because all of them look ill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fitness {
    /// This very request failed there.
    Tried,
    /// Passively ejected.
    Ejected,
    Fit,
}

/// How long a new frontend takes to its full share. Of the usual runtimes most have loaded and
/// compiled what a request needs by then.
const WARMING_MS: u64 = 10_000;
/// Of a frontend that gets its whole share.
pub(super) const WARM: u32 = 1_000;
/// Of one that is brand new: not nothing, for only requests warm it.
const COLD: u32 = 100;

/// The part of its share that a frontend gets this long after it was first seen.
pub(super) fn warmth(age_ms: u64) -> u32 {
    let grown = u64::from(WARM - COLD) * age_ms.min(WARMING_MS) / WARMING_MS;
    COLD + grown as u32
}

/// Draws before all candidates are looked at one by one. With at least half of them fit, 8 draws
/// of pairs all miss once in 65,536 times.
const DRAWS: usize = 8;

/// Chooses among `count` candidates, or nobody when every one of them was tried.
pub(super) fn choose(
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    entropy: u64,
) -> Option<usize> {
    let mut random = SplitMix(entropy);
    let fit = |index: &usize| candidate(*index).fitness == Fitness::Fit;
    match count {
        0 => return None,
        1 => return (candidate(0).fitness > Fitness::Tried).then_some(0),
        _ => {}
    }
    for _ in 0..DRAWS {
        let (first, second) = two_of(count, &mut random);
        match (fit(&first), fit(&second)) {
            (true, true) => return Some(better(first, second, &candidate, &mut random)),
            (true, false) => return Some(first),
            (false, true) => return Some(second),
            (false, false) => {}
        }
    }
    choose_from_class(count, candidate, &mut random)
}

/// The careful way: everyone is looked at, and two are drawn from the fittest class.
fn choose_from_class(
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    random: &mut SplitMix,
) -> Option<usize> {
    let best = (0..count).map(|index| candidate(index).fitness).max()?;
    if best == Fitness::Tried {
        return None;
    }
    let class: Vec<usize> = (0..count)
        .filter(|i| candidate(*i).fitness == best)
        .collect();
    match class.as_slice() {
        // Somebody else's success may have changed a class between the two looks.
        [] => None,
        [only] => Some(*only),
        many => {
            let (first, second) = two_of(many.len(), random);
            Some(better(many[first], many[second], &candidate, random))
        }
    }
}

/// The less loaded one; of equals the first drawn, which is as random as the second. One that is
/// colder than the other passes on what is too much for it: its part is measured against the
/// other's, so among frontends that are all new nothing changes.
fn better(
    first: usize,
    second: usize,
    candidate: &impl Fn(usize) -> Candidate,
    random: &mut SplitMix,
) -> usize {
    let (one, two) = (candidate(first), candidate(second));
    let ((lighter, its), (heavier, the_others)) = if two.in_flight < one.in_flight {
        ((second, two.warmth), (first, one.warmth))
    } else {
        ((first, one.warmth), (second, two.warmth))
    };
    if its < the_others && random.below(the_others as usize) >= its as usize {
        heavier
    } else {
        lighter
    }
}

/// Two different numbers below `count`, which is at least 2.
fn two_of(count: usize, random: &mut SplitMix) -> (usize, usize) {
    let first = random.below(count);
    let second = random.below(count - 1);
    (first, if second >= first { second + 1 } else { second })
}

/// The splitmix64 sequence: enough for balancing, and a word of state.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound` by multiplication; its bias is `bound` in 2^64.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let fitness = prop_oneof![
            Just(Fitness::Fit),
            Just(Fitness::Ejected),
            Just(Fitness::Tried)
        ];
        let one =
            (0u64..50, fitness, COLD..=WARM).prop_map(|(in_flight, fitness, warmth)| Candidate {
                in_flight,
                fitness,
                warmth,
            });
        proptest::collection::vec(one, 0..40)
    }

    proptest! {
        #[test]
        fn the_chosen_one_is_of_the_fittest_class(all in candidates(), entropy: u64) {
            let chosen = choose(all.len(), |i| all[i], entropy);
            let best = all.iter().map(|c| c.fitness).max();
            match best {
                None | Some(Fitness::Tried) => prop_assert_eq!(chosen, None),
                Some(best) => prop_assert_eq!(chosen.map(|i| all[i].fitness), Some(best)),
            }
        }

        #[test]
        fn of_two_equally_warm_the_lighter_one(
            a in 0u64..9, b in 0u64..9, warmth in COLD..=WARM, entropy: u64,
        ) {
            let load = [a, b];
            let fit = |i: usize| Candidate { in_flight: load[i], fitness: Fitness::Fit, warmth };
            let chosen = choose(2, fit, entropy);
            prop_assert_eq!(load[chosen.expect("both are fit")], a.min(b));
        }
    }

    /// Requests out of `all` that the newest of `count` idle frontends gets.
    fn share_of_the_newest(count: usize, age_ms: u64, all: u64) -> u64 {
        let idle = |i: usize| Candidate {
            in_flight: 0,
            fitness: Fitness::Fit,
            warmth: if i == 0 { warmth(age_ms) } else { WARM },
        };
        let chosen = (0..all).filter(|entropy| choose(count, idle, *entropy) == Some(0));
        chosen.count() as u64
    }

    #[test]
    fn a_new_frontend_gets_more_from_second_to_second() {
        for count in [2, 5] {
            let fair = 10_000 / count as u64;
            let shares: Vec<u64> = (0..=10)
                .map(|second| share_of_the_newest(count, second * 1_000, 10_000))
                .collect();
            assert!(
                shares.windows(2).all(|w| w[0] < w[1] + fair / 20),
                "{shares:?}"
            );
            assert!((1..=fair / 5).contains(&shares[0]), "{shares:?}");
            assert!(shares[10].abs_diff(fair) < fair / 10, "{shares:?}");
        }
        assert_eq!((warmth(WARMING_MS), warmth(u64::MAX)), (WARM, WARM));
    }

    #[test]
    fn load_spreads_evenly() {
        let mut in_flight = [0u64; 10];
        for request in 0..10_000 {
            let fit = |i: usize| Candidate {
                in_flight: in_flight[i],
                fitness: Fitness::Fit,
                warmth: WARM,
            };
            let chosen = choose(in_flight.len(), fit, request).expect("all are fit");
            in_flight[chosen] += 1;
        }
        let (least, most) = (in_flight.iter().min(), in_flight.iter().max());
        // Two choices keep the gap at about log log n; a single one would leave it near 100.
        assert!(
            most.expect("ten") - least.expect("ten") <= 12,
            "{in_flight:?}"
        );
    }
}
