//! The page of figures. docs/ingress.md explains each family; a test holds the two together.
//!
//! `fleet_ingress_*` are of this process and only grow until it ends. `fleet_release_*` are of the
//! releases that the table or a request knows, of those alone that were asked for anything; their
//! labels are names out of the table, never out of a request, so nobody outside can add one.

use fleet_metrics::{Family, Kind, Page, Process, Samples};

use super::Observer;
use super::tally::{BOUNDS, Names, Sum};
use crate::routes::{Observed, Release};

/// What is told.
struct View<'a> {
    observer: &'a Observer,
    seen: &'a Observed,
    total: Sum,
    /// Client connections open now.
    connections: usize,
}

type Write = fn(&mut Samples<'_>, &View<'_>);

const NONE: &[&str] = &[];
const RELEASE: &[&str] = &["app", "environment", "release"];

/// The page as of now.
pub(crate) fn page(
    observer: &Observer,
    process: &Process,
    seen: &Observed,
    connections: usize,
) -> String {
    let mut total = seen.former.clone();
    total.add(&observer.unrouted.sum().unwrap_or_default());
    for release in &seen.releases {
        total.add(&release.sum);
    }
    let view = View {
        observer,
        seen,
        total,
        connections,
    };
    let mut page = Page::new();
    for (family, write) in INGRESS.iter().chain(&RELEASES) {
        write(&mut page.family(family), &view);
    }
    process.write(&mut page);
    page.into_text()
}

const INGRESS: [(Family, Write); 21] = [
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_requests_total",
            &["code"],
            "requests that have ended, by class of their status; none: the client left before",
        ),
        |to, view| each(to, &[], view.total.requests()),
    ),
    (
        Family::new(
            Kind::Gauge,
            "fleet_ingress_requests_in_flight",
            NONE,
            "requests that frontends are busy with, and upgraded connections",
        ),
        |to, view| one(to, view.seen.in_flight),
    ),
    (
        Family::new(
            Kind::Gauge,
            "fleet_ingress_requests_held",
            NONE,
            "requests that wait for a table that can serve them",
        ),
        |to, view| one(to, view.seen.held),
    ),
    (
        Family::new(
            Kind::Histogram,
            "fleet_ingress_request_duration_seconds",
            NONE,
            "time from a request to the head of its response",
        ),
        |to, view| latency(to, &[], &view.total),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_received_bytes_total",
            NONE,
            "bytes of requests' bodies, and of clients through upgraded connections",
        ),
        |to, view| one(to, view.total.received()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_sent_bytes_total",
            NONE,
            "bytes of responses' bodies, and to clients through upgraded connections",
        ),
        |to, view| one(to, view.total.sent()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_retries_total",
            NONE,
            "attempts after one that failed",
        ),
        |to, view| one(to, view.total.retries()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_resends_total",
            NONE,
            "retries of what a frontend may have seen before",
        ),
        |to, view| one(to, view.total.resends()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_ejections_total",
            NONE,
            "times that a frontend that kept failing was left alone",
        ),
        |to, view| one(to, view.total.ejections()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_pages_total",
            &["reason"],
            "answers by the ingress itself",
        ),
        |to, view| each(to, &[], view.total.pages()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_connections_total",
            NONE,
            "client connections accepted",
        ),
        |to, view| one(to, view.observer.figures.accepted.get()),
    ),
    (
        Family::new(
            Kind::Gauge,
            "fleet_ingress_connections_open",
            NONE,
            "client connections open",
        ),
        |to, view| one(to, view.connections as u64),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_connections_refused_total",
            NONE,
            "connections closed for want of the PROXY header that they had to begin with",
        ),
        |to, view| one(to, view.observer.figures.refused.get()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_connections_malformed_total",
            NONE,
            "connections closed over what is no HTTP, or ambiguous",
        ),
        |to, view| one(to, view.observer.figures.malformed.get()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_accept_errors_total",
            NONE,
            "times that no connection could be accepted for want of descriptors or memory",
        ),
        |to, view| one(to, view.observer.figures.not_accepted.get()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_tls_handshakes_total",
            &["result"],
            "TLS handshakes: full, resumed by a ticket, failed",
        ),
        |to, view| each(to, &[], view.observer.figures.handshakes()),
    ),
    (
        Family::new(
            Kind::Gauge,
            "fleet_ingress_table_generation",
            NONE,
            "generation of the route table in use; 0: there was none yet",
        ),
        |to, view| one(to, view.seen.generation),
    ),
    (
        Family::new(
            Kind::Gauge,
            "fleet_ingress_table_age_seconds",
            NONE,
            "how long ago that table was put to use",
        ),
        |to, view| {
            if let Some(age) = view.seen.table_age {
                to.add(&[], age.as_secs_f64());
            }
        },
    ),
    (
        Family::new(
            Kind::Gauge,
            "fleet_ingress_frontends",
            NONE,
            "frontends that the table names",
        ),
        |to, view| one(to, view.seen.frontends),
    ),
    (
        Family::new(
            Kind::Gauge,
            "fleet_ingress_frontends_ejected",
            NONE,
            "frontends that are left alone for a while, for they kept failing",
        ),
        |to, view| one(to, view.seen.ejected),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_ingress_access_log_lines_total",
            &["result"],
            "lines of the access log, written or lost",
        ),
        |to, view| {
            if let Some(log) = &view.observer.log {
                to.add(&["written"], log.written())
                    .add(&["lost"], log.lost());
            }
        },
    ),
];

