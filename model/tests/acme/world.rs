//! A cluster that orders certificates, and an authority that does as it is told.

use std::collections::BTreeSet;

use fleet_model::{
    Command, Outcome, Rejection, Time,
    acme::{Answer, Method, Order, Progress},
    certificate::Issued,
    command::{AcmeChange, AcmeFailed, CertificateChange, NewManaged, PlacedOrder},
    plan::{IngressFacts, Load},
    time::Millis,
};

use crate::common::{Checked, registration};

pub(super) const CA: &str = "https://ca.test/dir";
pub(super) const DAY: u64 = 86_400_000;

/// A cluster of two nodes whose ingresses confirm what they are told to.
pub(super) struct World {
    pub(super) checked: Checked,
    pub(super) now: Time,
    pub(super) applied: [u64; 2],
}

impl World {
    pub(super) fn new() -> Self {
        let mut checked = Checked::new();
        let now = Time(1_000 * DAY);
        let commands = [
            Command::RegisterNode(registration(1, Some(1))),
            Command::RegisterNode(registration(2, None)),
            Command::CreateApp {
                name: "shop".to_owned(),
            },
        ];
        for command in commands {
            checked.commit(now, command).unwrap();
        }
        Self {
            checked,
            now,
            applied: [0, 0],
        }
    }

    pub(super) fn change(&mut self, change: AcmeChange) -> Result<Outcome, Rejection> {
        let change = CertificateChange::Acme(change);
        let command = Command::Certificate(Box::new(change));
        self.checked.commit(self.now, command)
    }

    pub(super) fn wish(&mut self, name: &str, domains: &[&str]) {
        self.change(AcmeChange::Manage(wish(name, domains)))
            .unwrap();
    }

    pub(super) fn load(&self) -> Load {
        let mut load = Load {
            since: self.now,
            ..Load::default()
        };
        for (node, applied) in self.checked.state.nodes.keys().zip(self.applied) {
            let facts = IngressFacts {
                heard: self.now,
                applied,
                ..IngressFacts::default()
            };
            load.workers.insert(*node, self.now);
            load.ingresses.insert(*node, [(1, facts)].into());
        }
        load
    }

    /// What the planner makes of the moment; answers when it wants to be asked again.
    pub(super) fn settle(&mut self) -> Option<Time> {
        self.checked.settle(&self.load(), self.now).next_wake
    }

    pub(super) fn confirm(&mut self) {
        self.applied = [self.checked.state.generation; 2];
        self.settle();
    }

    pub(super) fn order(&self, name: &str) -> Option<Order> {
        let managed = self.checked.state.certificates[name].managed.as_deref();
        managed.unwrap().order.clone()
    }

    pub(super) fn progress(&self, name: &str) -> Progress {
        let state = &self.checked.state;
        state.progress(&state.certificates[name]).unwrap()
    }

    pub(super) fn due(&self, name: &str) -> Time {
        match self.progress(name) {
            Progress::Due(at) => at,
            other => panic!("{name} is {other:?}"),
        }
    }

    pub(super) fn place(&mut self, name: &str) {
        let order = self.order(name).unwrap();
        let answers = order.names.iter().map(|host| Answer {
            host: host.clone(),
            token: format!("token-of-{host}"),
            proof: "proof".to_owned(),
        });
        let placed = PlacedOrder {
            url: format!("{CA}/order/{}", order.id),
            sealed_key: [7].into(),
            answers: answers.collect(),
        };
        self.change(AcmeChange::Place {
            name: name.into(),
            order: order.id,
            placed,
        })
        .unwrap();
    }

    pub(super) fn issue(&mut self, name: &str, days: u64) -> Result<Outcome, Rejection> {
        let order = self.order(name).unwrap();
        let issued = issued(self.now, days, &order.names);
        self.change(AcmeChange::Issue {
            name: name.into(),
            order: order.id,
            issued,
        })
    }

    /// From the beginning of an order to its end.
    pub(super) fn fulfil(&mut self, name: &str, days: u64) {
        self.place(name);
        self.confirm();
        self.issue(name, days).unwrap();
    }

    pub(super) fn fail(&mut self, name: &str, not_before: Option<Time>) {
        let order = self.order(name).unwrap().id;
        self.change(AcmeChange::Fail(AcmeFailed {
            name: name.into(),
            order,
            problem: "dns: no such host".to_owned(),
            not_before,
            stranger: false,
        }))
        .unwrap();
    }

    pub(super) fn last_event(&self) -> String {
        let (_, event) = self.checked.state.events.get_max().unwrap();
        event.message.clone()
    }
}

pub(super) fn wish(name: &str, domains: &[&str]) -> NewManaged {
    NewManaged {
        name: name.into(),
        directory: CA.into(),
        email: Some("ops@shop.test".to_owned()),
        roots: None,
        domains: domains.iter().map(ToString::to_string).collect(),
        method: Method::Http,
        replace: false,
    }
}

pub(super) fn issued(begins: Time, days: u64, names: &BTreeSet<String>) -> Issued {
    Issued {
        chain: vec![[1].into()],
        sealed_key: [2].into(),
        common_name: String::new(),
        organization: String::new(),
        names: names.iter().cloned().collect(),
        begins,
        expires: begins.plus(Millis(days * DAY)),
        chain_expires: None,
    }
}
