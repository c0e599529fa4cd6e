//! What a surge of load did to a count, second by second, as bars.

use std::time::{Duration, Instant};

use fleet_client::sparkline;

use crate::history::History;
use crate::scaling::Count;

/// Load and count over some seconds.
#[derive(Debug, Default, PartialEq)]
pub struct Surge {
    /// Requests that were due in each second.
    pub load: Vec<usize>,
    /// The most frontends that were healthy in each second; `None` where nobody looked.
    pub count: Vec<Option<u32>>,
}

impl Surge {
    /// Every whole second from `began` to `ended`: the last one would show a part.
    pub fn between(began: Instant, ended: Instant, history: &History, seen: &[Count]) -> Surge {
        let seconds = ended.duration_since(began).as_secs();
        let mut surge = Surge::default();
        for second in 0..seconds {
            let from = began + Duration::from_secs(second);
            let to = from + Duration::from_secs(1);
            let due = history.exchanges.iter().map(|exchange| exchange.due);
            let load = due.filter(|due| (from..to).contains(due)).count();
            let healthy = seen.iter().filter(|count| (from..to).contains(&count.at));
            surge.load.push(load);
            surge.count.push(healthy.map(|count| count.healthy).max());
        }
        surge
    }

    /// Two lines of one bar a second, each from nothing to its most.
    pub fn lines(&self) -> [String; 2] {
        let load = self.load.iter().map(|load| Some(as_number(*load)));
        let count = self.count.iter().map(|count| count.map(f64::from));
        let line = |name: &str, values: Vec<Option<f64>>, unit: &str| {
            let most = values.iter().flatten().copied().fold(0.0, f64::max);
            format!(
                "{name:<5}  {}  0 to {most} {unit}",
                sparkline(&values, most)
            )
        };
        [
            line("load", load.collect(), "requests a second"),
            line("count", count.collect(), "healthy frontends"),
        ]
    }
}

/// A second has far fewer requests than a float has whole numbers.
fn as_number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Exchange, Outcome};

    #[test]
    fn each_second_has_its_bar() {
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let exchange = |ms: u64| Exchange {
            due: at(ms),
            sent: at(ms),
            took: Duration::from_secs(2),
            ingress: ([127, 0, 0, 1], 80).into(),
            outcome: Outcome::Broken("gone".to_owned()),
            resent: false,
        };
        let exchanges = [0, 500, 1000, 1200, 1400, 1999, 3100];
        let history = History {
            exchanges: exchanges.map(exchange).to_vec(),
        };
        let count = |ms: u64, healthy: u32| Count {
            at: at(ms),
            desired: 9,
            healthy,
            rolling: false,
        };
        let seen = [count(100, 2), count(1100, 2), count(1900, 4)];
        let surge = Surge::between(began, at(3400), &history, &seen);
        assert_eq!(surge.load, [2, 4, 0]);
        assert_eq!(surge.count, [Some(2), Some(4), None]);
        assert_eq!(
            surge.lines(),
            [
                "load   ▅█▁  0 to 4 requests a second",
                "count  ▅█   0 to 4 healthy frontends"
            ]
        );
    }
}
