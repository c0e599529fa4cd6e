//! What an ingress says of its work, held against what was done to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use fleet_metrics::{PATH, Series};
use fleet_proto::internal as wire;
use serde_json::Value;
use tokio::net::TcpStream;

use super::control::Control;
use super::frontend::Frontend;
use super::raw::Raw;
use super::world::{HOST, Ingress, PATIENCE, Setup, environment, pool, table};
use crate::config::AccessLines;

/// An ingress that says everything, and where.
pub(super) struct Told {
    pub(super) ingress: Ingress,
    setup: Setup,
    metrics: SocketAddr,
}

pub(super) type Figures = BTreeMap<String, Series>;

impl Told {
    pub(super) async fn start(table: wire::RouteTable) -> (Control, Self) {
        Self::writing_to(table, |_| {}).await
    }

    /// The same; the place of its access log is prepared first.
    async fn writing_to(table: wire::RouteTable, prepare: impl Fn(&Path)) -> (Control, Self) {
        let control = Control::start().await;
        let generation = table.generation;
        control.order_full(table);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = free.local_addr().unwrap();
        let mut setup = Setup::with(&[&control]);
        (setup.metrics, setup.access_log) = (Some(metrics), AccessLines::All);
        prepare(&setup.directory.path().join("access.log"));
        // Until now it was nobody else's; that somebody takes it in between is borne by trying again.
        drop(free);
        let ingress = setup.start();
        control.applied(generation).await;
        let told = Self {
            ingress,
            setup,
            metrics,
        };
        (control, told)
    }

