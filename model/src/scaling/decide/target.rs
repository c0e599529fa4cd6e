//! `target`: as many frontends as carry the load with each at its target.
//!
//! For each signal, `asks = ceil(load / target)`, with the load of all frontends together and the
//! target of one. The load is the mean of the slow window, or of the fast one in a burst: once that asks
//! for twice what is ready, or the ready ones are saturated, until nothing grew by it for the length of
//! the slow one. What saturated frontends cannot show, their ingresses know ([`Aim::demand`]). To shrink
//! it is the highest such mean of the cooldown, and no less than what the count grew to in that time, so
//! that a load that comes and goes faster keeps the count it needs when it is high. The signal that asks
//! for most wins.

use super::{Cause, Decision, Hold, Question};
use crate::{
    Time,
    scaling::{Flow, Reading, Signal, TOLERANCE_PERCENT, Target},
    time::Millis,
};

pub(super) fn decide(question: &Question<'_>, target: &Target) -> Decision {
    let aims: Vec<Aim> = Signal::ALL
        .into_iter()
        .filter_map(|signal| Aim::of(question, target, signal))
        .collect();
    if aims.is_empty() {
        return question.hold(Hold::NoTarget, Vec::new());
    }
    let desired = question.desired;
    let now: Vec<(Reading, bool)> = aims.iter().filter_map(|aim| aim.now(question)).collect();
    let most = now
        .iter()
        .filter(|(_, over)| *over)
        .map(|(r, _)| r.asks)
        .max();
    let readings =
        |now: Vec<(Reading, bool)>| now.into_iter().map(|(reading, _)| reading).collect();
    if let Some(most) = most.filter(|most| *most > desired) {
        return question.grow(most, readings(now));
    }
    let reach = target.reach();
    let unsound = aims.iter().find_map(|aim| aim.unsound(question, reach));
    let peaks: Vec<Reading> = aims.iter().map(|aim| aim.peak(question, reach)).collect();
    let least = peaks.iter().map(|reading| reading.asks).max().unwrap_or(0);
    // A load just below what the count is meant for is no reason either.
    let well_below = peaks
        .iter()
        .all(|peak| percent(peak.value, peak.limit, desired) < u128::from(100 - TOLERANCE_PERCENT));
    if least < desired && well_below && desired > question.least() {
        // What it grew to was asked for then, by whatever window: no less within the cooldown.
        let asked = question.past.set.max(question.past.grew);
        let waited = question.resting(asked, target.cooldown).or_else(|| {
            let long = target.cooldown > reach;
            let since = question.past.changed().filter(|_| long);
            question.resting(since, target.cooldown)
        });
        return match unsound.or(waited) {
            Some(hold) => question.hold(hold, peaks),
            None => question.shrink(least, peaks),
        };
    }
    match unsound {
        // Nothing could be lowered anyway, and what was heard asks for nothing else.
        Some(Hold::Filling { .. }) if desired <= question.least() && !now.is_empty() => {
            question.hold(Hold::Steady, readings(now))
        }
        Some(hold) => question.hold(hold, readings(now)),
        None => question.hold(Hold::Steady, readings(now)),
    }
}

/// Frontends that were saturated for so long may lack more than they show: what they used and what came in
/// this time is what there is to do. Six seconds still hold what was before a leap.
const SATURATION_WINDOW: Millis = Millis::seconds(2);
const SECOND: Millis = Millis::seconds(1);

/// A signal with a target.
struct Aim {
    signal: Signal,
    /// Of one frontend, in thousandths of the signal's unit; never 0.
    limit: u64,
    scale: Scale,
}

/// How an amount over time becomes a value in thousandths: times, divided by (and by the time).
#[derive(Clone, Copy)]
struct Scale(u128, u128);

