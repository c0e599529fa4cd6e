//! The dispatcher behind `env`, the noun that both predecessors claim.
//!
//! The first positional is tested as a verb of variables, a verb of environments, a name, in that
//! order. A verb that needs an environment gets it from its own words or from `-e`; with one word
//! too few it is refused, so that `env load 8ef9d2f` cannot hit the default environment.

use super::flags::Lifted;
use super::misuse::Misuse;
use super::nearest::nearest;
use super::positionals::Line;
use super::words::{
    AUTOSCALING_VERBS, DESCRIBE, ENVIRONMENT_VERBS, VARIABLE_VERBS, Verb, find, has_name_shape,
    is_environment_name, is_release_reference,
};

/// `env ...`, after the word `env`.
pub(super) fn dispatch(line: Line, flags: &mut Lifted) -> Result<Vec<String>, Misuse> {
    let Some(first) = line.first() else {
        if line.asks_help() {
            return Ok(line.with_first("env".to_owned()).into_tokens());
        }
        return Ok(prefixed(&["vars", "list"], line));
    };
    if find(VARIABLE_VERBS, first).is_some() {
        variables(line)
    } else if find(ENVIRONMENT_VERBS, first).is_some() {
        verb_first(line, flags)
    } else {
        name_first(line, flags)
    }
}

/// `VERB ENV ...`, also what follows `envs`.
pub(super) fn verb_first(line: Line, flags: &Lifted) -> Result<Vec<String>, Misuse> {
    let Some(first) = line.first().map(str::to_owned) else {
        let verb: &[&str] = if line.asks_help() {
            &["envs"]
        } else {
            &["envs", "list"]
        };
        return Ok(prefixed(verb, line));
    };
    let verb = find(ENVIRONMENT_VERBS, &first).ok_or_else(|| unknown("env", &first))?;
    environments(verb, line.without_first(), None, flags)
}

/// `vars VERB ...` and the same after `env`.
pub(super) fn variables(line: Line) -> Result<Vec<String>, Misuse> {
    let Some(first) = line.first().map(str::to_owned) else {
        let verb: &[&str] = if line.asks_help() {
            &["vars"]
        } else {
            &["vars", "list"]
        };
        return Ok(prefixed(verb, line));
    };
    if first == "list" {
        return Ok(line.with_first("vars".to_owned()).into_tokens());
    }
    let verb = find(VARIABLE_VERBS, &first).ok_or_else(|| unknown("vars", &first))?;
    let line = line.without_first();
    check_count(verb, format!("env {}", verb.word), &line)?;
    Ok(prefixed(&["vars", verb.canonical], line))
}

/// `NAME`, `NAME VERB ...`.
fn name_first(line: Line, flags: &mut Lifted) -> Result<Vec<String>, Misuse> {
    let name = line.first().unwrap_or_default().to_owned();
    let Some(second) = line.positional(1).map(str::to_owned) else {
        check_name(&name)?;
        let line = line.without_first();
        return environments(&DESCRIBE, line, Some(name), flags);
    };
    let variable = find(VARIABLE_VERBS, &second);
    let environment = find(ENVIRONMENT_VERBS, &second);
    if variable.is_none() && environment.is_none() {
        return Err(neither(&name, &second));
    }
    check_name(&name)?;
    let line = line.without_first();
    match environment {
        Some(verb) => environments(verb, line.without_first(), Some(name), flags),
        None => {
            flags.set_environment(name)?;
            variables(line)
        }
    }
}

/// Puts verb, environment and the rest in canonical order.
fn environments(
    verb: &Verb,
    mut line: Line,
    name: Option<String>,
    flags: &Lifted,
) -> Result<Vec<String>, Misuse> {
    let mut words = vec!["envs", verb.canonical];
    let mut verb = verb;
    if let [_, ..] = verb.seconds {
        let Some(word) = line.first().map(str::to_owned) else {
            return incomplete(verb, words, line);
        };
        let typed = format!("env {}", verb.word);
        verb = find(verb.seconds, &word).ok_or_else(|| unknown(&typed, &word))?;
        words.push(verb.canonical);
        line = line.without_first();
    }
    let typed = format!("env {}", words[1..].join(" "));
    if !verb.ready {
        return Err(Misuse::NotYet { what: typed });
    }
    if let Some(name) = name {
        agree(&name, flags)?;
        if verb.most == Some(0) {
            return Err(Misuse::TooMany {
                verb: typed,
                extra: name,
                usage: verb.usage,
            });
        }
        line = line.with_first(name);
    } else if let Some(flag) = flags.environment()
        && verb.fewest > 0
    {
        line = from_flag(verb, line, flag)?;
    }
    if line.asks_help() {
        return Ok(prefixed(&words, line));
    }
    check_order(verb, &typed, &line)?;
    check_count(verb, typed, &line)?;
    Ok(prefixed(&words, line))
}

