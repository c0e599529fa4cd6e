//! The same count all the time: enough for the highest load, known beforehand.

use super::{Autoscaler, View};
use crate::load::Trace;
use crate::world;

#[derive(Debug)]
pub struct Fixed(u32);

impl Fixed {
    pub fn at_peak_of(trace: &Trace) -> Fixed {
        Fixed(world::needed(trace.peak()))
    }
}

impl Autoscaler for Fixed {
    fn wanted(&mut self, _: &View<'_>) -> u32 {
        self.0
    }
}
