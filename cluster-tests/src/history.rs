//! What a load test saw: every request with its answer, and the figures that follow from it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One request and what came back.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// When it was due: an open-loop generator does not wait for answers.
    pub due: Instant,
    /// When it was sent, or a connection for it was begun: at or after `due`.
    pub sent: Instant,
    /// From the moment it was due to the last byte of the answer, or to the failure.
    pub took: Duration,
    pub ingress: SocketAddr,
    pub outcome: Outcome,
    /// The kept connection had been closed while idle, so it was sent again on a new one, as every
    /// HTTP client does (RFC 9112, 9.3.1).
    pub resent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Answered {
        status: u16,
        /// What the sample app says about itself.
        body: String,
    },
    /// No complete answer, and why.
    Broken(String),
}

impl Exchange {
    /// Whether a user would have been served.
    pub fn succeeded(&self) -> bool {
        matches!(
            &self.outcome,
            Outcome::Answered {
                status: 200..=399,
                ..
            }
        )
    }

    /// Why it failed, short enough to be counted by.
    pub fn failure(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Answered {
                status: 200..=399, ..
            } => None,
            Outcome::Answered { status, body } => {
                let first = body.lines().next().unwrap_or_default();
                Some(format!("status {status}: {first}"))
            }
            Outcome::Broken(cause) => Some(cause.clone()),
        }
    }

    pub fn ended(&self) -> Instant {
        self.due + self.took
    }

    /// The body of a successful answer.
    pub fn body(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Answered {
                status: 200..=399,
                body,
            } => Some(body),
            _ => None,
        }
    }
}

/// All exchanges, in the order in which they ended.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub exchanges: Vec<Exchange>,
}

impl History {
    pub fn sent(&self) -> usize {
        self.exchanges.len()
    }

    pub fn failed(&self) -> usize {
        self.exchanges
            .iter()
            .filter(|exchange| !exchange.succeeded())
            .count()
    }

    pub fn resent(&self) -> usize {
        self.exchanges
            .iter()
            .filter(|exchange| exchange.resent)
            .count()
    }

    /// Failures by cause and ingress, most frequent first.
    pub fn failures(&self) -> Vec<(String, usize)> {
        let mut causes: BTreeMap<String, usize> = BTreeMap::new();
        for exchange in &self.exchanges {
            if let Some(cause) = exchange.failure() {
                *causes
                    .entry(format!("{} {cause}", exchange.ingress))
                    .or_default() += 1;
            }
        }
        let mut causes: Vec<(String, usize)> = causes.into_iter().collect();
        causes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        causes
    }

    /// The latency below which `share` (0 to 1) of the answered requests stayed.
    pub fn percentile(&self, share: f64) -> Duration {
        let mut times: Vec<Duration> = self
            .exchanges
            .iter()
            .filter(|exchange| exchange.succeeded())
            .map(|exchange| exchange.took)
            .collect();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list that fits into memory"
        )]
        let index = (last as f64 * share).round() as usize;
        times.get(index).copied().unwrap_or_default()
    }

    /// How many answers each body was given.
    pub fn bodies(&self) -> BTreeMap<&str, usize> {
        let mut bodies = BTreeMap::new();
        for body in self.exchanges.iter().filter_map(Exchange::body) {
            *bodies.entry(body).or_default() += 1;
        }
        bodies
    }

    /// Exchanges that were due from one moment to another.
    pub fn between(&self, from: Instant, to: Instant) -> History {
        let due = |exchange: &&Exchange| (from..to).contains(&exchange.due);
        let exchanges = self.exchanges.iter().filter(due);
        History {
            exchanges: exchanges.cloned().collect(),
        }
    }

    /// Exchanges that were due at or after `moment`: nothing sent before can excuse them.
    pub fn since(&self, moment: Instant) -> History {
        let exchanges = self
            .exchanges
            .iter()
            .filter(|exchange| exchange.due >= moment);
        History {
            exchanges: exchanges.cloned().collect(),
        }
    }
}

impl std::fmt::Display for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} requests sent, {} failed; latency p50 {:.1?}, p99 {:.1?}, max {:.1?}; \
             {} sent again because an idle connection had been closed",
            self.sent(),
            self.failed(),
            self.percentile(0.5),
            self.percentile(0.99),
            self.percentile(1.0),
            self.resent(),
        )?;
        for (cause, count) in self.failures().into_iter().take(8) {
            write!(f, "\n  {count} x {cause}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(outcome: Outcome, millis: u64) -> Exchange {
        Exchange {
            due: Instant::now(),
            sent: Instant::now(),
            took: Duration::from_millis(millis),
            ingress: "127.0.0.1:1".parse().unwrap(),
            outcome,
            resent: false,
        }
    }

    #[test]
    fn figures_are_what_the_list_says() {
        let answered = |status| Outcome::Answered {
            status,
            body: "v1".to_owned(),
        };
        let mut exchanges: Vec<Exchange> =
            (1..=100).map(|ms| exchange(answered(200), ms)).collect();
        exchanges.push(exchange(answered(503), 5));
        exchanges.push(exchange(Outcome::Broken("reset".to_owned()), 5));
        let history = History { exchanges };
        assert_eq!((history.sent(), history.failed()), (102, 2));
        assert_eq!(history.percentile(0.5), Duration::from_millis(51));
        assert_eq!(history.percentile(1.0), Duration::from_millis(100));
        assert_eq!(history.bodies()["v1"], 100);
        let causes: Vec<String> = history
            .failures()
            .into_iter()
            .map(|(cause, _)| cause)
            .collect();
        assert_eq!(causes, ["127.0.0.1:1 reset", "127.0.0.1:1 status 503: v1"]);
    }
}
