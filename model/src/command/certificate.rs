//! Certificates come, are replaced and go; environments choose among them.

use std::sync::Arc;

use super::{AcmeChange, Code, Detail, Rejection, acme, itself, settings};
use crate::{
    State, Time,
    certificate::{
        Certificate, Issued, LARGEST_CHAIN, MOST_CERTIFICATES, SELF_SIGNED, TICKET_KEYS, TicketKey,
        days_until,
    },
    event::Kind,
    ids::EnvironmentKey,
    reference,
};

/// A change of the certificates of a cluster, or of what an environment does with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Add(NewCertificate),
    Remove {
        name: Arc<str>,
    },
    /// Which one an environment shows.
    Choose {
        environment: EnvironmentKey,
        name: Arc<str>,
    },
    /// Whether plain HTTP is sent to HTTPS, once there is a certificate that clients believe.
    Redirect {
        environment: EnvironmentKey,
        on: bool,
    },
    /// From the leader: the cluster's own, for `domain`.
    Own {
        domain: String,
        issued: Issued,
        /// The generation of the one it replaces.
        assumed: u64,
    },
    /// From the leader: the next key of tickets.
    Ticket {
        sealed: Arc<[u8]>,
        /// The id of the newest there is; 0 when there is none.
        assumed: u64,
    },
    /// From the planner: a certificate ends soon.
    Warn {
        name: Arc<str>,
        days: u32,
        /// The generation of the content that it is said of.
        assumed: u64,
    },
    /// What is ordered from authorities.
    Acme(AcmeChange),
}

/// A certificate to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCertificate {
    pub name: Arc<str>,
    pub issued: Issued,
    /// Takes the place of the one of that name.
    pub replace: bool,
    /// Although it is not valid now.
    pub force: bool,
}

pub(super) fn change(
    state: &mut State,
    change: Change,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    match change {
        Change::Add(new) => add(state, new, actor),
        Change::Remove { name } => remove(state, &name, actor),
        Change::Choose { environment, name } => choose(state, &environment, &name, actor),
        Change::Redirect { environment, on } => redirect(state, &environment, on, actor),
        Change::Own {
            domain,
            issued,
            assumed,
        } => own(state, &domain, issued, assumed),
        Change::Ticket { sealed, assumed } => ticket(state, sealed, assumed),
        Change::Warn {
            name,
            days,
            assumed,
        } => warn(state, &name, days, assumed),
        Change::Acme(change) => acme::change(state, change, actor),
    }
}

fn add(state: &mut State, new: NewCertificate, actor: &Arc<str>) -> Result<Detail, Rejection> {
    let name = new.name;
    check_name("certificate", &name)?;
    if *name == *SELF_SIGNED {
        return Err(own_is_not_yours("be replaced"));
    }
    check_content(state, &new.issued, new.force)?;
    check_place(state, &name, new.replace, "--replace")?;
    let verb = match state.certificates.contains_key(&name) {
        true => "replaced",
        false => "added",
    };
    let days = days_until(new.issued.ends(), state.now);
    let sentence = format!("certificate {name} {verb}: {}", lasting(days));
    let first = has_no_content(state, &name);
    put(state, &name, new.issued);
    if first {
        shown_at_last(state, &name);
    }
    state.record(Kind::Certificate, actor, None, &*name, sentence);
    Ok(Detail::Done)
}

/// Whether there is room for a certificate, and for this one in the place of another.
pub(super) fn check_place(
    state: &State,
    name: &str,
    replace: bool,
    flags: &str,
) -> Result<(), Rejection> {
    let there = state.certificates.contains_key(name);
    if there && !replace {
        return Err(Rejection::new(
            Code::AlreadyExists,
            format!("there is a certificate {name}"),
        )
        .hint(format!(
            "put this one in its place: fleet cert add {name} {flags}"
        )));
    }
    if !there && state.certificates.len() >= MOST_CERTIFICATES {
        return Err(Rejection::new(
            Code::LimitReached,
            format!("there are {MOST_CERTIFICATES} certificates"),
        )
        .hint("remove some: fleet cert list, fleet cert remove NAME"));
    }
    Ok(())
}

