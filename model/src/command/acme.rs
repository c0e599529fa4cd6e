//! Certificates that an authority gives: operators wish for them, the planner begins orders and lets
//! the authority look, the leader says what became of it.

use std::{collections::BTreeSet, sync::Arc};

use super::{Code, Detail, Rejection, certificate, itself};
use crate::{
    State, Time,
    acme::{
        Account, Answer, LARGEST_ROOTS, LONGEST_REST, MOST_ACCOUNTS, MOST_NAMES, Managed, Method,
        ORDERS_AT_ONCE, Order, Placed, WINDOW,
    },
    certificate::{Certificate, Issued, SELF_SIGNED},
    event::Kind,
    time::Millis,
};

/// A change of what is ordered from authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A certificate shall come from an authority from now on.
    Manage(NewManaged),
    /// From the leader: an account was made.
    Register {
        directory: Arc<str>,
        sealed: Arc<[u8]>,
        /// The revision of the account it was made for.
        assumed: u64,
    },
    /// From the planner: an order is due.
    Begin { name: Arc<str> },
    /// From the leader: the authority knows an order.
    Place {
        name: Arc<str>,
        order: u64,
        placed: NewPlaced,
    },
    /// From the planner: all ingresses have the answers, the authority may look.
    Open { name: Arc<str>, order: u64 },
    /// From the leader: the authority gave the certificate.
    Issue {
        name: Arc<str>,
        order: u64,
        issued: Issued,
    },
    /// From the leader or the planner: an order came to nothing.
    Fail(Failed),
}

/// A certificate that an authority shall give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewManaged {
    pub name: Arc<str>,
    pub directory: Arc<str>,
    /// For the account; `None`: as it is.
    pub email: Option<String>,
    /// For the account; `None`: as it is.
    pub roots: Option<Vec<Arc<[u8]>>>,
    /// None: the domains of the environments that have it.
    pub domains: BTreeSet<String>,
    pub method: Method,
    /// Of one that there is already; its content stays until the authority gives another.
    pub replace: bool,
}

/// An order as the authority took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPlaced {
    pub url: String,
    pub sealed_key: Arc<[u8]>,
    pub answers: Vec<Answer>,
}

/// An order that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub name: Arc<str>,
    pub order: u64,
    /// In the words of whoever says so.
    pub problem: String,
    /// The authority wants to hear nothing before.
    pub not_before: Option<Time>,
    /// It does not know the account: another is made for the next order.
    pub stranger: bool,
}

/// Bytes of a problem that are kept: an authority may write as much as it likes.
const LONGEST_PROBLEM: usize = 500;

/// Bytes of a token with its proof, and of an address: several times what authorities use.
const LONGEST_WORD: usize = 1_000;

pub(super) fn change(
    state: &mut State,
    change: Change,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    match change {
        Change::Manage(new) => manage(state, new, actor),
        Change::Register {
            directory,
            sealed,
            assumed,
        } => register(state, &directory, sealed, assumed),
        Change::Begin { name } => begin(state, &name),
        Change::Place {
            name,
            order,
            placed,
        } => place(state, &name, order, placed),
        Change::Open { name, order } => open(state, &name, order),
        Change::Issue {
            name,
            order,
            issued,
        } => issue(state, &name, order, issued),
        Change::Fail(failed) => fail(state, failed),
    }
}

fn manage(state: &mut State, new: NewManaged, actor: &Arc<str>) -> Result<Detail, Rejection> {
    certificate::check_name("certificate", &new.name)?;
    if *new.name == *SELF_SIGNED {
        return Err(certificate::own_is_not_yours("be replaced"));
    }
    check_wish(&new)?;
    certificate::check_place(state, &new.name, new.replace, "--acme --replace")?;
    let before = state.certificates.get(&new.name).cloned();
    let managed = Managed {
        directory: new.directory.clone(),
        domains: new.domains.clone(),
        method: new.method,
        failures: 0,
        problem: String::new(),
        not_before: Time::default(),
        order: None,
    };
    settle_account(state, &new)?;
    let answered = before.as_ref().is_some_and(is_answered);
    let certificate = Certificate {
        managed: Some(Arc::new(managed)),
        ..before.unwrap_or_else(|| Certificate {
            name: new.name.clone(),
            created: state.now,
            uploaded: state.now,
            generation: certificate::changed(state),
            issued: None,
            warned: None,
            managed: None,
        })
    };
    state.certificates.insert(new.name.clone(), certificate);
    if answered {
        certificate::changed(state);
    }
    let sentence = format!("certificate {} comes from {}", new.name, new.directory);
    state.record(Kind::Certificate, actor, None, &*new.name, sentence);
    Ok(Detail::Done)
}

/// Whether ingresses answer for an order of it.
fn is_answered(certificate: &Certificate) -> bool {
    let managed = certificate.managed.as_deref();
    let order = managed.and_then(|managed| managed.order.as_ref());
    order.is_some_and(|order| order.placed.is_some())
}

