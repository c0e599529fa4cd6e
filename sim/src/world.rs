//! A service under load: ingresses, frontends that come and go, and an autoscaler that says how many.
//!
//! Requests come as a Poisson process whose rate is the trace's, each to one of three ingresses at
//! random; the ingress takes the less loaded, by its own count, of two ready frontends drawn at random,
//! as ours does (`ingress/src/balancer.rs`; M. Mitzenmacher, "The power of two choices in
//! randomized load balancing", 2001). A frontend that is full refuses, and what it refuses is not
//! sent again. The work and the moments of all requests are the same for every autoscaler.
//!
//! Once a second every frontend is sampled; the autoscaler hears of it a second later, which is more
//! than a network and a log entry take. A frontend costs from the order to start it until its last
//! request has ended.

mod member;
mod sampling;

use crate::frontend::Ended;
use crate::load::Trace;
use crate::random::{Random, Stream};
use crate::scaler::{Autoscaler, View};
use crate::score::{Minute, Run};
use member::{Member, Phase};
use sampling::Sampler;
pub use sampling::{Report, Sample, Traffic};

/// Ingresses in front of the service.
pub const INGRESSES: usize = 3;
/// Processors of a frontend.
pub const CORES: f64 = 2.0;
/// Requests a frontend holds before it refuses: a second and a half of its full speed.
pub const BACKLOG: usize = 64;
/// Mean work of a request, in seconds of one core: nine in ten are light, one in ten is heavy.
pub const WORK: f64 = 0.9 * LIGHT + 0.1 * HEAVY;
const LIGHT: f64 = 0.035;
const HEAVY: f64 = 0.160;
/// A response later than this is slow.
pub const SLOW: f64 = 0.250;

/// Bounds of the count, for every autoscaler.
pub const MIN: u32 = 2;
pub const MAX: u32 = 40;

/// The share of its processors that a frontend can use while 95 of 100 responses stay well within
/// `SLOW`, found by simulation (`a_service_at_its_safe_share_is_just_fast_enough`).
pub const SAFE: f64 = 0.60;

/// Frontends that carry `rate` requests per second safely.
pub fn needed(rate: f64) -> u32 {
    let each = SAFE * CORES / WORK;
    ((rate / each).ceil() as u32).clamp(MIN, MAX)
}

/// Runs the trace from its first second to its last.
pub fn run(trace: &Trace, scaler: &mut dyn Autoscaler) -> Run {
    let mut world = World::new(trace);
    for second in 0..trace.seconds() {
        world.begin_second(second);
        world.serve(second);
        world.end_second(second + 1, scaler);
    }
    world.finish()
}

struct World<'a> {
    trace: &'a Trace,
    requests: Random,
    balancing: Random,
    members: Vec<Member>,
    /// Indices of `members` that take requests.
    ready: Vec<usize>,
    sampler: Sampler,
    /// Taken a second ago, heard now.
    on_the_way: (Vec<Sample>, Vec<Report>),
    desired: u32,
    next_id: u32,
    run: Run,
}

