//! The smuggling corpus, against this ingress and, where it is installed, against nginx.
//!
//! Every case is sent on a connection of its own, followed, once it is answered, by an innocent
//! request. The back end counts. Of this ingress it is demanded that the answer is one of those
//! the case calls right, that the back end sees the innocent request as it was sent, and that it
//! never sees a byte it could take for a request nobody sent.

mod case;
mod ledger;
mod nginx;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use self::case::{Afterwards, Answer, Case};
use self::ledger::{Book, Ledger};
use self::nginx::Nginx;
use super::raw::Raw;
use super::world::{HOST, PATIENCE, environment, world};
use fleet_proto::internal as wire;

/// What another proxy may take before it is called silent.
const OTHERS_PATIENCE: Duration = Duration::from_secs(3);

/// What came of one case.
struct Result {
    answer: Answer,
    book: Book,
}

impl Result {
    /// Why this is not right; None when it is.
    fn fault(&self, case: &Case) -> Option<String> {
        let hidden = |line: &&String| line.contains("/hidden");
        if let Some(line) = self.book.requests.iter().find(hidden) {
            return Some(format!("{line} was smuggled"));
        }
        if let Some(stray) = self.book.strays.first() {
            return Some(format!("the back end got {stray:?}"));
        }
        // The case's own and the innocent one after it.
        if self.book.requests.len() > 2 {
            return Some(format!("the back end saw {:?}", self.book.requests));
        }
        let right = case.is_right(self.answer);
        (!right).then(|| format!("answered {}, right is {:?}", self.answer, case.right))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_the_corpus_is_read_in_one_way_only() {
    let ledger = Ledger::start().await;
    let (_control, ingress) = world(table(ledger.address)).await;
    let behind_nginx = Ledger::start().await;
    let nginx = Nginx::before(behind_nginx.address);
    let cases = Case::all(HOST);
    let (mut faults, mut others) = (Vec::new(), 0);
    println!("{:<40} {:<7} {:<12} nginx", "case", "level", "fleet");
    for case in &cases {
        let ours = try_out(case, ingress.address, PATIENCE, &ledger).await;
        let fault = ours.fault(case);
        let beside = match &nginx {
            None => "-".to_owned(),
            Some(nginx) => {
                let theirs = try_out(case, nginx.address, OTHERS_PATIENCE, &behind_nginx).await;
                let fault = theirs.fault(case);
                others += usize::from(fault.is_some() && case.level == "must");
                format!("{:<12}{}", theirs.answer, marked(&fault))
            }
        };
        let line = format!("{:<12}{}", ours.answer, marked(&fault));
        println!("{:<40} {:<7} {line} {beside}", case.name, case.level);
        faults.extend(fault.map(|fault| format!("{}: {fault}", case.name)));
    }
    let must = cases.iter().filter(|case| case.level == "must").count();
    println!(
        "{} cases, {must} of them must; ours wrong: {}",
        cases.len(),
        faults.len()
    );
    match nginx {
        Some(_) => println!("nginx: {others} of the must wrong"),
        None => println!("nginx is not installed: nothing beside ours"),
    }
    assert!(cases.len() > 180 && must >= 100, "cases are missing");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn marked(fault: &Option<String>) -> &'static str {
    if fault.is_some() { " !" } else { "  " }
}

async fn try_out(case: &Case, to: SocketAddr, patience: Duration, ledger: &Ledger) -> Result {
    let mut client = Raw::connect(to).await;
    // The other side may have answered and closed before it has read everything.
    let _ = client.stream.write_all(&case.bytes).await;
    if case.ends {
        let _ = client.stream.shutdown().await;
    }
    let head = case.asks_for_head();
    let answer = match timeout(patience, client.final_response(head)).await {
        Err(_) => Answer::Silence,
        Ok(None) => Answer::None,
        Ok(Some(reply)) => Answer::Status(reply.status, afterwards(&mut client, patience).await),
    };
    // What comes later than this is held against the next case: nothing may come.
    Result {
        answer,
        book: ledger.take(),
    }
}

/// Whether an innocent request on the same connection is answered, and by its own answer.
async fn afterwards(client: &mut Raw, patience: Duration) -> Afterwards {
    let innocent = format!("GET /innocent HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let _ = client.stream.write_all(innocent.as_bytes()).await;
    match timeout(patience, client.final_response(false)).await {
        Ok(Some(_)) => Afterwards::Open,
        Ok(None) | Err(_) => Afterwards::Ended,
    }
}

fn table(backend: SocketAddr) -> wire::RouteTable {
    let pool = wire::ReleasePool {
        release: "R1".to_owned(),
        service: "www".to_owned(),
        backends: vec![wire::Backend {
            frontend_id: 1,
            address: backend.to_string(),
            ..wire::Backend::default()
        }],
        ..wire::ReleasePool::default()
    };
    wire::RouteTable {
        generation: 1,
        environments: vec![environment("prod", &[(HOST, "R1")], vec![pool])],
        tls: None,
    }
}
