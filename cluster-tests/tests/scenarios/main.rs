//! Whole clusters of real processes, one scenario per file.
//!
//! They run one at a time (`--test-threads=1`): a deadline shall measure fleet and not the cluster
//! next door. Each starts its own cluster and ends by checking that nothing of it is left.

#![allow(clippy::unwrap_used)]