const RELEASES: [(Family, Write); 9] = [
    (
        Family::new(
            Kind::Counter,
            "fleet_release_requests_total",
            &["app", "environment", "release", "code"],
            "requests that have ended, by class of their status",
        ),
        |to, view| {
            for release in &view.seen.releases {
                each(to, &labels(release), release.sum.requests());
            }
        },
    ),
    (
        Family::new(
            Kind::Gauge,
            "fleet_release_requests_in_flight",
            RELEASE,
            "requests that frontends of the release are busy with",
        ),
        |to, view| whole(to, view, |release| release.in_flight),
    ),
    (
        Family::new(
            Kind::Histogram,
            "fleet_release_request_duration_seconds",
            RELEASE,
            "time from a request to the head of its response",
        ),
        |to, view| {
            for release in &view.seen.releases {
                latency(to, &labels(release), &release.sum);
            }
        },
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_release_received_bytes_total",
            RELEASE,
            "bytes of requests' bodies, and of clients through upgraded connections",
        ),
        |to, view| whole(to, view, |release| release.sum.received()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_release_sent_bytes_total",
            RELEASE,
            "bytes of responses' bodies, and to clients through upgraded connections",
        ),
        |to, view| whole(to, view, |release| release.sum.sent()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_release_retries_total",
            RELEASE,
            "attempts after one that failed",
        ),
        |to, view| whole(to, view, |release| release.sum.retries()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_release_resends_total",
            RELEASE,
            "retries of what a frontend may have seen before",
        ),
        |to, view| whole(to, view, |release| release.sum.resends()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_release_ejections_total",
            RELEASE,
            "times that a frontend that kept failing was left alone",
        ),
        |to, view| whole(to, view, |release| release.sum.ejections()),
    ),
    (
        Family::new(
            Kind::Counter,
            "fleet_release_pages_total",
            &["app", "environment", "release", "reason"],
            "answers by the ingress itself",
        ),
        |to, view| {
            for release in &view.seen.releases {
                let pages = release.sum.pages().filter(|(_, count)| *count != 0);
                each(to, &labels(release), pages);
            }
        },
    ),
];

fn one(to: &mut Samples<'_>, value: u64) {
    to.add(&[], value);
}

/// A series for each value of the last label.
fn each(to: &mut Samples<'_>, names: &[&str], counts: impl Iterator<Item = (&'static str, u64)>) {
    for (last, count) in counts {
        to.add(&[names, &[last]].concat(), count);
    }
}

fn latency(to: &mut Samples<'_>, names: &[&str], sum: &Sum) {
    to.histogram(names, &BOUNDS, sum.latency(), sum.latency_seconds());
}

/// A series for each release.
fn whole(to: &mut Samples<'_>, view: &View<'_>, value: fn(&Release) -> u64) {
    for release in &view.seen.releases {
        to.add(&labels(release), value(release));
    }
}

fn labels(release: &Release) -> [&str; 3] {
    let Names {
        app,
        environment,
        release,
    } = &release.names;
    [app, environment, release]
}
