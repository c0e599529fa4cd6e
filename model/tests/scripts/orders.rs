//! What the leader and the authority do in stories about certificates.

use fleet_model::{
    Command, State, Time,
    acme::{Answer, Method, Order, Progress},
    certificate::Issued,
    command::{AcmeChange, AcmeFailed, CertificateChange, NewManaged, PlacedOrder},
    time::Millis,
};

const DAY: Millis = Millis::seconds(86_400);

pub fn command(state: &State, words: &[&str]) -> Option<Command> {
    let acme = match words {
        ["order", name, domains @ ..] => AcmeChange::Manage(NewManaged {
            name: (*name).into(),
            directory: "https://ca.test/dir".into(),
            email: None,
            roots: None,
            domains: domains.iter().map(ToString::to_string).collect(),
            method: Method::Http,
            replace: false,
        }),
        ["placed", name] => AcmeChange::Place {
            name: (*name).into(),
            order: order(state, name).id,
            placed: PlacedOrder {
                url: "https://ca.test/order".to_owned(),
                sealed_key: [1].into(),
                answers: answers(order(state, name)),
            },
        },
        ["gives", name] => AcmeChange::Issue {
            name: (*name).into(),
            order: order(state, name).id,
            issued: issued(order(state, name), state.now),
        },
        ["refuses", name, problem @ ..] => AcmeChange::Fail(AcmeFailed {
            name: (*name).into(),
            order: order(state, name).id,
            problem: problem.join(" "),
            not_before: None,
            stranger: false,
        }),
        _ => return None,
    };
    let change = CertificateChange::Acme(acme);
    Some(Command::Certificate(Box::new(change)))
}

/// Of each certificate how far it is, and what it is for.
pub fn show(state: &State) -> Vec<String> {
    let lines = state.managed().map(|(certificate, managed)| {
        let progress = match state.progress(certificate) {
            Some(Progress::Due(at)) => format!("due in {}", at.since(state.now)),
            Some(other) => format!("{other:?}"),
            None => "brought".to_owned(),
        };
        let names = state.wanted_names(managed, state.served_by(&certificate.name));
        let names: Vec<_> = names.into_iter().collect();
        format!("{}: {progress}; for {}", certificate.name, names.join(" "))
    });
    lines.collect()
}

fn order<'a>(state: &'a State, name: &str) -> &'a Order {
    let mut orders = state.orders();
    let found = orders.find(|(certificate, _, _)| &*certificate.name == name);
    found.unwrap().2
}

fn answers(order: &Order) -> Vec<Answer> {
    let answer = |host: &String| Answer {
        host: host.clone(),
        token: "token".to_owned(),
        proof: "proof".to_owned(),
    };
    order.names.iter().map(answer).collect()
}

fn issued(order: &Order, now: Time) -> Issued {
    Issued {
        chain: vec![[1].into()],
        sealed_key: [2].into(),
        common_name: String::new(),
        organization: String::new(),
        names: order.names.iter().cloned().collect(),
        begins: now,
        expires: now.plus(Millis(90 * DAY.0)),
        chain_expires: None,
    }
}