/// Whether an authority has yet to give a certificate that there is.
pub(super) fn has_no_content(state: &State, name: &str) -> bool {
    let there = state.certificates.get(name);
    there.is_some_and(|certificate| certificate.issued.is_none())
}

/// Environments that had to be shown the cluster's own until now.
pub(super) fn shown_at_last(state: &mut State, name: &str) {
    let users: Vec<_> = state.served_by(name).map(|e| e.key.clone()).collect();
    for key in users {
        state.reroute(&key);
    }
}

/// A name stands in commands and tables, and in no host.
pub(super) fn check_name(kind: &str, name: &str) -> Result<(), Rejection> {
    let tail =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
    let problem = match name.chars().next() {
        None => "is empty",
        Some(c) if !c.is_ascii_lowercase() && !c.is_ascii_digit() => {
            "must begin with a lowercase letter or a digit"
        }
        Some(_) if !name.chars().all(tail) => {
            "may hold only lowercase letters, digits, dashes, dots and underscores"
        }
        Some(_) if name.len() > 63 => "is too long",
        Some(_) => return Ok(()),
    };
    Err(Rejection::new(
        Code::InvalidName,
        format!("{kind} name {name:?} {problem}"),
    ))
}

pub(super) fn check_content(state: &State, issued: &Issued, force: bool) -> Result<(), Rejection> {
    let invalid = |what: String| Rejection::new(Code::InvalidValue, what);
    if issued.size() > LARGEST_CHAIN {
        let (size, most) = (issued.size(), LARGEST_CHAIN);
        return Err(invalid(format!(
            "the certificate and its chain have {size} bytes, allowed are {most}"
        )));
    }
    if issued.chain.is_empty() || issued.names.is_empty() {
        return Err(invalid("the certificate block names no host".to_owned()));
    }
    if force {
        return Ok(());
    }
    let now = state.now;
    let doubt = if issued.expires <= now {
        Some((
            "certificate",
            format!("expired {}", ago(issued.expires, now)),
        ))
    } else if issued.begins > now {
        let days = days_until(issued.begins, now);
        Some((
            "certificate",
            format!("is not valid before {days} days from now"),
        ))
    } else {
        let chain = issued.chain_expires.filter(|ends| *ends <= now);
        chain.map(|ends| {
            (
                "chain",
                format!("holds a certificate that expired {}", ago(ends, now)),
            )
        })
    };
    match doubt {
        None => Ok(()),
        Some((block, what)) => {
            Err(invalid(format!("the {block} block {what}")).hint("take it all the same: --force"))
        }
    }
}

fn ago(then: Time, now: Time) -> String {
    match -days_until(then, now) {
        0 => "today".to_owned(),
        1 => "a day ago".to_owned(),
        days => format!("{days} days ago"),
    }
}

pub(super) fn lasting(days: i64) -> String {
    match days {
        i64::MIN..0 => "it has ended".to_owned(),
        0 => "it ends today".to_owned(),
        1 => "it ends in a day".to_owned(),
        days => format!("it ends in {days} days"),
    }
}

/// Gives a certificate its content; every ingress is sent it. It comes from whoever brought it.
pub(super) fn put(state: &mut State, name: &Arc<str>, issued: Issued) {
    let created = state.certificates.get(name).map(|before| before.created);
    let certificate = Certificate {
        name: name.clone(),
        created: created.unwrap_or(state.now),
        uploaded: state.now,
        generation: changed(state),
        issued: Some(Arc::new(issued)),
        warned: None,
        managed: None,
    };
    state.certificates.insert(name.clone(), certificate);
}

/// A new generation of the route table, for what ingresses need for TLS.
pub(super) fn changed(state: &mut State) -> u64 {
    state.generation += 1;
    state.tls.generation = state.generation;
    state.generation
}