impl Aim {
    fn of(question: &Question<'_>, target: &Target, signal: Signal) -> Option<Self> {
        let (limit, scale) = match signal {
            // usec / ms is thousandths of a core.
            Signal::Cpu => {
                let request = u128::from(question.size.cpu_millicores.max(1));
                (target.cpu_percent?, Scale(100_000, request))
            }
            Signal::Memory => {
                let request = question.size.memory_bytes?.div_ceil(1024);
                (
                    target.memory_percent?,
                    Scale(100_000, u128::from(request.max(1))),
                )
            }
            // Thousandths a second are so many a millisecond.
            Signal::Requests => (target.rps?, Scale(1_000_000, 1)),
            Signal::InFlight => (target.concurrency?, Scale(1000, 1)),
        };
        Some(Self {
            signal,
            limit: u64::from(limit.max(1)) * 1000,
            scale,
        })
    }

    /// What it asks for now, and whether that is beyond the tolerance; `None` before there is
    /// anything to say.
    fn now(&self, question: &Question<'_>) -> Option<(Reading, bool)> {
        let age = self.heard(question).age(question.now);
        if age < Target::FAST_WINDOW {
            return None;
        }
        let slow = Millis(age.0.min(Target::SLOW_WINDOW.0) / 1000 * 1000);
        let of = |window: Millis| self.reading(window, self.load(question, window));
        let demand = self.demand(question, slow);
        let demand = demand.map(|amount| self.reading(SATURATION_WINDOW, amount));
        let (slow, fast) = (of(slow), of(Target::FAST_WINDOW));
        let fast = demand
            .filter(|demand| demand.value > fast.value)
            .unwrap_or(fast);
        let ready = question.ready.max(1);
        let burst = fast.asks >= ready.saturating_mul(Target::BURST)
            || self.signal == Signal::Cpu && fast.value >= saturated(ready)
            || bursting(question);
        let reading = if burst && fast.asks > slow.asks {
            fast
        } else {
            slow
        };
        let load = percent(reading.value, reading.limit, question.desired);
        Some((reading, load > u128::from(100 + TOLERANCE_PERCENT)))
    }

    /// The amount of a window, with the silent reckoned as those that were heard.
    fn load(&self, question: &Question<'_>, window: Millis) -> u64 {
        let flow = question.signals.over(window, question.now);
        let amount = self.amount(&flow);
        match self.signal {
            Signal::Cpu | Signal::Memory => {
                let heard = u128::from(flow.heard_ms);
                let all = heard + u128::from(silent(question, window, flow.heard_ms));
                let amount = u128::from(amount) * all / heard.max(1);
                u64::try_from(amount).unwrap_or(u64::MAX)
            }
            Signal::Requests | Signal::InFlight => amount,
        }
    }

    /// CPU time that [`SATURATION_WINDOW`] asks for when the processors are all in use: what was used, or
    /// what the requests take that came then, if that is clearly more.
    ///
    /// A service that uses all it has shows no more than that, however much it lacks: at a target of
    /// 60 % it asks for 1.67 times what is ready and never for [`Target::BURST`]. Its ingresses know
    /// what came. Times the CPU time of a good answer, as the slow window has it: of what was sent
    /// then and is neither failed nor in flight beyond what was before.
    fn demand(&self, question: &Question<'_>, slow: Millis) -> Option<u64> {
        let over = |window, now| question.signals.over(window, now);
        let lately = over(SATURATION_WINDOW, question.now);
        // usec / ms is thousandths of a core.
        let all = u128::from(lately.heard_ms) * u128::from(question.size.cpu_millicores);
        let most = u128::from(Target::SATURATED_PERCENT);
        let saturated = all > 0 && u128::from(lately.cpu_usec) * 100 >= all * most;
        if self.signal != Signal::Cpu || !saturated {
            return None;
        }
        let Flow {
            requests, errors, ..
        } = over(slow, question.now);
        let cpu_usec = self.load(question, slow);
        let begin = Time(question.now.0.saturating_sub(slow.0));
        let in_flight = |now| over(SECOND, now).in_flight_ms / SECOND.0;
        let piled = in_flight(question.now).saturating_sub(in_flight(begin));
        let good = requests.checked_sub(errors.saturating_add(piled));
        let good = good.filter(|good| *good > 0)?;
        let came = lately.requests;
        let usec = u128::from(came) * u128::from(cpu_usec) / u128::from(good);
        // They show it all, give or take what a mean of two seconds is worth.
        let shown = self.load(question, SATURATION_WINDOW);
        let beyond = usec * 100 > u128::from(shown) * u128::from(100 + TOLERANCE_PERCENT);
        Some(u64::try_from(usec).ok().filter(|_| beyond).unwrap_or(shown))
    }

