//! Faults of the network: which node no longer reaches which.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::lan::{Lan, ip_in, run};
use crate::node::Node;
use crate::wait;

/// Packets from one node to another are lost, silently and in this direction only.
///
/// Dropped, it is healed; [`Fault::heal`] also says whether it ever did anything.
#[derive(Debug)]
pub struct Cut {
    lan: String,
    device: String,
    table: String,
    rule: Vec<String>,
    what: String,
}

impl Cut {
    fn make(lan: &Lan, from: usize, to: usize) -> Result<Cut> {
        let number = lan.cuts.get() + 1;
        lan.cuts.set(number);
        let (from_seat, to_seat) = (lan.seat(from)?, lan.seat(to)?);
        let cut = Cut {
            lan: lan.of("lan"),
            device: format!("sink{number}"),
            // Tables and priorities below those of the kernel's own rules.
            table: (1_000 + number).to_string(),
            rule: ["iif", &from_seat.port, "to", &to_seat.address.to_string()]
                .map(str::to_owned)
                .to_vec(),
            what: format!("node{} to node{}", from + 1, to + 1),
        };
        let inside = ["-n", cut.lan.as_str()];
        let (device, table) = (cut.device.as_str(), cut.table.as_str());
        let sink = lan.of("sink");
        let peer = ["type", "veth", "peer", "name", device, "netns", &sink];
        ip_in(inside, &[&["link", "add", device][..], &peer].concat())?;
        // Without neighbours to ask for: packets leave at once, to where nobody listens.
        ip_in(inside, &["link", "set", "dev", device, "arp", "off", "up"])?;
        ip_in(["-n", &sink], &["link", "set", "dev", device, "up"])?;
        ip_in(
            inside,
            &["route", "add", "default", "dev", device, "table", table],
        )?;
        ip_in(inside, &cut.rule_command("add"))?;
        Ok(cut)
    }

    fn rule_command(&self, verb: &'static str) -> Vec<&str> {
        let mut command = vec!["rule", verb, "pref", &self.table];
        command.extend(self.rule.iter().map(String::as_str));
        command.extend(["lookup", &self.table]);
        command
    }

    /// How many packets it has swallowed.
    fn swallowed(&self) -> Result<u64> {
        let show = [
            "-n",
            &self.lan,
            "-j",
            "-s",
            "link",
            "show",
            "dev",
            &self.device,
        ];
        let text = run(std::process::Command::new("ip").args(show))?;
        let links: serde_json::Value = serde_json::from_str(&text)?;
        let sent = &links[0]["stats64"]["tx"]["packets"];
        let sent = sent.as_u64();
        sent.ok_or_else(|| anyhow::anyhow!("no count of packets in {text}"))
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        // Both go with the namespace at the latest.
        let inside = ["-n", self.lan.as_str()];
        drop(ip_in(inside, &self.rule_command("del")));
        drop(ip_in(inside, &["link", "del", "dev", &self.device]));
    }
}

/// Some cuts at once, proven to work.
#[derive(Debug)]
pub struct Fault {
    pub what: String,
    cuts: Vec<(Cut, usize, SocketAddr)>,
}

impl Fault {
    /// Cuts every pair (from, to) and tries each with a connection that must not come about.
    pub fn strike(
        lan: &Lan,
        nodes: &[Node],
        what: &str,
        pairs: impl IntoIterator<Item = (usize, usize)>,
    ) -> Result<Fault> {
        let mut cuts = Vec::new();
        for (from, to) in pairs {
            cuts.push((Cut::make(lan, from, to)?, from, nodes[to].api()));
        }
        ensure!(!cuts.is_empty(), "{what} cuts nothing");
        let fault = Fault {
            what: what.to_owned(),
            cuts,
        };
        for (cut, reached) in fault.try_all(lan)? {
            ensure!(!reached, "{what}: {} still connects", cut.what);
        }
        Ok(fault)
    }

    /// No node of one side hears any of the other.
    pub fn partition(lan: &Lan, nodes: &[Node], sides: [&[usize]; 2]) -> Result<Fault> {
        let [left, right] = sides;
        let there = left.iter().flat_map(|l| right.iter().map(|r| (*l, *r)));
        let pairs = there.flat_map(|(left, right)| [(left, right), (right, left)]);
        Fault::strike(lan, nodes, &format!("{left:?} | {right:?}"), pairs)
    }

    /// Each node hears its two neighbours and nobody else.
    pub fn ring(lan: &Lan, nodes: &[Node]) -> Result<Fault> {
        let count = nodes.len();
        let apart = |a: usize, b: usize| (a + count - b) % count;
        let all = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
        let far = all.filter(|(a, b)| ![0, 1, count - 1].contains(&apart(*a, *b)));
        Fault::strike(lan, nodes, "a ring", far)
    }

    fn try_all(&self, lan: &Lan) -> Result<Vec<(&Cut, bool)>> {
        std::thread::scope(|scope| {
            let tries: Vec<_> = self
                .cuts
                .iter()
                .map(|(cut, from, to)| {
                    let seat = lan.seat(*from).cloned();
                    let attempt = scope.spawn(move || seat?.reaches(*to));
                    (cut, attempt)
                })
                .collect();
            let ended = tries.into_iter().map(|(cut, attempt)| {
                let reached = attempt.join();
                let reached = reached.map_err(|_| anyhow::anyhow!("an attempt panicked"))?;
                Ok((cut, reached?))
            });
            ended.collect()
        })
    }

    /// Ends it, and fails unless every cut swallowed packets and every connection comes about again.
    /// Returns how many packets were lost.
    pub async fn heal(self, lan: &Lan) -> Result<u64> {
        let mut lost = 0;
        for (cut, _, _) in &self.cuts {
            let swallowed = cut.swallowed()?;
            ensure!(swallowed > 0, "{}: {} lost nothing", self.what, cut.what);
            lost += swallowed;
        }
        let reaches: Vec<_> = self
            .cuts
            .into_iter()
            .map(|(_, from, to)| (from, to))
            .collect();
        for (from, to) in reaches {
            let seat = lan.seat(from)?.clone();
            wait::until("a healed network", Duration::from_secs(10), async || {
                let (seat, to) = (seat.clone(), to);
                let reached = tokio::task::spawn_blocking(move || seat.reaches(to)).await??;
                ensure!(reached, "{} does not reach {to}", seat_name(from));
                Ok(())
            })
            .await?;
        }
        Ok(lost)
    }
}

fn seat_name(index: usize) -> String {
    format!("node{}", index + 1)
}