impl<'a> World<'a> {
    fn new(trace: &'a Trace) -> World<'a> {
        let mut world = World {
            trace,
            requests: Random::new(trace.seed, Stream::Requests, name_part(trace)),
            balancing: Random::new(trace.seed, Stream::Balancing, name_part(trace)),
            members: Vec::new(),
            ready: Vec::new(),
            sampler: Sampler::default(),
            on_the_way: (Vec::new(), Vec::new()),
            desired: 0,
            next_id: 0,
            run: Run::new(trace.rate.len() / 60),
        };
        let first: f64 = trace.rate.iter().take(60).sum::<f64>() / 60.0;
        world.resize(needed(first), 0);
        for member in &mut world.members {
            member.phase = Phase::Ready { since: 0, warm: 0 };
        }
        world.desired = needed(first);
        world
    }

    /// Who has started takes requests; who has served his last one is gone.
    fn begin_second(&mut self, second: u32) {
        for member in &mut self.members {
            member.begin_second(second, self.trace.start);
        }
        self.members.retain(|member| !member.is_gone());
        self.ready.clear();
        let indices = self.members.iter().enumerate();
        self.ready.extend(
            indices
                .filter(|(_, m)| m.is_ready())
                .map(|(index, _)| index),
        );
        self.run.count(second, self.members.len(), self.ready.len());
    }

    fn serve(&mut self, second: u32) {
        let rate = self.trace.rate[second as usize];
        if rate <= 0.0 {
            return;
        }
        let mut at = f64::from(second);
        let end = at + 1.0;
        loop {
            // Poisson has no memory: what is left of the gap at the end of a second is drawn anew.
            at += self.requests.exponential() / rate;
            if at >= end {
                return;
            }
            let mean = if self.requests.below(10) == 0 {
                HEAVY
            } else {
                LIGHT
            };
            let work = mean * self.requests.exponential();
            self.route(at, work);
        }
    }

    fn route(&mut self, at: f64, work: f64) {
        let entropy = self.balancing.word();
        let ingress = (entropy % INGRESSES as u64) as usize;
        let Some(index) = self.choose(ingress) else {
            self.run.minute(at).refused += 1;
            return;
        };
        let member = &mut self.members[index];
        member.advance(at, &mut self.run);
        member.sent[ingress].requests += 1;
        if member.queue.accept(work, ingress as u8) {
            member.sent[ingress].in_flight += 1;
        } else {
            member.sent[ingress].refused += 1;
            self.run.minute(at).refused += 1;
        }
        self.run.minute(at).requests += 1;
    }

    /// The less loaded of two, by what this ingress has sent and has not seen end.
    fn choose(&mut self, ingress: usize) -> Option<usize> {
        let count = self.ready.len();
        if count < 2 {
            return self.ready.first().copied();
        }
        let first = self.balancing.below(count);
        let second = self.balancing.below(count - 1);
        let second = if second >= first { second + 1 } else { second };
        let (first, second) = (self.ready[first], self.ready[second]);
        let load = |index: usize| self.members[index].sent[ingress].in_flight;
        Some(if load(second) < load(first) {
            second
        } else {
            first
        })
    }

    fn end_second(&mut self, now: u32, scaler: &mut dyn Autoscaler) {
        for member in &mut self.members {
            member.end_second(now, self.trace.start, &mut self.run);
        }
        let samples = self.sampler.take(self.trace, now, &self.members);
        let reports = sampling::reports(self.trace, now, &mut self.members);
        let (samples, reports) = std::mem::replace(&mut self.on_the_way, (samples, reports));
        let frontends: Vec<_> = self.members.iter().filter_map(Member::seen).collect();
        let view = View {
            now,
            desired: self.desired,
            frontends: &frontends,
            samples: &samples,
            reports: &reports,
        };
        let wanted = scaler.wanted(&view).clamp(MIN, MAX);
        if wanted != self.desired {
            self.run.changed(now, self.desired, wanted);
            self.desired = wanted;
            self.resize(wanted, now);
        }
    }

    /// Starts what is missing. What is too much leaves: who is not ready yet first, then the newest.
    fn resize(&mut self, wanted: u32, now: u32) {
        let staying = |m: &&mut Member| !m.is_leaving();
        let present = self.members.iter_mut().filter(staying).count();
        for _ in present..wanted as usize {
            let part = u64::from(self.next_id);
            let mut random = Random::new(self.trace.seed, Stream::Starts, part);
            let start = self.trace.start;
            let takes = random.between(start.from, start.to);
            self.members.push(Member::new(self.next_id, now, takes));
            self.next_id += 1;
        }
        for starting in [true, false] {
            let present = self.members.iter().filter(|m| !m.is_leaving()).count();
            let newest_first = self.members.iter_mut().rev();
            newest_first
                .filter(|m| !m.is_leaving() && m.is_ready() != starting)
                .take(present.saturating_sub(wanted as usize))
                .for_each(Member::leave);
        }
    }

    fn finish(mut self) -> Run {
        // Whatever is inside is served within the backlog's time.
        let end = f64::from(self.trace.seconds()) + 3600.0;
        for member in &mut self.members {
            member.advance(end, &mut self.run);
        }
        self.run
    }
}

/// Traces of one seed have requests of their own.
fn name_part(trace: &Trace) -> u64 {
    trace
        .name
        .bytes()
        .fold(0, |sum, byte| sum * 31 + u64::from(byte))
}

/// Books the end of a request on the minute it came in.
fn book(run: &mut Run, end: Ended) {
    if end.ended - end.arrived > SLOW {
        let minute: &mut Minute = run.minute(end.arrived);
        minute.slow += 1;
    }
}
