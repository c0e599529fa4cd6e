//! Answers as they are shown. Each view is made from a message of the API, serialises with field
//! names that stay (docs/cli.md), and prints itself as text; so text and JSON say the same.

mod app;
mod autoscaling;
mod backup;
mod build;
mod certificate;
mod cluster;
mod config;
mod description;
mod environment;
mod event;
mod local;
mod log;
mod masking;
mod node;
mod process;
mod promotion;
mod release;
mod service;
mod token;
mod variables;
mod whitelist;

#[cfg(test)]
mod golden;

pub(crate) use app::{AppList, AppView};
pub(crate) use autoscaling::AutoscalingView;
pub(crate) use backup::{BackupList, BackupView, RecoveredView, RestoredView};
pub(crate) use build::{BuildList, BuildLogView, BuildView, BuiltView};
pub(crate) use certificate::{CertificateList, CertificateView};
pub(crate) use cluster::ClusterView;
pub(crate) use config::ConfigView;
pub(crate) use description::DescriptionView;
pub(crate) use environment::EnvironmentList;
pub(crate) use event::EventView;
pub(crate) use local::{FoundedView, JoinedView, LocalView};
pub(crate) use log::{LogLineView, LogList};
pub(crate) use masking::Masking;
pub(crate) use node::{NodeDescriptionView, NodeList};
pub(crate) use process::ProcessList;
pub(crate) use promotion::PromotionView;
pub(crate) use release::{CreatedReleaseView, ReleaseList, ReleaseView};
pub(crate) use service::ServiceList;
pub(crate) use token::{CreatedTokenView, TokenList};
pub(crate) use variables::{VariableChangeView, VariablesView};
pub(crate) use whitelist::{WhitelistList, WhitelistView};

/// The word of a state: its name in the API without the prefix of its type. A state that a newer
/// cluster knows and this program does not is `UNKNOWN`.
fn word<E: TryFrom<i32>>(value: i32, prefix: &str, name: impl Fn(&E) -> &'static str) -> String {
    let full = E::try_from(value).map_or("UNKNOWN", |known| name(&known));
    match full.strip_prefix(prefix) {
        Some("UNSPECIFIED") | None => "UNKNOWN".to_owned(),
        Some(word) => word.to_owned(),
    }
}

/// ON or OFF.
fn on_off(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

/// Headers that all stand to the left.
fn left<const N: usize>(names: [&'static str; N]) -> [(&'static str, crate::output::Align); N] {
    names.map(|name| (name, crate::output::Align::Left))
}
