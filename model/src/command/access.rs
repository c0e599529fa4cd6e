//! Whitelists come, change and go; environments choose among them, and limit what is asked of them.

use std::sync::Arc;

use super::{Code, Detail, Rejection, settings};
use crate::{
    State,
    access::{ALLOW_ALL, LARGEST_LIMIT, Limit, MOST_RULES, MOST_WHITELISTS, Rate, Whitelist},
    event::Kind,
    ids::EnvironmentKey,
    network::Network,
    reference,
};

/// A change of whitelists, or of what an environment lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// One without rules: it admits nobody yet.
    Create {
        name: Arc<str>,
    },
    Destroy {
        name: Arc<str>,
    },
    Allow {
        name: Arc<str>,
        network: Network,
    },
    Revoke {
        name: Arc<str>,
        network: Network,
    },
    /// Which one an environment has.
    Choose {
        environment: EnvironmentKey,
        name: Arc<str>,
    },
    /// What is asked of an environment at most.
    Limit {
        environment: EnvironmentKey,
        all: LimitChange,
        address: LimitChange,
    },
}

/// A change of a limit; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitChange {
    /// 0: without limit.
    pub in_flight: Option<u32>,
    /// None a second: without limit.
    pub rate: Option<Rate>,
}

pub(super) fn change(
    state: &mut State,
    change: Change,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    match change {
        Change::Create { name } => create(state, &name, actor),
        Change::Destroy { name } => destroy(state, &name, actor),
        Change::Allow { name, network } => allow(state, &name, network, actor),
        Change::Revoke { name, network } => revoke(state, &name, network, actor),
        Change::Choose { environment, name } => choose(state, &environment, &name, actor),
        Change::Limit {
            environment,
            all,
            address,
        } => limit(state, &environment, all, address, actor),
    }
}

fn create(state: &mut State, name: &Arc<str>, actor: &Arc<str>) -> Result<Detail, Rejection> {
    super::certificate::check_name("whitelist", name)?;
    if state.whitelists.contains_key(name) {
        return Err(Rejection::new(
            Code::AlreadyExists,
            format!("there is a whitelist {name}"),
        ));
    }
    if state.whitelists.len() >= MOST_WHITELISTS {
        return Err(Rejection::new(
            Code::LimitReached,
            format!("there are {MOST_WHITELISTS} whitelists"),
        )
        .hint("destroy some: fleet whitelist list, fleet whitelist destroy NAME"));
    }
    let whitelist = Whitelist {
        name: name.to_string(),
        rules: std::collections::BTreeSet::new(),
        read_only: false,
        created: state.now,
    };
    state.whitelists.insert(name.clone(), whitelist);
    let sentence = format!("whitelist {name} created");
    state.record(Kind::Whitelist, actor, None, &**name, sentence);
    Ok(Detail::Done)
}

fn destroy(state: &mut State, name: &str, actor: &Arc<str>) -> Result<Detail, Rejection> {
    changeable(state, name)?;
    let users: Vec<String> = state.admitted_by(name).map(ToString::to_string).collect();
    if let Some(first) = state.admitted_by(name).next() {
        let hint = format!(
            "give it another: fleet env whitelist {} {ALLOW_ALL} -a {}",
            first.name, first.app
        );
        let sentence = format!("whitelist {name} is that of {}", users.join(", "));
        return Err(Rejection::new(Code::InUse, sentence).hint(hint));
    }
    state.whitelists.remove(name);
    let sentence = format!("whitelist {name} destroyed");
    state.record(Kind::Whitelist, actor, None, name, sentence);
    Ok(Detail::Done)
}

fn allow(
    state: &mut State,
    name: &str,
    network: Network,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let whitelist = changeable(state, name)?;
    if whitelist.rules.contains(&network) {
        return Err(Rejection::new(
            Code::AlreadyExists,
            format!("whitelist {name} allows {network} already"),
        ));
    }
    if whitelist.rules.len() >= MOST_RULES {
        return Err(Rejection::new(
            Code::LimitReached,
            format!("whitelist {name} has {MOST_RULES} rules"),
        )
        .hint(format!(
            "revoke some, or join them to larger networks: fleet whitelist describe {name}"
        )));
    }
    whitelist.rules.insert(network);
    changed(
        state,
        name,
        format!("whitelist {name} allows {network}"),
        actor,
    );
    Ok(Detail::Done)
}

