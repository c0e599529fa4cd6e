//! Which frontend gets the next request: the less loaded of two drawn at random.
//!
//! Two random choices keep the longest queue near the shortest without anyone knowing all queues,
//! and unlike "least loaded of all" they do not send every ingress to the same frontend at once.
//! Pure: loads, refusals and randomness come in as arguments.

/// What the balancer sees of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) in_flight: u64,
    pub(super) fitness: Fitness,
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
            (true, true) => return Some(lighter(first, second, &candidate)),
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
            Some(lighter(many[first], many[second], &candidate))
        }
    }
}

/// Of equals the first drawn, which is as random as the second.
fn lighter(first: usize, second: usize, candidate: &impl Fn(usize) -> Candidate) -> usize {
    if candidate(second).in_flight < candidate(first).in_flight {
        second
    } else {
        first
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
            (0u64..50, fitness).prop_map(|(in_flight, fitness)| Candidate { in_flight, fitness });
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
        fn of_two_the_lighter_one(a in 0u64..9, b in 0u64..9, entropy: u64) {
            let load = [a, b];
            let chosen = choose(2, |i| Candidate { in_flight: load[i], fitness: Fitness::Fit }, entropy);
            prop_assert_eq!(load[chosen.expect("both are fit")], a.min(b));
        }
    }

    #[test]
    fn load_spreads_evenly() {
        let mut in_flight = [0u64; 10];
        for request in 0..10_000 {
            let fit = |i: usize| Candidate {
                in_flight: in_flight[i],
                fitness: Fitness::Fit,
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