fn check_wish(new: &NewManaged) -> Result<(), Rejection> {
    let invalid = |what: String| Err(Rejection::new(Code::InvalidValue, what));
    let directory = &*new.directory;
    if !directory.starts_with("https://") || directory.len() > LONGEST_WORD {
        return invalid(format!(
            "the directory {directory:?} is no address of the form https://HOST/PATH"
        ));
    }
    if let Some(email) = new.email.as_deref().filter(|email| !email.is_empty()) {
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
        if !email.contains('@') || email.contains(odd) || email.len() > 254 {
            return invalid(format!("{email:?} is no address of a mailbox"));
        }
    }
    if new.domains.len() > MOST_NAMES {
        return invalid(format!("a certificate is for at most {MOST_NAMES} hosts"));
    }
    for domain in &new.domains {
        check_domain(domain)?;
    }
    let size: usize = new.roots.iter().flatten().map(|root| root.len()).sum();
    if size > LARGEST_ROOTS {
        return invalid(format!(
            "the directory's authorities have {size} bytes, allowed are {LARGEST_ROOTS}"
        ));
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<(), Rejection> {
    if domain.starts_with("*.") {
        return Err(Rejection::new(
            Code::InvalidValue,
            format!("{domain} is a wildcard, which an authority gives by the name service alone"),
        )
        .hint("name each host, or bring a certificate: fleet cert add NAME"));
    }
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fits = domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label);
    match fits {
        true => Ok(()),
        false => Err(Rejection::new(
            Code::InvalidValue,
            format!("{domain:?} is no name of a host"),
        )),
    }
}

/// The account of a directory, made or told anew. One that shall be another is registered again.
fn settle_account(state: &mut State, new: &NewManaged) -> Result<(), Rejection> {
    let before = state.accounts.get(&new.directory);
    if before.is_none() && state.accounts.len() >= MOST_ACCOUNTS {
        return Err(Rejection::new(
            Code::LimitReached,
            format!("there are accounts with {MOST_ACCOUNTS} authorities"),
        )
        .hint("use one of those: fleet cert list"));
    }
    let fresh = Account {
        directory: new.directory.clone(),
        email: String::new(),
        roots: Vec::new(),
        sealed: None,
        revision: 0,
        window: Time::default(),
        begun: 0,
    };
    let mut account = before.cloned().unwrap_or(fresh);
    if let Some(email) = new.email.clone().filter(|email| *email != account.email) {
        account.email = email;
        account.sealed = None;
    }
    if let Some(roots) = new.roots.clone() {
        account.roots = roots;
    }
    account.revision = state.index;
    state.accounts.insert(new.directory.clone(), account);
    Ok(())
}

fn register(
    state: &mut State,
    directory: &str,
    sealed: Arc<[u8]>,
    assumed: u64,
) -> Result<Detail, Rejection> {
    let stale = || Rejection::stale(format_args!("the account with {directory}"));
    let account = state.accounts.get_mut(directory).ok_or_else(stale)?;
    if account.revision != assumed || account.sealed.is_some() {
        return Err(stale());
    }
    account.sealed = Some(sealed);
    Ok(Detail::Done)
}

fn begin(state: &mut State, name: &Arc<str>) -> Result<Detail, Rejection> {
    let due = state
        .certificates
        .get(name)
        .and_then(|certificate| state.order_due(certificate));
    if due.is_none_or(|due| due > state.now) || state.orders().count() >= ORDERS_AT_ONCE {
        return Err(stale(name));
    }
    let (now, id) = (state.now, state.index);
    let managed = managed(state, name)?;
    let (directory, wish) = (managed.directory.clone(), managed.clone());
    let names = state.wanted_names(&wish, state.served_by(name));
    if let Some(account) = state.accounts.get_mut(&directory) {
        if now >= account.window.plus(WINDOW) {
            account.window = now;
            account.begun = 0;
        }
        account.begun += 1;
    }
    let managed = self::managed(state, name)?;
    managed.order = Some(Order {
        id,
        began: now,
        names,
        placed: None,
    });
    Ok(Detail::Done)
}

fn stale(name: &str) -> Rejection {
    Rejection::stale(format_args!("the order of certificate {name}"))
}

fn managed<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Managed, Rejection> {
    let certificate = state.certificates.get_mut(name);
    let managed = certificate.and_then(|certificate| certificate.managed.as_mut());
    managed.map(Arc::make_mut).ok_or_else(|| stale(name))
}

fn order<'a>(state: &'a mut State, name: &str, id: u64) -> Result<&'a mut Order, Rejection> {
    let order = managed(state, name)?.order.as_mut();
    order
        .filter(|order| order.id == id)
        .ok_or_else(|| stale(name))
}