    /// The most it asked for within the cooldown.
    fn peak(&self, question: &Question<'_>, reach: Millis) -> Reading {
        let windows = (Target::SLOW_WINDOW, Target::FAST_WINDOW);
        let (slow, fast) = question
            .signals
            .peaks(windows, reach, question.now, |flow| self.amount(flow));
        let slow = self.reading(Target::SLOW_WINDOW, slow);
        let fast = self.reading(Target::FAST_WINDOW, fast);
        if fast.value > slow.value { fast } else { slow }
    }

    fn reading(&self, window: Millis, amount: u64) -> Reading {
        let Scale(times, divided) = self.scale;
        let value = u128::from(amount) * times / (divided * u128::from(window.0.max(1)));
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        let asks = u32::try_from(value.div_ceil(self.limit)).unwrap_or(u32::MAX);
        Reading {
            signal: self.signal,
            window,
            value,
            limit: self.limit,
            asks,
        }
    }

    fn amount(&self, flow: &Flow) -> u64 {
        match self.signal {
            Signal::Cpu => flow.cpu_usec,
            Signal::Memory => flow.memory_kib_ms,
            Signal::Requests => flow.requests,
            Signal::InFlight => flow.in_flight_ms,
        }
    }

    fn heard<'a>(&self, question: &'a Question<'_>) -> &'a super::Heard {
        match self.signal {
            Signal::Cpu | Signal::Memory => &question.frontends,
            Signal::Requests | Signal::InFlight => &question.ingresses,
        }
    }

    fn unsound(&self, question: &Question<'_>, reach: Millis) -> Option<Hold> {
        let window = Millis(reach.0.max(Target::SLOW_WINDOW.0));
        match self.signal {
            Signal::Cpu | Signal::Memory => question.unsound_usage(window),
            Signal::Requests | Signal::InFlight => question.unsound_traffic(window),
        }
    }
}

/// Time of ready frontends that nobody heard of, in ms, each for itself: what is missing of a window, of
/// those that are silent now.
///
/// Ingresses spread requests over all that are ready, so those that were heard stand for the others. They
/// do for at most as many as they are themselves: a few that are heard by chance are no measure of many.
fn silent(question: &Question<'_>, window: Millis, heard_ms: u64) -> u64 {
    let of = |count: u32| u64::from(count).saturating_mul(window.0);
    let missing = of(question.ready).saturating_sub(heard_ms);
    missing.min(of(question.unheard())).min(heard_ms)
}

/// CPU of so many frontends that use nearly all they request.
fn saturated(ready: u32) -> u64 {
    u64::from(ready) * u64::from(Target::SATURATED_PERCENT) * 1000
}

/// Whether the count grew by the fast window, or by what came to the saturated, within the length of the
/// slow one, which still holds the time before the burst.
fn bursting(question: &Question<'_>) -> bool {
    let recent = |decision: &&Decision| question.now.since(decision.at) < Target::SLOW_WINDOW;
    let decisions = question.past.decisions.iter().rev();
    decisions.take_while(recent).any(|decision| {
        let by = decision.readings.first();
        decision.cause == Cause::Grew && by.is_some_and(|r| r.window <= Target::FAST_WINDOW)
    })
}

/// A load in percent of what `count` frontends at their target carry.
fn percent(value: u64, limit: u64, count: u32) -> u128 {
    u128::from(value) * 100 / (u128::from(limit) * u128::from(count)).max(1)
}