fn remove(state: &mut State, name: &str, actor: &Arc<str>) -> Result<Detail, Rejection> {
    if name == SELF_SIGNED {
        return Err(own_is_not_yours("be removed"));
    }
    known(state, name)?;
    let users: Vec<String> = state.served_by(name).map(|e| e.key.to_string()).collect();
    if let Some(first) = state.served_by(name).next() {
        let key = &first.key;
        let hint = format!(
            "give it another: fleet env cert {} {SELF_SIGNED} -a {}",
            key.name, key.app
        );
        return Err(Rejection::new(
            Code::InUse,
            format!("certificate {name} serves {}", users.join(", ")),
        )
        .hint(hint));
    }
    state.certificates.remove(name);
    changed(state);
    let sentence = format!("certificate {name} removed");
    state.record(Kind::Certificate, actor, None, name, sentence);
    Ok(Detail::Done)
}

fn known(state: &State, name: &str) -> Result<(), Rejection> {
    if state.certificates.contains_key(name) {
        return Ok(());
    }
    let names = state.certificates.keys().map(|name| &**name);
    Err(Rejection::unknown(
        Code::UnknownCertificate,
        "certificate",
        name,
        names,
    ))
}

pub(super) fn own_is_not_yours(what: &str) -> Rejection {
    Rejection::new(
        Code::InvalidName,
        format!("{SELF_SIGNED} is the cluster's own certificate and cannot {what}"),
    )
}

fn own(state: &mut State, domain: &str, issued: Issued, assumed: u64) -> Result<Detail, Rejection> {
    let before = state.certificates.get(SELF_SIGNED);
    let generation = before.map_or(0, |before| before.generation);
    if generation != assumed || state.cluster.domain != domain {
        return Err(Rejection::stale("the cluster's own certificate"));
    }
    put(state, &SELF_SIGNED.into(), issued);
    Ok(Detail::Done)
}

fn ticket(state: &mut State, sealed: Arc<[u8]>, assumed: u64) -> Result<Detail, Rejection> {
    let newest = state.tls.tickets.keys.last().map_or(0, |key| key.id);
    if newest != assumed {
        return Err(Rejection::stale("the keys of tickets"));
    }
    let key = TicketKey {
        id: state.index,
        sealed,
        made: state.now,
    };
    let keys = &mut state.tls.tickets.keys;
    keys.push(key);
    let surplus = keys.len().saturating_sub(TICKET_KEYS);
    keys.drain(..surplus);
    changed(state);
    Ok(Detail::Done)
}

fn warn(state: &mut State, name: &str, days: u32, assumed: u64) -> Result<Detail, Rejection> {
    let stale = || Rejection::stale(format_args!("certificate {name}"));
    let certificate = state.certificates.get_mut(name).ok_or_else(stale)?;
    let said = certificate.warned.is_some_and(|said| said <= days);
    let Some(issued) = certificate.issued.clone() else {
        return Err(stale());
    };
    if certificate.generation != assumed || said {
        return Err(stale());
    }
    certificate.warned = Some(days);
    let users: Vec<String> = state.served_by(name).map(|e| e.key.to_string()).collect();
    let left = lasting(days_until(issued.ends(), state.now));
    let sentence = match users.is_empty() {
        true => format!("certificate {name}: {left}; it serves no environment"),
        false => format!("certificate {name}: {left}; it serves {}", users.join(", ")),
    };
    state.record(Kind::Certificate, &itself(), None, name, sentence);
    Ok(Detail::Done)
}

/// In a restored cluster what the cluster made for itself is made again: its key may be sealed by a
/// cluster's key that nobody has any more. Certificates that were uploaded stay.
pub(super) fn begin_anew(state: &mut State) {
    acme::begin_anew(state);
    state.tls.tickets.keys.clear();
    let generation = changed(state);
    if let Some(own) = state.certificates.get_mut(SELF_SIGNED) {
        own.issued = None;
        own.generation = generation;
    }
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
    let sentence = format!("certificate {name}");
    settings::change(state, key, |settings| settings.certificate = name)?;
    state.reroute(key);
    state.record(
        Kind::Environment,
        actor,
        Some(key),
        key.name.as_str(),
        sentence,
    );
    Ok(Detail::Done)
}

fn redirect(
    state: &mut State,
    key: &EnvironmentKey,
    on: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    settings::change(state, key, |settings| settings.redirect = on)?;
    state.reroute(key);
    settings::switched(state, key, "redirection to HTTPS", on, actor)
}