    pub(super) async fn page(&self) -> String {
        let connected = async {
            loop {
                if let Ok(stream) = TcpStream::connect(self.metrics).await {
                    return drop(stream);
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, connected)
            .await
            .expect("a page");
        let mut client = Raw::connect(self.metrics).await;
        client.get("metrics", PATH).await;
        let reply = client.response().await;
        assert_eq!(
            reply.header("content-type"),
            Some(fleet_metrics::CONTENT_TYPE)
        );
        reply.text()
    }

    /// The figures, once they are as wanted: a request is counted when its end has been noticed, and
    /// its client may know before.
    pub(super) async fn figures(&self, wanted: impl Fn(&Figures) -> bool) -> Figures {
        let mut last = String::new();
        let looked = async {
            loop {
                last = self.page().await;
                let figures = fleet_metrics::read(&last).unwrap();
                if wanted(&figures) {
                    return figures;
                }
            }
        };
        let looked = tokio::time::timeout(PATIENCE, looked).await;
        looked.unwrap_or_else(|_| panic!("never as wanted:\n{last}"))
    }

    /// The figures once this many requests have ended.
    pub(super) async fn after(&self, requests: u32) -> Figures {
        self.figures(|figures| total(figures) >= f64::from(requests))
            .await
    }

    /// The lines of the access log, once there are so many.
    pub(super) async fn lines(&self, count: usize) -> Vec<Value> {
        let path = self.setup.directory.path().join("access.log");
        let read = async {
            loop {
                let text = tokio::fs::read_to_string(&path).await.unwrap_or_default();
                if text.lines().count() >= count && text.ends_with('\n') {
                    return text;
                }
                tokio::task::yield_now().await;
            }
        };
        let text = tokio::time::timeout(PATIENCE, read).await.expect("lines");
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }
}

pub(super) fn total(figures: &Figures) -> f64 {
    figures["fleet_ingress_requests_total"].sum(&[])
}

fn release<'a>(environment: &'a str, release: &'a str) -> [(&'a str, &'a str); 3] {
    [
        ("app", "shop"),
        ("environment", environment),
        ("release", release),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_counted_once_whatever_becomes_of_it() {
    let frontend = Frontend::start(1).await;
    let mut routes = table(1, &[&frontend]);
    let mut closed = environment("closed", &[("closed.test", "R7")], vec![pool("R7", &[])]);
    closed.maintenance = true;
    let mut empty = environment("empty", &[("empty.test", "R8")], vec![pool("R8", &[])]);
    empty.settings = Some(wire::RouteSettings {
        hold_ms: 1,
        response_timeout_ms: 0,
    });
    routes.environments.splice(0..0, [closed, empty]);
    let (_control, told) = Told::start(routes).await;
    let ingress = &told.ingress;

    // First, while no connection rests: else it would be tried on another one too.
    assert_eq!(ingress.get(HOST, "/break").await.0, 502);
    let mut client = ingress.connect().await;
    for _ in 0..3 {
        client.get(HOST, "/page?token=secret").await;
        assert_eq!(client.response().await.text(), "1");
    }
    let post = format!("POST /count HTTP/1.1\r\nHost: {HOST}\r\nX-Request-Id: mine\r\n");
    client
        .send(format!("{post}Content-Length: 5\r\n\r\nhello"))
        .await;
    assert_eq!(client.response().await.text(), "5 0");
    client
        .send(format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))
        .await;
    assert_eq!(client.final_response(true).await.unwrap().status, 200);
    assert_eq!(ingress.get("nobody.test", "/").await.0, 404);
    assert_eq!(ingress.get("closed.test", "/").await.0, 503);
    assert_eq!(ingress.get("empty.test", "/").await.0, 503);
    let mut leaver = ingress.connect().await;
    leaver.get(HOST, "/held").await;
    frontend.asked(7).await;
    drop(leaver);

    let figures = told.after(10).await;
    let requests = &figures["fleet_ingress_requests_total"];
    let by = |code| requests.sum(&[("code", code)]);
    assert_eq!(["2xx", "4xx", "5xx", "none"].map(by), [5.0, 1.0, 3.0, 1.0]);
    let of = |environment, name| {
        figures["fleet_release_requests_total"].sum(&release(environment, name))
    };
    assert_eq!(of("prod", "R1"), 7.0);
    assert_eq!((of("closed", "R7"), of("empty", "R8")), (1.0, 1.0));
    let page = |reason| figures["fleet_ingress_pages_total"].sum(&[("reason", reason)]);
    let reasons = [
        "unknown_host",
        "maintenance",
        "nobody_healthy",
        "bad_gateway",
        "timeout",
    ];
    assert_eq!(reasons.map(page), [1.0, 1.0, 1.0, 1.0, 0.0]);
    let time = &figures["fleet_release_request_duration_seconds"];
    let whole = time.samples.iter().filter(|s| s.name.ends_with("_count"));
    assert_eq!(
        whole.map(|sample| sample.value).sum::<f64>(),
        8.0,
        "one had no head"
    );
    let one = |name: &str| figures[name].sum(&[]);
    assert_eq!(one("fleet_release_received_bytes_total"), 5.0);
    // Three pages of one byte, an answer of three; pages of ours besides.
    assert_eq!(figures["fleet_release_sent_bytes_total"].samples.len(), 3);
    assert_eq!(one("fleet_ingress_requests_in_flight"), 0.0);
    assert_eq!(one("fleet_ingress_table_generation"), 1.0);
    assert_eq!(one("fleet_ingress_frontends"), 1.0);

    let lines = told.lines(10).await;
    assert_eq!(lines.len(), 10);
    let line = |what: &dyn Fn(&Value) -> bool| lines.iter().find(|line| what(line)).unwrap();
    let posted = line(&|line| line["method"] == "POST");
    assert_eq!(posted["request_id"], "mine");
    assert_eq!(
        (&posted["bytes_received"], &posted["bytes_sent"]),
        (&5.into(), &3.into())
    );
    let place = ["app", "environment", "release", "service"].map(|name| &posted[name]);
    assert_eq!(place, ["shop", "prod", "R1", "www"]);
    assert_eq!(
        (&posted["frontend"], &posted["client"]),
        (&1.into(), &"127.0.0.1".into())
    );
    assert_eq!(
        (&posted["protocol"], &posted["scheme"]),
        (&"HTTP/1.1".into(), &"http".into())
    );
    assert!(posted.get("aborted_by").is_none() && posted.get("tls").is_none());
    assert!(posted["duration_ms"].as_f64() >= posted["head_ms"].as_f64());
    let left = line(&|line| line["path"] == "/held");
    assert_eq!(
        (&left["status"], &left["aborted_by"]),
        (&0.into(), &"client".into())
    );
    let maintenance = line(&|line| line["reason"] == "maintenance");
    assert_eq!(
        (&maintenance["release"], &maintenance["host"]),
        (&"R7".into(), &"closed.test".into())
    );
    assert!(maintenance.get("frontend").is_none());
    let unknown = line(&|line| line["status"] == 404);
    assert!(unknown.get("app").is_none() && unknown.get("aborted_by").is_none());
    let head = line(&|line| line["method"] == "HEAD");
    assert!(head.get("aborted_by").is_none(), "{head}");
    assert!(
        lines
            .iter()
            .all(|line| !line.to_string().contains("secret"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_leaves_with_its_last_request_and_the_sums_keep_it() {
    let (old, new) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, told) = Told::start(table(1, &[&old])).await;
    for _ in 0..4 {
        assert_eq!(told.ingress.get(HOST, "/").await.1, "1");
    }
    let mut held = told.ingress.connect().await;
    held.get(HOST, "/held").await;
    old.asked(5).await;
    let mut next = table(2, &[]);
    let hosts = [(HOST, "R2")];
    next.environments = vec![environment("prod", &hosts, vec![pool("R2", &[&new])])];
    control.order_full(next);
    control.applied(2).await;
    for _ in 0..3 {
        assert_eq!(told.ingress.get(HOST, "/").await.1, "2");
    }
    let figures = told.after(7).await;
    let requests = |figures: &Figures, name| {
        figures["fleet_release_requests_total"].sum(&release("prod", name))
    };
    let in_flight = &figures["fleet_release_requests_in_flight"];
    assert_eq!(in_flight.sum(&release("prod", "R1")), 1.0);
    assert_eq!(
        (requests(&figures, "R1"), requests(&figures, "R2")),
        (4.0, 3.0)
    );

    old.release();
    assert_eq!(held.response().await.text(), "1");
    let left = |figures: &Figures| {
        let requests = &figures["fleet_release_requests_total"];
        let of_old = |sample: &fleet_metrics::Sample| sample.label("release") == Some("R1");
        total(figures) >= 8.0 && !requests.samples.iter().any(of_old)
    };
    let figures = told.figures(left).await;
    assert_eq!(total(&figures), 8.0);
    assert_eq!(requests(&figures, "R2"), 3.0);
    let releases: Vec<_> = told.lines(8).await;
    let releases = releases
        .iter()
        .map(|line| line["release"].as_str().unwrap().to_owned());
    let releases: Vec<_> = releases.collect();
    assert_eq!(releases, ["R1", "R1", "R1", "R1", "R2", "R2", "R2", "R1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_two_releases_share_a_host_each_has_its_own() {
    let (one, two) = (Frontend::start(1).await, Frontend::start(2).await);
    let pools = vec![
        pool("", &[&one, &two]),
        pool("R1", &[&one]),
        pool("R2", &[&two]),
    ];
    let mut shared = environment("prod", &[(HOST, "")], pools);
    "R1".clone_into(&mut shared.active_release);
    let routes = wire::RouteTable {
        environments: vec![shared],
        ..table(1, &[])
    };
    let (_control, told) = Told::start(routes).await;
    let mut answered = BTreeMap::<String, f64>::new();
    for _ in 0..60 {
        let (_, by) = told.ingress.get(HOST, "/").await;
        *answered.entry(by).or_default() += 1.0;
    }
    let figures = told.after(60).await;
    let of = |name| figures["fleet_release_requests_total"].sum(&release("prod", name));
    assert_eq!([of("R1"), of("R2")], [answered["1"], answered["2"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_and_upgrades_are_told() {
    let (mut dead, alive) = (Frontend::start(1).await, Frontend::start(2).await);
    dead.kill().await;
    let (_control, told) = Told::start(table(1, &[&dead, &alive])).await;
    for _ in 0..20 {
        assert_eq!(told.ingress.get(HOST, "/").await.1, "2");
    }
    let mut client = told.ingress.connect().await;
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    client
        .send(format!(
            "GET /upgrade HTTP/1.1\r\nHost: {HOST}\r\n{upgrade}"
        ))
        .await;
    assert_eq!(client.response().await.status, 101);
    client.send("hello").await;
    assert_eq!(client.exactly(5).await, b"hello");
    let figures = told.after(20).await;
    assert_eq!(figures["fleet_ingress_requests_in_flight"].sum(&[]), 1.0);
    drop(client);
    let figures = told.after(21).await;
    let one = |name: &str| figures[name].sum(&[]);
    assert_eq!(
        figures["fleet_ingress_requests_total"].sum(&[("code", "1xx")]),
        1.0
    );
    assert!(one("fleet_ingress_retries_total") >= 3.0);
    assert_eq!(
        one("fleet_ingress_resends_total"),
        0.0,
        "nothing was sent to it"
    );
    assert!(one("fleet_ingress_ejections_total") >= 1.0);
    let lines = told.lines(21).await;
    let switched = lines.iter().find(|line| line["status"] == 101).unwrap();
    let bytes = (&switched["bytes_received"], &switched["bytes_sent"]);
    assert_eq!(bytes, (&5.into(), &5.into()));
    let retries: u64 = lines
        .iter()
        .map(|line| line["retries"].as_u64().unwrap())
        .sum();
    assert_eq!(retries as f64, one("fleet_ingress_retries_total"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_costs_lines_and_no_request() {
    let frontend = Frontend::start(1).await;
    let full = |path: &Path| std::os::unix::fs::symlink("/dev/full", path).unwrap();
    let (_control, told) = Told::writing_to(table(1, &[&frontend]), full).await;
    for _ in 0..50 {
        assert_eq!(told.ingress.get(HOST, "/").await.0, 200);
    }
    let lost = |figures: &Figures| {
        let lines = &figures["fleet_ingress_access_log_lines_total"];
        let [lost, written] = ["lost", "written"].map(|how| lines.sum(&[("result", how)]));
        assert_eq!(written, 0.0);
        lost == 50.0
    };
    told.figures(lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_up_neither_requests_nor_the_end() {
    let frontend = Frontend::start(1).await;
    let pipe = |path: &Path| {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    };
    let (_control, told) = Told::writing_to(table(1, &[&frontend]), pipe).await;
    for _ in 0..50 {
        assert_eq!(told.ingress.get(HOST, "/").await.0, 200);
    }
    told.after(50).await;
    let Told {
        mut ingress, setup, ..
    } = told;
    ingress.stop();
    assert_eq!(ingress.stopped().await.cut, 0);
    // Lets the thread that waits for a reader go.
    let path = setup.directory.path().join("access.log");
    drop(std::fs::File::open(path).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_what_the_documentation_says_and_collectors_read() {
    let frontend = Frontend::start(1).await;
    let (_control, told) = Told::start(table(1, &[&frontend])).await;
    assert_eq!(told.ingress.get(HOST, "/").await.0, 200);
    assert_eq!(told.ingress.get(HOST, "/break").await.0, 502);
    told.after(2).await;
    let page = told.page().await;
    let shown = fleet_metrics::read(&page).unwrap();
    let shown: BTreeSet<String> = shown
        .iter()
        .map(|(name, series)| row(name, series))
        .collect();
    let text = include_str!("../../../docs/ingress.md");
    let section = text.split("### Metrics").nth(1).unwrap();
    let section = section.split("\n###").next().unwrap();
    let rows = section.lines().filter(|row| row.starts_with("| `"));
    let documented: BTreeSet<String> = rows
        .map(|row| row.rsplitn(2, " | ").last().unwrap().to_owned())
        .collect();
    assert_eq!(documented, shown);
    for reason in crate::pages::NAMES {
        assert!(section.contains(&format!("`{reason}`")), "{reason}");
    }
    check_with_promtool(&page);
}

/// A family as its row in the documentation begins.
fn row(name: &str, series: &Series) -> String {
    let sample = series.samples.first().expect("a series of every family");
    let labels = sample.labels.iter().map(|(name, _)| name.as_str());
    let labels: Vec<_> = labels.filter(|name| *name != "le").collect();
    let labels = match labels.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", labels.join(",")),
    };
    format!("| `{name}{labels}` | {}", series.kind)
}

/// Prometheus's own opinion, where it is installed.
fn check_with_promtool(page: &str) {
    let check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut check) = check else {
        eprintln!("promtool is not installed (package prometheus): our own reader must do");
        return;
    };
    check
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
