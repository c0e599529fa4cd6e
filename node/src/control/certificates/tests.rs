#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::SystemTime;

use fleet_model::{Entry, command::NewCertificate};

use super::*;

/// A cluster, and the key that its keys are sealed with.
struct Cluster {
    state: State,
    seal: Seal,
}

impl Cluster {
    fn new() -> Self {
        Self {
            state: State::genesis(),
            seal: Seal::generate(),
        }
    }

    fn change(&mut self, change: CertificateChange) {
        let entry = Entry {
            index: self.state.index + 1,
            time: instant(SystemTime::now()),
            request: None,
            actor: "ada".into(),
            command: Command::Certificate(Box::new(change)),
        };
        self.state.apply(entry).unwrap();
    }

    /// Adds or replaces one; answers its open key.
    fn add(&mut self, name: &str) -> Vec<u8> {
        let made = OwnIssuer::found("shop.test", SystemTime::now()).unwrap();
        let key = made.key.clone();
        self.change(CertificateChange::Add(NewCertificate {
            name: name.into(),
            issued: sealed(made, &self.seal),
            replace: true,
            force: false,
        }));
        key
    }

    fn ticket(&mut self, secret: u8) {
        let keys = &self.state.tls.tickets.keys;
        let assumed = keys.last().map_or(0, |key| key.id);
        self.change(CertificateChange::Ticket {
            sealed: self.seal.seal(TICKET_KEY, &[secret; 32]).into(),
            assumed,
        });
    }
}

/// What an ingress makes of a change.
fn changed(before: &ServedTls, change: TlsChange) -> ServedTls {
    let all = before.certificates.iter().cloned().chain(change.upsert);
    let mut by_name: BTreeMap<String, ServedCertificate> =
        all.map(|one| (one.name.clone(), one)).collect();
    by_name.retain(|name, _| change.names.contains(name));
    ServedTls {
        certificates: by_name.into_values().collect(),
        tickets: change.tickets,
        answers: change.answers,
    }
}

#[test]
fn changes_lead_to_the_whole() {
    let mut cluster = Cluster::new();
    let opener = Opener(Some(cluster.seal.clone()));
    let (mut held, mut base) = (opener.full(&cluster.state), cluster.state.generation);
    assert!(
        held.certificates.is_empty(),
        "the cluster's own is not made yet"
    );
    let steps: [fn(&mut Cluster); 6] = [
        |cluster| drop(cluster.add("b")),
        |cluster| drop(cluster.add("a")),
        |cluster| cluster.ticket(1),
        |cluster| drop(cluster.add("b")),
        |cluster| {
            cluster.ticket(2);
            cluster.ticket(3);
        },
        |cluster| cluster.change(CertificateChange::Remove { name: "a".into() }),
    ];
    for (at, step) in steps.into_iter().enumerate() {
        assert_eq!(opener.delta(&cluster.state, base), None, "before step {at}");
        step(&mut cluster);
        let change = opener.delta(&cluster.state, base).unwrap();
        held = changed(&held, change);
        base = cluster.state.generation;
        let whole = opener.full(&cluster.state);
        // Field by field: what is printed of keys is nothing.
        assert_eq!(held, whole, "after step {at}");
    }
    let tickets = held.tickets.unwrap();
    let secrets: Vec<u8> = tickets.keys.iter().map(|key| key.secret[0]).collect();
    assert_eq!(secrets, [1, 2, 3]);
    assert_eq!(tickets.present, tickets.keys[1].id);
}

#[test]
fn keys_are_sealed_in_the_state_and_opened_by_the_clusters_key_alone() {
    let mut cluster = Cluster::new();
    let key = cluster.add("shop");
    let issued = cluster.state.certificates["shop"].issued.clone().unwrap();
    let middle = &key[40..60];
    assert!(
        !issued
            .sealed_key
            .windows(middle.len())
            .any(|window| window == middle)
    );
    let served = Opener(Some(cluster.seal.clone())).full(&cluster.state);
    assert_eq!(served.certificates[0].key, key);
    for stranger in [Opener(Some(Seal::generate())), Opener(None)] {
        let served = stranger.full(&cluster.state);
        assert!(
            served.certificates.is_empty(),
            "nothing is better than a wrong key"
        );
    }
}
