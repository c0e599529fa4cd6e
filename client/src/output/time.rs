//! Moments as the two predecessors print them.

use fleet_proto::v1::Instant;
use jiff::Timestamp;

/// `2015-06-09 01:50:25+00:00`, empty for no moment.
pub(crate) fn stamp(at: Option<&Instant>) -> String {
    format(at, "%Y-%m-%d %H:%M:%S+00:00")
}

/// `2019-01-01T00:00:49Z`, for lines of a log.
pub(crate) fn to_the_second(at: Option<&Instant>) -> String {
    format(at, "%Y-%m-%dT%H:%M:%SZ")
}

/// `2019-01-01T00:00:49.120Z`, for JSON.
pub(crate) fn rfc3339(at: Option<&Instant>) -> Option<String> {
    at.map(|at| format(Some(at), "%Y-%m-%dT%H:%M:%S%.3fZ"))
}

/// `5 minutes ago`, empty for no moment. The future is `now`: clocks differ.
pub(crate) fn ago(at: Option<&Instant>, now_ms: u64) -> String {
    let Some(at) = at else { return String::new() };
    let seconds = now_ms.saturating_sub(at.unix_ms) / 1_000;
    let (count, unit) = match seconds {
        0 => return "now".to_owned(),
        s if s < 60 => (s, "second"),
        s if s < 3_600 => (s / 60, "minute"),
        s if s < 86_400 => (s / 3_600, "hour"),
        s if s < 86_400 * 30 => (s / 86_400, "day"),
        s if s < 86_400 * 365 => (s / (86_400 * 30), "month"),
        s => (s / (86_400 * 365), "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}

/// `7s`, `1m12s`, `2h3m` from one moment to another; empty unless both are known.
pub(crate) fn elapsed(from: Option<&Instant>, to: Option<&Instant>) -> String {
    let (Some(from), Some(to)) = (from, to) else {
        return String::new();
    };
    let seconds = to.unix_ms.saturating_sub(from.unix_ms) / 1_000;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

fn format(at: Option<&Instant>, layout: &str) -> String {
    let millis = at.and_then(|at| i64::try_from(at.unix_ms).ok());
    let moment = millis.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(String::new, |moment| moment.strftime(layout).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_moments() {
        let at = Instant {
            unix_ms: 1_433_814_625_120,
        };
        assert_eq!(stamp(Some(&at)), "2015-06-09 01:50:25+00:00");
        assert_eq!(to_the_second(Some(&at)), "2015-06-09T01:50:25Z");
        assert_eq!(
            rfc3339(Some(&at)).as_deref(),
            Some("2015-06-09T01:50:25.120Z")
        );
        assert_eq!(stamp(None), "");
        assert_eq!(stamp(Some(&Instant { unix_ms: u64::MAX })), "");
    }

    #[test]
    fn measures_between() {
        let at = |seconds: u64| Instant {
            unix_ms: seconds * 1_000,
        };
        let took = |seconds: u64| elapsed(Some(&at(5)), Some(&at(5 + seconds)));
        assert_eq!(took(7), "7s");
        assert_eq!(took(72), "1m12s");
        assert_eq!(took(7_390), "2h3m");
        assert_eq!(elapsed(Some(&at(5)), Some(&at(4))), "0s");
        assert_eq!(elapsed(None, Some(&at(4))), "");
    }

    #[test]
    fn counts_back() {
        let at = |seconds: u64| ago(Some(&Instant { unix_ms: 0 }), seconds * 1_000);
        assert_eq!(at(0), "now");
        assert_eq!(at(1), "1 second ago");
        assert_eq!(at(119), "1 minute ago");
        assert_eq!(at(300), "5 minutes ago");
        assert_eq!(at(86_400 * 2), "2 days ago");
        assert_eq!(ago(Some(&Instant { unix_ms: 5_000 }), 0), "now");
    }
}
