//! `step`: Fleet's thresholds, rates, grace period and windows (surface.md A.3, A.4).

use super::{Decision, Hold, Question};
use crate::{
    scaling::{Flow, Reading, Signal, Step},
    time::Millis,
};

pub(super) fn decide(question: &Question<'_>, step: &Step) -> Decision {
    let now = question.now;
    let desired = question.desired;
    let up = {
        // Frontends that start, and those that nobody heard of, count as idle.
        let starting = desired.saturating_sub(question.ready);
        let idle = u64::from(question.unheard()) + u64::from(starting);
        mean(question, Step::UP_WINDOW, idle)
    };
    let down = mean(question, Step::DOWN_WINDOW, 0);
    let share = u64::from(desired) * u64::from(step.add_percent) / 100;
    let more = desired.saturating_add(u32::try_from(share.max(1)).unwrap_or(u32::MAX));
    let fewer = desired.saturating_sub(step.remove);
    let reading = |window, value, percent: u32, asks| Reading {
        signal: Signal::Cpu,
        window,
        value,
        limit: u64::from(percent) * 1000,
        asks,
    };
    let filled = |window: Millis| {
        let age = question.frontends.age(now);
        let rest = Millis(window.0.saturating_sub(age.0));
        (rest.0 > 0).then_some(Hold::Filling { rest })
    };
    if let Some(up) = up
        && up > u64::from(step.up_percent) * 1000
    {
        let readings = vec![reading(Step::UP_WINDOW, up, step.up_percent, more)];
        let held = filled(Step::UP_WINDOW).or_else(|| {
            // The maximum is said first: no wait would change it.
            let possible = question.limits().max > desired;
            question
                .resting(question.past.changed(), step.grace)
                .filter(|_| possible)
        });
        return match held {
            Some(hold) => question.hold(hold, readings),
            None => question.grow(more, readings),
        };
    }
    let calm: Vec<Reading> = up
        .map(|up| reading(Step::UP_WINDOW, up, step.up_percent, desired))
        .into_iter()
        .collect();
    if let Some(down) = down
        && down < u64::from(step.down_percent) * 1000
        && desired > question.least()
        && step.remove > 0
    {
        let readings = vec![reading(Step::DOWN_WINDOW, down, step.down_percent, fewer)];
        let held = question
            .unsound_usage(Step::DOWN_WINDOW)
            .or_else(|| question.resting(question.past.changed(), step.grace));
        return match held {
            Some(hold) => question.hold(hold, readings),
            None => question.shrink(fewer, readings),
        };
    }
    match question.unsound_usage(Step::UP_WINDOW) {
        Some(hold) => question.hold(hold, calm),
        None => question.hold(Hold::Steady, calm),
    }
}

/// Mean CPU of all frontends over a window, in thousandths of a percent of what one requests;
/// `idle` more of them are reckoned to have done nothing. `None`: nothing was heard.
fn mean(question: &Question<'_>, window: Millis, idle: u64) -> Option<u64> {
    let Flow {
        heard_ms, cpu_usec, ..
    } = question.signals.over(window, question.now);
    let all_ms = heard_ms.saturating_add(idle.saturating_mul(window.0));
    if heard_ms == 0 {
        return None;
    }
    // usec / ms is thousandths of a core; of the request in thousandths of a percent, x 100,000.
    let request_ms = u128::from(all_ms) * u128::from(question.size.cpu_millicores.max(1));
    let share = u128::from(cpu_usec) * 100_000 / request_ms;
    Some(u64::try_from(share).unwrap_or(u64::MAX))
}