fn revoke(
    state: &mut State,
    name: &str,
    network: Network,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let whitelist = changeable(state, name)?;
    if !whitelist.rules.remove(&network) {
        let within =
            |rule: &&Network| rule.contains(network.first()) && rule.contains(network.last());
        let refused = Rejection::new(
            Code::UnknownRule,
            format!("whitelist {name} has no rule {network}"),
        );
        return Err(match whitelist.rules.iter().find(within) {
            Some(rule) => refused.hint(format!("its rule {rule} allows that, and more")),
            None => refused.hint(format!("see its rules: fleet whitelist describe {name}")),
        });
    }
    let sentence = format!("whitelist {name} does not allow {network} any more");
    changed(state, name, sentence, actor);
    Ok(Detail::Done)
}

/// A whitelist that users may change.
fn changeable<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Whitelist, Rejection> {
    known(state, name)?;
    match state.whitelists.get_mut(name) {
        Some(whitelist) if !whitelist.read_only => Ok(whitelist),
        _ => Err(
            Rejection::new(Code::InvalidName, format!("whitelist {name} is read-only"))
                .hint("make one of your own: fleet whitelist create NAME"),
        ),
    }
}

fn known(state: &State, name: &str) -> Result<(), Rejection> {
    if state.whitelists.contains_key(name) {
        return Ok(());
    }
    let names = state.whitelists.keys().map(|name| &**name);
    Err(Rejection::unknown(
        Code::UnknownWhitelist,
        "whitelist",
        name,
        names,
    ))
}

/// Every ingress hears what a whitelist says now.
fn changed(state: &mut State, name: &str, sentence: String, actor: &Arc<str>) {
    let users: Vec<EnvironmentKey> = state.admitted_by(name).cloned().collect();
    for key in &users {
        state.reroute(key);
    }
    state.record(Kind::Whitelist, actor, None, name, sentence);
}

fn choose(
    state: &mut State,
    key: &EnvironmentKey,
    name: &str,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    reference::environment(state, key)?;
    known(state, name)?;
    let name = name.to_owned();
    let sentence = format!("whitelist {name}");
    settings::change(state, key, |settings| settings.whitelist = name)?;
    state.reroute(key);
    record(state, key, sentence, actor);
    Ok(Detail::Done)
}

fn limit(
    state: &mut State,
    key: &EnvironmentKey,
    all: LimitChange,
    address: LimitChange,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let mut changed = reference::environment(state, key)?.settings.requests;
    changed.all = limited(changed.all, all)?;
    changed.address = limited(changed.address, address)?;
    settings::change(state, key, |settings| settings.requests = changed)?;
    state.reroute(key);
    let said = [("", changed.all), (" of each address", changed.address)]
        .map(|(whose, limit)| format!("requests{whose} {}", words(limit)));
    record(state, key, said.join(", "), actor);
    Ok(Detail::Done)
}

fn limited(before: Limit, change: LimitChange) -> Result<Limit, Rejection> {
    let LimitChange { in_flight, rate } = change;
    let numbers = [
        in_flight,
        rate.map(|rate| rate.per_second),
        rate.map(|rate| rate.burst),
    ];
    if let Some(number) = numbers.into_iter().flatten().find(|n| *n > LARGEST_LIMIT) {
        return Err(Rejection::new(
            Code::InvalidValue,
            format!("a limit of {number} is larger than {LARGEST_LIMIT}"),
        ));
    }
    if rate.is_some_and(|rate| rate.per_second > 0 && rate.burst == 0) {
        return Err(Rejection::new(
            Code::InvalidValue,
            "a rate that never lets one through is none: the burst must be at least 1",
        ));
    }
    Ok(Limit {
        in_flight: match in_flight {
            None => before.in_flight,
            Some(most) => Some(most).filter(|most| *most > 0),
        },
        rate: match rate {
            None => before.rate,
            Some(rate) => Some(rate).filter(|rate| rate.per_second > 0),
        },
    })
}

fn words(limit: Limit) -> String {
    match (limit.in_flight, limit.rate) {
        (None, None) => "without limit".to_owned(),
        (Some(most), None) => format!("at most {most} in flight"),
        (None, Some(rate)) => pace(rate),
        (Some(most), Some(rate)) => format!("at most {most} in flight and {}", pace(rate)),
    }
}

fn pace(rate: Rate) -> String {
    format!("{} a second, {} at once", rate.per_second, rate.burst)
}

fn record(state: &mut State, key: &EnvironmentKey, sentence: String, actor: &Arc<str>) {
    state.record(
        Kind::Environment,
        actor,
        Some(key),
        key.name.as_str(),
        sentence,
    );
}
