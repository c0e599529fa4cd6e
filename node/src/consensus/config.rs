//! Our options as the consensus library's configuration.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use super::{OpenError, Options};

/// Checks the options and translates them.
///
/// Choices that are not options, and why:
/// - pre-vote on: a node that cannot win must not inflate its term and disturb the leader;
/// - leader restore off: a restarted leader could serve reads from a state that is older than what
///   it acknowledged;
/// - log reversion off: a follower that forgot its log must be refused, not accepted;
/// - a leader that lost its quorum alternates silence and heartbeats, so that five voters with
///   partial partitions can elect another one;
/// - purging in large steps: many small range tombstones make reads of the log slow.
pub(super) fn raft_config(options: &Options) -> Result<Arc<Config>, OpenError> {
    let timers = &options.timers;
    let config = Config {
        cluster_name: options.cluster_id.clone(),
        heartbeat_interval: millis(timers.heartbeat),
        election_timeout_min: millis(timers.election_min),
        election_timeout_max: millis(timers.election_max),
        // A whole snapshot is sent in one call with its own deadline; see transport/snapshot.rs.
        install_snapshot_timeout: 60_000,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_every),
        max_in_snapshot_log_to_keep: options.keep_entries,
        // Must exceed the distance between snapshots, or sending one would not end a lag.
        replication_lag_threshold: options.snapshot_every + options.keep_entries + 1_000,
        purge_batch_size: 1_024.min(options.snapshot_every),
        quorum_loss_probe_interval: Some(2 * millis(timers.election_max)),
        enable_pre_vote: Some(true),
        enable_leader_restore: Some(false),
        allow_log_reversion: Some(false),
        ..Config::default()
    };
    let config = config
        .validate()
        .map_err(|error| OpenError::Options(error.to_string()))?;
    Ok(Arc::new(config))
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
