use fleet_proto::v1::{AutoscalingPolicy, AutoscalingSettings, AutoscalingTargets};
use serde::Serialize;

use crate::output::Block;

/// What decides counts, under the predecessor's names where it had one.
#[derive(Debug, Serialize)]
pub(in crate::view) struct SettingsView {
    /// `step`, `target`, `unknown`.
    autoscaling_policy: &'static str,
    /// Percent.
    scale_down_threshold: u32,
    scale_up_threshold: u32,
    /// Frontends at a time.
    scale_down_rate: u32,
    /// Percent of the count at a time.
    scale_up_rate: u32,
    /// Seconds, like `cooldown`.
    grace_period: u32,
    targets: TargetsView,
    cooldown: u32,
    #[serde(skip)]
    as_created: bool,
}

#[derive(Debug, Serialize)]
struct TargetsView {
    cpu_percent: Option<u32>,
    memory_percent: Option<u32>,
    requests_per_second: Option<u32>,
    concurrency: Option<u32>,
}

impl SettingsView {
    /// Adds what counts under the policy that is set; the numbers of the other wait.
    pub(in crate::view) fn rows(&self, block: &mut Block) {
        block.row("autoscaling policy", self.autoscaling_policy);
        if self.autoscaling_policy == "target" {
            block.row("autoscaling targets", self.targets.text());
            block.row("cooldown", seconds(self.cooldown));
            return;
        }
        block.row("scale down threshold", percent(self.scale_down_threshold));
        block.row("scale up threshold", percent(self.scale_up_threshold));
        block.row("scale down rate", self.scale_down_rate.to_string());
        block.row("scale up rate", percent(self.scale_up_rate));
        block.row("grace period", seconds(self.grace_period));
    }

    /// The same on one line, for a service that has its own.
    pub(super) fn line(&self) -> String {
        let cooldown = seconds(self.cooldown);
        match self.autoscaling_policy {
            "target" => format!("target {}; cooldown {cooldown}", self.targets.text()),
            policy => format!(
                "{policy} below {} and above {}; -{} and +{}; grace period {}",
                percent(self.scale_down_threshold),
                percent(self.scale_up_threshold),
                self.scale_down_rate,
                percent(self.scale_up_rate),
                seconds(self.grace_period),
            ),
        }
    }

    /// Whether they are anything but what every new environment has.
    pub(in crate::view) fn out_of_the_ordinary(&self) -> bool {
        !self.as_created
    }
}

impl TargetsView {
    fn text(&self) -> String {
        let percents = [("cpu", self.cpu_percent), ("memory", self.memory_percent)];
        let numbers = [
            ("rps", self.requests_per_second),
            ("concurrency", self.concurrency),
        ];
        let percents = percents
            .iter()
            .filter_map(|(name, aim)| aim.map(|aim| format!("{name} {}", percent(aim))));
        let numbers = numbers
            .iter()
            .filter_map(|(name, aim)| aim.map(|aim| format!("{name} {aim}")));
        let all: Vec<String> = percents.chain(numbers).collect();
        match all.as_slice() {
            [] => "none".to_owned(),
            all => all.join(", "),
        }
    }
}

impl From<&AutoscalingSettings> for SettingsView {
    fn from(settings: &AutoscalingSettings) -> Self {
        let thresholds = settings.thresholds.unwrap_or_default();
        let rates = settings.rates.unwrap_or_default();
        Self {
            autoscaling_policy: match settings.policy() {
                AutoscalingPolicy::Step => "step",
                AutoscalingPolicy::Target => "target",
                AutoscalingPolicy::Unspecified => "unknown",
            },
            scale_down_threshold: thresholds.down_percent,
            scale_up_threshold: thresholds.up_percent,
            scale_down_rate: rates.remove,
            scale_up_rate: rates.add_percent,
            grace_period: settings.grace_seconds,
            targets: TargetsView::from(&settings.targets.unwrap_or_default()),
            cooldown: settings.cooldown_seconds,
            as_created: settings.as_created,
        }
    }
}

impl From<&AutoscalingTargets> for TargetsView {
    fn from(targets: &AutoscalingTargets) -> Self {
        Self {
            cpu_percent: targets.cpu_percent,
            memory_percent: targets.memory_percent,
            requests_per_second: targets.requests_per_second,
            concurrency: targets.concurrency,
        }
    }
}

fn percent(number: u32) -> String {
    format!("{number} %")
}

fn seconds(number: u32) -> String {
    format!("{number} s")
}
