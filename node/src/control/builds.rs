//! Build steps, seen from the leader: ordered of workers, heard while they run, and settled.
//!
//! Which worker runs which step is the planner's business; running it is the worker's.

pub(super) mod ended;
pub(super) mod log;
pub(super) mod orders;
pub(super) mod output;