fn incomplete(verb: &Verb, words: Vec<&str>, line: Line) -> Result<Vec<String>, Misuse> {
    if line.asks_help() {
        return Ok(prefixed(&words, line));
    }
    let typed = format!("env {}", verb.word);
    if verb.ready {
        Err(Misuse::TooFew {
            verb: typed,
            usage: verb.usage,
        })
    } else {
        Err(Misuse::NotYet { what: typed })
    }
}

/// Verb first, and the environment by `-e`: the name is put in unless it stands there already.
fn from_flag(verb: &Verb, line: Line, flag: &str) -> Result<Line, Misuse> {
    match line.first() {
        Some(first) if first == flag => Ok(line),
        Some(first) if Some(line.count()) == verb.most || !could_follow(first) => {
            Err(Misuse::TwoEnvironments {
                name: first.to_owned(),
                flag: flag.to_owned(),
            })
        }
        _ => Ok(line.with_first(flag.to_owned())),
    }
}

/// Whether a word can stand where no environment is expected: a release, a number, ON or OFF.
fn could_follow(word: &str) -> bool {
    is_release_reference(word) || !has_name_shape(word)
}

fn agree(name: &str, flags: &Lifted) -> Result<(), Misuse> {
    match flags.environment() {
        Some(flag) if flag != name => Err(Misuse::TwoEnvironments {
            name: name.to_owned(),
            flag: flag.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The first word after a verb must look like an environment; a release there is the likely slip.
fn check_order(verb: &Verb, typed: &str, line: &Line) -> Result<(), Misuse> {
    let Some(first) = line.first().filter(|_| verb.fewest > 0) else {
        return Ok(());
    };
    if typed == "env create" {
        return check_name(first);
    }
    if has_name_shape(first) && !is_release_reference(first) {
        return Ok(());
    }
    let hint = if line.count() < verb.fewest {
        format!("which environment? usage: fleet {}", verb.usage)
    } else {
        format!("the environment comes first: fleet {}", verb.usage)
    };
    Err(Misuse::NotAName {
        word: first.to_owned(),
        hint,
    })
}

fn check_name(word: &str) -> Result<(), Misuse> {
    if is_environment_name(word) {
        return Ok(());
    }
    let hint = if word.contains('=') {
        format!("to set a variable: fleet env set {word}")
    } else if is_release_reference(word) {
        "it reads as a release; environments come first: fleet env ENV VERB".to_owned()
    } else if has_name_shape(word) {
        "it is a word of the grammar".to_owned()
    } else {
        "names are lowercase letters, digits and dashes, begin with a letter, at most 31".to_owned()
    };
    Err(Misuse::NotAName {
        word: word.to_owned(),
        hint,
    })
}

fn check_count(verb: &Verb, typed: String, line: &Line) -> Result<(), Misuse> {
    if !verb.ready {
        return Err(Misuse::NotYet { what: typed });
    }
    if line.asks_help() {
        return Ok(());
    }
    if line.count() < verb.fewest {
        return Err(Misuse::TooFew {
            verb: typed,
            usage: verb.usage,
        });
    }
    if let Some(most) = verb.most
        && let Some(extra) = line.positional(most)
    {
        return Err(Misuse::TooMany {
            verb: typed,
            extra: extra.to_owned(),
            usage: verb.usage,
        });
    }
    Ok(())
}

/// Neither word is a verb: the second is misspelt, or the first is.
fn neither(first: &str, second: &str) -> Misuse {
    if let Some(verb) = nearest(second, all_verbs()) {
        return Misuse::UnknownVerb {
            noun: format!("env {first}"),
            word: second.to_owned(),
            nearest: Some(format!("env {first} {verb}")),
        };
    }
    if nearest(first, all_verbs()).is_none() && !has_name_shape(first) {
        return check_name(first)
            .err()
            .unwrap_or_else(|| unknown("env", first));
    }
    if let Some(verb) = nearest(first, all_verbs()) {
        return Misuse::UnknownVerb {
            noun: "env".to_owned(),
            word: first.to_owned(),
            nearest: Some(format!("env {verb} {second}")),
        };
    }
    Misuse::UnknownVerb {
        noun: format!("env {first}"),
        word: second.to_owned(),
        nearest: None,
    }
}

fn unknown(noun: &str, word: &str) -> Misuse {
    let near = match noun {
        "env autoscaling" => nearest(word, AUTOSCALING_VERBS.iter().map(|verb| verb.word)),
        "vars" => nearest(word, VARIABLE_VERBS.iter().map(|verb| verb.word)),
        _ => nearest(word, all_verbs()),
    };
    Misuse::UnknownVerb {
        noun: noun.to_owned(),
        word: word.to_owned(),
        nearest: near.map(|verb| format!("{noun} {verb}")),
    }
}

fn all_verbs() -> impl Iterator<Item = &'static str> {
    VARIABLE_VERBS
        .iter()
        .chain(ENVIRONMENT_VERBS)
        .map(|verb| verb.word)
}

fn prefixed(words: &[&str], line: Line) -> Vec<String> {
    words
        .iter()
        .map(|word| (*word).to_owned())
        .chain(line.into_tokens())
        .collect()
}
