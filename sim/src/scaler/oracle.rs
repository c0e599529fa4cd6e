//! Who knows the load of every second to come, and waits for frontends to start like everybody else.
//!
//! It asks for what the highest load needs between now and when a frontend that is ordered now is
//! ready for certain. Loads are averaged over some seconds, since the queues of frontends carry a
//! second's noise. No other autoscaler can be both as cheap and as quick; how far one is from it is
//! what could still be gained.

use super::{Autoscaler, View};
use crate::load::Trace;
use crate::world;

/// Seconds over which the load is averaged.
const SMOOTHED: usize = 10;

#[derive(Debug)]
pub struct Oracle(Vec<u32>);

impl Oracle {
    pub fn of(trace: &Trace) -> Oracle {
        let needed: Vec<u32> = (0..trace.rate.len())
            .map(|second| {
                let from = second.saturating_sub(SMOOTHED / 2);
                let window = trace.rate.iter().skip(from).take(SMOOTHED);
                world::needed(window.sum::<f64>() / SMOOTHED as f64)
            })
            .collect();
        let ahead = (trace.start.to + trace.start.cold) as usize + 2;
        let wanted = (0..needed.len()).map(|second| {
            let coming = needed.iter().skip(second).take(ahead);
            coming.copied().max().unwrap_or(world::MIN)
        });
        Oracle(wanted.collect())
    }
}

impl Autoscaler for Oracle {
    fn wanted(&mut self, view: &View<'_>) -> u32 {
        let last = self.0.len() - 1;
        self.0[(view.now as usize).min(last)]
    }
}
