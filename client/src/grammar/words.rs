//! The fixed word lists, and the shapes that keep names and references apart.

/// Verbs of variables: `env VERB` means `vars VERB`.
pub(super) const VARIABLE_VERBS: &[Verb] = &[
    Verb::now("get", 1, Some(1), "env get NAME"),
    Verb::now("set", 0, None, "env set NAME=VALUE..."),
    Verb::now("unset", 1, None, "env unset NAME..."),
    Verb::now("edit", 0, Some(0), "env edit"),
    Verb::now("mask", 0, None, "env mask [set|unset NAME...]"),
];

/// Verbs of environments: `env VERB` means `envs VERB`.
pub(super) const ENVIRONMENT_VERBS: &[Verb] = &[
    Verb::now("list", 0, Some(0), "env list"),
    Verb::now("create", 1, Some(1), "env create ENV"),
    Verb::now("destroy", 1, Some(1), "env destroy ENV"),
    DESCRIBE,
    Verb::now("load", 2, Some(2), "env load ENV RELEASE"),
    Verb::now("activate", 2, Some(2), "env activate ENV RELEASE"),
    Verb::now("deactivate", 1, Some(1), "env deactivate ENV"),
    Verb::now("unload", 2, Some(2), "env unload ENV RELEASE"),
    Verb::now("cancel", 1, Some(1), "env cancel ENV"),
    Verb::now("recycling", 2, Some(2), "env recycling ENV ON|OFF"),
    Verb::now("healthcheck", 2, Some(2), "env recycling ENV ON|OFF").meaning("recycling"),
    Verb::now("guard", 2, Some(2), "env guard ENV SECONDS"),
    Verb::now("maintenance", 2, Some(2), "env maintenance ENV ON|OFF"),
    Verb::now("protected", 2, Some(2), "env protected ENV ON|OFF"),
    Verb::now(
        "autoscaling",
        0,
        None,
        "env autoscaling limits|desired|thresholds|rates|grace-period|policy|targets|cooldown|\
         describe ENV ...",
    )
    .with(AUTOSCALING_VERBS),
    Verb::now("cert", 2, Some(2), "env cert ENV CERT"),
    Verb::now("redirect", 2, Some(2), "env redirect ENV ON|OFF"),
    Verb::now("whitelist", 2, Some(2), "env whitelist ENV WHITELIST"),
    Verb::now(
        "limits",
        1,
        Some(1),
        "env limits ENV [--in-flight N] [--rate N[,BURST]] [--address-in-flight N] \
         [--address-rate N[,BURST]]",
    ),
    Verb::later("workers"),
    Verb::later("cache").with(&[Verb::later("flush")]),
    Verb::later("varnish"),
    Verb::later("nfs"),
    Verb::later("solr"),
    Verb::later("newrelic"),
    Verb::later("sectionio"),
    // Reserved, so that later versions may use them without taking a name from anybody.
    Verb::later("rename"),
    Verb::later("clone"),
    Verb::later("promote"),
    Verb::later("rollback"),
    Verb::later("lock"),
    Verb::later("unlock"),
    Verb::later("export"),
    Verb::later("import"),
    Verb::later("wait"),
];

/// What follows `env autoscaling`.
pub(super) const AUTOSCALING_VERBS: &[Verb] = &[
    Verb::now("limits", 3, Some(3), "env autoscaling limits ENV MIN MAX"),
    Verb::now(
        "desired",
        2,
        Some(3),
        "env autoscaling desired ENV [RELEASE] COUNT",
    ),
    Verb::now(
        "thresholds",
        3,
        Some(3),
        "env autoscaling thresholds ENV DOWN UP",
    ),
    Verb::now("rates", 3, Some(3), "env autoscaling rates ENV REMOVE ADD"),
    Verb::now(
        "grace-period",
        2,
        Some(2),
        "env autoscaling grace-period ENV SECONDS",
    ),
    Verb::now(
        "policy",
        2,
        Some(2),
        "env autoscaling policy ENV step|target",
    ),
    Verb::now(
        "targets",
        1,
        Some(1),
        "env autoscaling targets ENV [--cpu N] [--memory N] [--rps N] [--concurrency N]",
    ),
    Verb::now(
        "cooldown",
        2,
        Some(2),
        "env autoscaling cooldown ENV SECONDS",
    ),
    Verb::now(
        "describe",
        1,
        Some(2),
        "env autoscaling describe ENV [RELEASE]",
    ),
];

/// What a bare name means.
pub(super) const DESCRIBE: Verb = Verb::now("describe", 1, Some(1), "env describe ENV");

/// Words that are no verbs and yet cannot name an environment: they would read as a release.
const RESERVED_NAMES: &[&str] = &["active", "previous", "none", "all", "help"];

/// One verb: its word, how many positionals follow, and whether this version has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verb {
    pub(super) word: &'static str,
    /// The canonical word, where several mean the same.
    pub(super) canonical: &'static str,
    pub(super) fewest: usize,
    /// `None`: any number.
    pub(super) most: Option<usize>,
    pub(super) usage: &'static str,
    pub(super) ready: bool,
    /// Second words; the verb is one unit with the second word.
    pub(super) seconds: &'static [Verb],
}

impl Verb {
    pub(super) const fn now(
        word: &'static str,
        fewest: usize,
        most: Option<usize>,
        usage: &'static str,
    ) -> Self {
        Self {
            word,
            canonical: word,
            fewest,
            most,
            usage,
            ready: true,
            seconds: &[],
        }
    }

    pub(super) const fn later(word: &'static str) -> Self {
        Self {
            word,
            canonical: word,
            fewest: 0,
            most: None,
            usage: "",
            ready: false,
            seconds: &[],
        }
    }

    const fn meaning(mut self, canonical: &'static str) -> Self {
        self.canonical = canonical;
        self
    }

    const fn with(mut self, seconds: &'static [Self]) -> Self {
        self.seconds = seconds;
        self
    }
}

/// Finds a verb by its word.
pub(super) fn find<'a>(verbs: &'a [Verb], word: &str) -> Option<&'a Verb> {
    verbs.iter().find(|verb| verb.word == word)
}

/// Whether an environment may be created under this name: `[a-z][a-z0-9-]{0,30}`, no word of the
/// grammar, and nothing that could be a git name.
#[must_use]
pub fn is_environment_name(word: &str) -> bool {
    has_name_shape(word)
        && find(VARIABLE_VERBS, word).is_none()
        && find(ENVIRONMENT_VERBS, word).is_none()
        && !RESERVED_NAMES.contains(&word)
}

/// The shape alone: a name that an older version allowed may since have become a verb.
pub(super) fn has_name_shape(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && word.len() <= 31
        && !is_git_name(word)
}

/// Whether a word can only mean a release: a git name, an `R` or `B` id, `active` or `previous`.
#[must_use]
pub fn is_release_reference(word: &str) -> bool {
    matches!(word, "active" | "previous") || is_git_name(word) || is_id(word)
}

/// Seven or more lowercase hex digits, with the number of a second one of that commit.
fn is_git_name(word: &str) -> bool {
    let hash = match word.split_once('-') {
        Some((hash, number)) if number.bytes().all(|b| b.is_ascii_digit()) => hash,
        Some(_) => return false,
        None => word,
    };
    hash.len() >= 7 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// `R` or `B` and six or more uppercase letters.
fn is_id(word: &str) -> bool {
    let Some(letters) = word.strip_prefix(['R', 'B']) else {
        return false;
    };
    letters.len() >= 6 && letters.bytes().all(|b| b.is_ascii_uppercase())
}
