use super::*;

const DAY: u64 = 86_400_000;

fn issued(begins: u64, ends: u64) -> Issued {
    Issued {
        chain: vec![[1].into()],
        sealed_key: [2].into(),
        common_name: String::new(),
        organization: String::new(),
        names: Vec::new(),
        begins: Time(begins),
        expires: Time(ends),
        chain_expires: None,
    }
}

#[test]
fn renewals_of_what_was_issued_together_are_apart_and_none_is_early_or_late() {
    let days: BTreeSet<u64> = (0..200)
        .map(|number| {
            let at = renewal(&format!("shop-{number}"), &issued(0, 90 * DAY), Time(0)).0;
            assert!((60 * DAY..64 * DAY).contains(&at), "{number}: {at}");
            at / (DAY / 4)
        })
        .collect();
    // 3.75 days are 15 quarters of a day, and each has some.
    assert_eq!(days.len(), 15);
    let again = renewal("shop", &issued(0, 90 * DAY), Time(0));
    assert_eq!(again, renewal("shop", &issued(0, 90 * DAY), Time(0)));
}

#[test]
fn certificates_that_live_no_time_at_all_have_a_renewal_too() {
    for (begins, ends) in [
        (0, 0),
        (5, 5),
        (9, 3),
        (0, 23),
        (0, u64::MAX),
        (u64::MAX, 0),
    ] {
        let at = renewal("shop", &issued(begins, ends), Time(begins));
        assert!(at >= Time(begins), "{begins} {ends}");
    }
}

#[test]
fn what_came_late_in_its_life_is_kept_for_half_of_what_was_left() {
    let late = renewal("shop", &issued(0, 90 * DAY), Time(80 * DAY));
    assert_eq!(late, Time(85 * DAY));
    let over = renewal("shop", &issued(0, 90 * DAY), Time(99 * DAY));
    assert_eq!(over, Time(99 * DAY));
}

#[test]
fn rests_grow_and_end_at_the_longest() {
    let rest = |failures| Managed::rest("shop", failures, Time(0)).0;
    let rests: Vec<u64> = (1..=8).map(rest).collect();
    assert!(rests.is_sorted(), "{rests:?}");
    for (rest, expected) in rests.iter().zip(RESTS) {
        assert!(
            (expected.0..=expected.0 * 5 / 4).contains(rest),
            "{rests:?}"
        );
    }
    assert_eq!(rests[5], rests[7]);
    assert_eq!(rest(u32::MAX), rests[7]);
    // Fewer than five in the first hour, which is what a public authority bears.
    assert!(rests[0] + rests[1] + rests[2] >= RESTS[0].0 + RESTS[1].0 + RESTS[2].0);
    assert!(rests[..3].iter().sum::<u64>() + rests[3] > 3_600_000);
}
