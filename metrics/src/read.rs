//! Reads a page, strictly: for tests, which must notice what a lenient collector would swallow.

use std::collections::{BTreeMap, BTreeSet};

/// A family as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub kind: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Of a histogram with `_bucket`, `_sum` or `_count`; else that of its family.
    pub name: String,
    /// In the order of the page.
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

/// Why a page is none.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ReadError {
    line: usize,
    what: String,
}

/// The families of a page by their names.
///
/// # Errors
/// For whatever the format does not allow, and beyond it: a family that comes twice, a series of a
/// family that was not announced, a series that comes twice, buckets that shrink.
pub fn read(page: &str) -> Result<BTreeMap<String, Series>, ReadError> {
    let mut all: BTreeMap<String, Series> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    if !page.is_empty() && !page.ends_with('\n') {
        let (line, what) = (
            page.lines().count(),
            "the last line does not end".to_owned(),
        );
        return Err(ReadError { line, what });
    }
    for (index, line) in page.lines().enumerate() {
        let failed = |what: &str| ReadError {
            line: index + 1,
            what: format!("{what}: {line}"),
        };
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or_else(|| failed("no help"))?;
            let series = Series {
                help: unescaped(help),
                ..Series::default()
            };
            if all.insert(name.to_owned(), series).is_some() {
                return Err(failed("a family comes twice"));
            }
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| failed("no type"))?;
            let kinds = ["counter", "gauge", "histogram"];
            let series = all.get_mut(name).filter(|_| name == current);
            let series = series.ok_or_else(|| failed("a type without its help"))?;
            if !series.kind.is_empty() || !kinds.contains(&kind) {
                return Err(failed("not a type"));
            }
            kind.clone_into(&mut series.kind);
        } else {
            let sample = sample(line).ok_or_else(|| failed("not a sample"))?;
            if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(failed("a series comes twice"));
            }
            let series = all.get_mut(&current).filter(|s| s.takes(&current, &sample));
            let series = series.ok_or_else(|| failed("not of the family announced"))?;
            series.samples.push(sample);
        }
    }
    Ok(all)
}

impl Series {
    /// The sum of all series with these labels.
    pub fn sum(&self, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            let mut labels = labels.iter();
            labels.all(|(name, value)| sample.label(name) == Some(value))
        };
        self.samples.iter().filter(fits).map(|s| s.value).sum()
    }

    fn takes(&self, family: &str, sample: &Sample) -> bool {
        let suffix = sample.name.strip_prefix(family);
        match self.kind.as_str() {
            "histogram" => match suffix {
                Some("_bucket") => sample.label("le").is_some() && self.grows(sample),
                Some("_sum" | "_count") => true,
                _ => false,
            },
            "counter" | "gauge" => suffix == Some(""),
            _ => false,
        }
    }

    /// Whether a bucket holds at least what the one before it does.
    fn grows(&self, bucket: &Sample) -> bool {
        let others = |sample: &Sample| {
            let labels = sample.labels.iter().filter(|(name, _)| name != "le");
            labels.cloned().collect::<Vec<_>>()
        };
        let before = self
            .samples
            .last()
            .filter(|before| before.name == bucket.name && others(before) == others(bucket));
        before.is_none_or(|before| before.value <= bucket.value)
    }
}

impl Sample {
    pub fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        let found = labels.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let end = end_of_value(after)?;
            labels.push((label.to_owned(), unescaped(&after[..end])));
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = match rest.strip_prefix(' ')? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        value => value.parse().ok()?,
    };
    let good = is_name(name) && labels.iter().all(|(name, _)| is_name(name));
    good.then(|| Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.is_empty() && text.chars().all(legal) && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Where the quote is that ends a value.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices()
        .find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        })
        .map(|(index, _)| index)
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c) => out.push(c),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_page_is_refused() {
        let head = "# HELP a_total what\n# TYPE a_total counter\n";
        let buckets = "# HELP h what\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\n";
        let table = [
            ("a_total 1\n".to_owned(), "family announced"),
            (format!("{head}b_total 1\n"), "family announced"),
            (format!("{head}a_total 1\na_total 1\n"), "comes twice"),
            (format!("{head}{head}"), "comes twice"),
            (format!("{head}a_total{{x=1}} 1\n"), "not a sample"),
            (format!("{head}a_total{{x=\"1\"}}\n"), "not a sample"),
            (format!("{head}a_total one\n"), "not a sample"),
            (format!("{head}a_total 1"), "does not end"),
            ("# TYPE a_total counter\n".to_owned(), "without its help"),
            (
                format!("{buckets}h_bucket{{le=\"2\"}} 1\n"),
                "family announced",
            ),
        ];
        for (page, expected) in table {
            let error = read(&page).unwrap_err().to_string();
            assert!(error.contains(expected), "{page}: {error}");
        }
        let good = format!("{buckets}h_bucket{{le=\"+Inf\"}} 2\nh_sum 1\nh_count 2\n");
        assert_eq!(read(&good).unwrap()["h"].samples.len(), 4);
    }
}
