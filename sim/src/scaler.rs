//! Autoscalers behind one trait: ours, by the code the leader runs, and those we compare with, written
//! anew from their published descriptions.

pub mod fixed;
pub mod fleet;
pub mod hpa;
pub mod kpa;
pub mod oracle;

use crate::world::{Report, Sample};

/// Says how many frontends there should be.
pub trait Autoscaler {
    /// Asked once a second, after what was measured has been heard.
    fn wanted(&mut self, view: &View<'_>) -> u32;
}

/// What an autoscaler sees of the service.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Seconds from the start of the trace.
    pub now: u32,
    /// The count asked for at present.
    pub desired: u32,
    /// Starting and ready frontends; those that leave are not told of.
    pub frontends: &'a [Seen],
    /// What arrived in this second.
    pub samples: &'a [Sample],
    /// What ingresses said in this second.
    pub reports: &'a [Report],
}

/// A frontend as its orders and its health show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: u32,
    /// When it was ordered.
    pub ordered: u32,
    /// Since when it takes requests.
    pub ready: Option<u32>,
}

impl View<'_> {
    pub fn ready(&self) -> impl Iterator<Item = &Seen> {
        self.frontends.iter().filter(|seen| seen.ready.is_some())
    }
}
