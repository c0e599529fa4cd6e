//! All nouns but `env`: which verbs they have, which come later, what a bare noun means.

use super::environment;
use super::misuse::Misuse;
use super::nearest::nearest;
use super::positionals::Line;

/// One noun.
struct Noun {
    word: &'static str,
    /// The canonical words, where several mean the same.
    canonical: &'static [&'static str],
    /// Verb of a bare noun; empty when the noun is the whole command.
    default: &'static str,
    now: &'static [&'static str],
    later: &'static [&'static str],
}

const NOUNS: &[Noun] = &[
    Noun {
        word: "apps",
        canonical: &["apps"],
        default: "list",
        now: &[
            "list", "create", "delete", "info", "cancel", "lock", "unlock",
        ],
        later: &["params", "export", "import", "wait"],
    },
    Noun {
        word: "builds",
        canonical: &["builds"],
        default: "list",
        now: &["list", "info", "logs"],
        later: &["export", "import", "import-image"],
    },
    Noun {
        word: "release",
        canonical: &["release"],
        default: "list",
        now: &["list", "create", "destroy"],
        later: &[],
    },
    Noun {
        word: "releases",
        canonical: &["releases"],
        default: "list",
        now: &[
            "list",
            "info",
            "manifest",
            "promote",
            "rollback",
            "create-from",
        ],
        later: &[],
    },
    Noun {
        word: "services",
        canonical: &["services"],
        default: "list",
        now: &["list", "restart"],
        later: &["update", "triggers"],
    },
    Noun {
        word: "cert",
        canonical: &["cert"],
        default: "list",
        now: &["list", "add", "show", "remove"],
        later: &[],
    },
    Noun {
        word: "whitelist",
        canonical: &["whitelist"],
        default: "list",
        now: &["list", "create", "allow", "revoke", "describe", "destroy"],
        later: &[],
    },
    Noun {
        word: "config",
        canonical: &["config"],
        default: "show",
        now: &["show", "default-env", "domain"],
        later: &["repo", "publickey", "billing-alarm", "sql", "get", "set"],
    },
    Noun {
        word: "log",
        canonical: &["log"],
        default: "list",
        now: &["list", "view"],
        later: &["delete"],
    },
    NODE,
    Noun {
        word: "nodes",
        ..NODE
    },
    Noun {
        word: "cluster",
        canonical: &["cluster"],
        default: "status",
        now: &["status", "backup", "restore", "recover", "ca"],
        later: &[],
    },
    CONTEXT,
    Noun {
        word: "contexts",
        ..CONTEXT
    },
    Noun {
        word: "ps",
        canonical: &["ps"],
        default: "",
        now: &[],
        later: &["info", "stop"],
    },
    whole("build", &["build"]),
    whole("deploy", &["deploy"]),
    whole("scale", &["scale"]),
    whole("restart", &["restart"]),
    whole("events", &["events"]),
    whole("racks", &["context", "list"]),
    whole("switch", &["context", "use"]),
    whole("version", &["version"]),
    whole("completion", &["completion"]),
];

const NODE: Noun = Noun {
    word: "node",
    canonical: &["node"],
    default: "list",
    now: &[
        "init",
        "join",
        "list",
        "describe",
        "drain",
        "undrain",
        "promote",
        "demote",
        "remove",
        "labels",
        "moves",
        "leave",
        "status",
        "replace-ingress",
        "token",
    ],
    later: &[],
};

const CONTEXT: Noun = Noun {
    word: "context",
    canonical: &["context"],
    default: "list",
    now: &["list", "add", "use", "remove"],
    later: &[],
};

/// Nouns of the predecessors that this version does not have.
const LATER: &[&str] = &[
    "api",
    "auth",
    "balancers",
    "certs",
    "configs",
    "cp",
    "database",
    "deploy-debug",
    "exec",
    "instances",
    "key",
    "limits",
    "login",
    "logs",
    "notifications",
    "plan",
    "promote",
    "proxy",
    "rack",
    "registries",
    "report",
    "resources",
    "rollback",
    "run",
    "snapshot",
    "ssl",
    "start",
    "test",
    "update",
    "updates",
    "why",
];

/// A noun without verbs.
const fn whole(word: &'static str, canonical: &'static [&'static str]) -> Noun {
    Noun {
        word,
        canonical,
        default: "",
        now: &[],
        later: &[],
    }
}

/// Any line that does not begin with `env` or `envs`.
pub(super) fn dispatch(line: Line) -> Result<Vec<String>, Misuse> {
    let word = line.first().unwrap_or_default().to_owned();
    if word == "vars" {
        return environment::variables(line.without_first());
    }
    let Some(noun) = NOUNS.iter().find(|noun| noun.word == word) else {
        return Err(unknown(word));
    };
    let line = line.without_first();
    let mut words: Vec<String> = noun.canonical.iter().map(|&word| word.to_owned()).collect();
    match line.first() {
        Some(verb) if noun.later.contains(&verb) => {
            return Err(Misuse::NotYet {
                what: format!("{word} {verb}"),
            });
        }
        Some(verb) if !noun.now.is_empty() && !noun.now.contains(&verb) => {
            let known = noun.now.iter().chain(noun.later).copied();
            return Err(Misuse::UnknownVerb {
                nearest: nearest(verb, known).map(|near| format!("{word} {near}")),
                noun: word.clone(),
                word: verb.to_owned(),
            });
        }
        None if !noun.default.is_empty() && !line.asks_help() => {
            words.push(noun.default.to_owned());
        }
        _ => {}
    }
    words.extend(line.into_tokens());
    Ok(words)
}

fn unknown(word: String) -> Misuse {
    if LATER.contains(&word.as_str()) {
        return Misuse::NotYet { what: word };
    }
    let known = NOUNS
        .iter()
        .map(|noun| noun.word)
        .chain(["env", "envs", "vars", "help"]);
    let near = nearest(&word, known.chain(LATER.iter().copied())).map(str::to_owned);
    Misuse::UnknownNoun {
        word,
        nearest: near,
    }
}
