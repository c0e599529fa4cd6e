//! Whole clusters of real processes, one scenario per file.
//!
//! They run one at a time (`--test-threads=1`): a deadline shall measure fleet and not the cluster
//! next door. Each starts its own cluster and ends by checking that nothing of it is left.

mod access;
mod acme;
mod activations;
mod agent_frozen;
mod agent_killed;
mod archives;
mod autoscaling;
mod autoscaling_muted;
mod autoscaling_promotion;
mod backup_restore;
mod bad_apps;
mod broken_promotions;
mod build_steps;
mod by_hand;
mod certificates;
mod command_line_killed;
mod contention;
mod convox_transcript;
mod frontend_killed;
mod held_back_ingress;
mod hogs;
mod hostile_clients;
mod impostors;
mod ingress_killed;
mod ingress_replaced;
mod leader_killed;
mod nodes_replaced;
mod observed;
mod partitions;
mod power_back;
mod promotion_survives;
mod protocols;
mod quorum_lost;
mod reflection;
mod refusals;
mod release_sources;
mod repeated_request;
mod rollback;
mod routing;
mod stopped;
mod told_to_frontends;
mod transcripts;
mod trust;
mod whole_cluster_killed;
mod without_quorum;
mod worker_partitioned;