fn place(state: &mut State, name: &str, id: u64, new: NewPlaced) -> Result<Detail, Rejection> {
    let NewPlaced {
        url,
        sealed_key,
        answers,
    } = new;
    let generation = state.generation + 1;
    let order = order(state, name, id)?;
    if order.placed.is_some() {
        return Err(stale(name));
    }
    let long = |answer: &Answer| answer.token.len() + answer.proof.len() > LONGEST_WORD;
    let odd = answers
        .iter()
        .any(|answer| !order.names.contains(&answer.host) || long(answer));
    if odd || answers.len() > MOST_NAMES || url.len() > LONGEST_WORD {
        return Err(Rejection::new(
            Code::InvalidValue,
            "the authority asks for what was not ordered",
        ));
    }
    order.placed = Some(Placed {
        url,
        sealed_key,
        answers,
        generation,
        open: false,
    });
    certificate::changed(state);
    Ok(Detail::Done)
}

fn open(state: &mut State, name: &str, id: u64) -> Result<Detail, Rejection> {
    let placed = order(state, name, id)?.placed.as_mut();
    let placed = placed
        .filter(|placed| !placed.open)
        .ok_or_else(|| stale(name))?;
    placed.open = true;
    Ok(Detail::Done)
}

fn issue(state: &mut State, name: &Arc<str>, id: u64, issued: Issued) -> Result<Detail, Rejection> {
    certificate::check_content(state, &issued, false)?;
    let order = order(state, name, id)?;
    if order.placed.as_ref().is_none_or(|placed| !placed.open) {
        return Err(stale(name));
    }
    if let Some(missing) = order.names.iter().find(|host| !issued.covers(host)) {
        return Err(Rejection::new(
            Code::InvalidValue,
            format!("the authority gave a certificate that is not for {missing}"),
        ));
    }
    let ended = Managed {
        failures: 0,
        problem: String::new(),
        not_before: Time::default(),
        order: None,
        ..managed(state, name)?.clone()
    };
    let first = certificate::has_no_content(state, name);
    let verb = if first { "issued" } else { "renewed" };
    let days = crate::certificate::days_until(issued.ends(), state.now);
    let sentence = format!("certificate {name} {verb}: {}", certificate::lasting(days));
    certificate::put(state, name, issued);
    *managed_of(state, name)? = Some(Arc::new(ended));
    if first {
        certificate::shown_at_last(state, name);
    }
    state.record(Kind::Certificate, &itself(), None, &**name, sentence);
    Ok(Detail::Done)
}

fn managed_of<'a>(
    state: &'a mut State,
    name: &str,
) -> Result<&'a mut Option<Arc<Managed>>, Rejection> {
    let certificate = state.certificates.get_mut(name);
    certificate
        .map(|certificate| &mut certificate.managed)
        .ok_or_else(|| stale(name))
}

fn fail(state: &mut State, failed: Failed) -> Result<Detail, Rejection> {
    let Failed {
        name,
        order: id,
        problem,
        not_before,
        stranger,
    } = failed;
    let now = state.now;
    let placed = order(state, &name, id)?.placed.is_some();
    let managed = managed(state, &name)?;
    managed.order = None;
    managed.failures = managed.failures.saturating_add(1);
    managed.problem = shortened(&problem);
    let asked = not_before.map_or(now, |at| at.min(now.plus(LONGEST_REST)));
    managed.not_before = Managed::rest(&name, managed.failures, now).max(asked);
    let rest = spoken(managed.not_before.since(now));
    let sentence = format!(
        "certificate {name} was not issued: {}; the next attempt is in {rest}",
        managed.problem
    );
    let directory = managed.directory.clone();
    if let Some(account) = state.accounts.get_mut(&directory).filter(|_| stranger) {
        account.sealed = None;
    }
    if placed {
        certificate::changed(state);
    }
    state.record(Kind::Certificate, &itself(), None, &*name, sentence);
    Ok(Detail::Done)
}

/// Rests last from minutes to days.
fn spoken(rest: Millis) -> String {
    match rest.0 / 60_000 {
        minutes @ 0..120 => format!("{minutes} min"),
        minutes => format!("{} h", minutes / 60),
    }
}

fn shortened(problem: &str) -> String {
    let end = problem.floor_char_boundary(LONGEST_PROBLEM);
    let kept = &problem[..end];
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    kept.chars().map(printable).collect()
}

/// In a restored cluster, accounts are made and orders begun anew: their keys may be sealed by a
/// cluster's key that nobody has any more.
pub(super) fn begin_anew(state: &mut State) {
    let directories: Vec<_> = state.accounts.keys().cloned().collect();
    for directory in directories {
        if let Some(account) = state.accounts.get_mut(&directory) {
            account.sealed = None;
        }
    }
    let names: Vec<_> = state.orders().map(|(one, _, _)| one.name.clone()).collect();
    for name in names {
        if let Ok(managed) = managed(state, &name) {
            managed.order = None;
        }
    }
}
