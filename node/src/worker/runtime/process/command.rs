//! From the command of a manifest to what is executed.
//!
//! Words are executed as they are, but for `${NAME}`, which is filled in here from the process's own
//! environment: a line has its shell for that. A line goes to `/bin/sh -c`, so that variables such as `$PORT`
//! are replaced. A line that is one plain command is run as `exec <line>`: the program then *is*
//! the main process and gets SIGTERM itself, where a shell in front of it would die of SIGTERM and
//! leave the program to be killed without its grace.

use std::collections::BTreeMap;

use fleet_model::manifest::interpolated;

use super::super::{Command, Error};

/// Words with which a line is more than the name of a program: `exec` cannot precede them.
const SHELL_WORDS: &[&str] = &[
    "!", ".", ":", "[", "alias", "break", "case", "cd", "command", "continue", "echo", "eval",
    "exec", "exit", "export", "false", "for", "function", "if", "printf", "pwd", "read", "return",
    "set", "shift", "source", "test", "time", "times", "trap", "true", "type", "ulimit", "umask",
    "unset", "until", "wait", "while", "{",
];

/// Program and arguments.
pub(super) fn argv(
    command: &Command,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<String>, Error> {
    match command {
        Command::Words(words) if words.first().is_none_or(String::is_empty) => {
            Err(Error::Impossible("the command is empty".into()))
        }
        Command::Words(words) => {
            let value = |name: &str| environment.get(name).map(String::as_str);
            let words = words.iter().map(|word| interpolated(word, value));
            Ok(words.collect())
        }
        Command::Line(line) if line.trim().is_empty() => {
            Err(Error::Impossible("the command is empty".into()))
        }
        Command::Line(line) => {
            let line = line.trim();
            let line = if is_plain(line) {
                format!("exec {line}")
            } else {
                line.to_owned()
            };
            Ok(vec!["/bin/sh".into(), "-c".into(), line])
        }
    }
}

/// One program with arguments: no second command, no assignment, nothing built into the shell.
/// Operators inside quotes make a line look less plain than it is, which costs only the `exec`.
fn is_plain(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let joined = line.contains([';', '&', '|', '\n', '(', ')', '`', '#']);
    !joined && !first.contains(['=', '<', '>']) && !SHELL_WORDS.contains(&first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn plain_lines_become_the_main_process_and_others_are_left_to_the_shell() {
        for (line, want) in [
            ("bin/server --port $PORT", "exec bin/server --port $PORT"),
            ("  python3 app.py  ", "exec python3 app.py"),
            ("app > /dev/null", "exec app > /dev/null"),
            ("cd www && ./run", "cd www && ./run"),
            ("A=1 app", "A=1 app"),
            ("exec app", "exec app"),
            ("app; other", "app; other"),
            ("app | tee log", "app | tee log"),
            ("if true\nthen app\nfi", "if true\nthen app\nfi"),
            ("app $(date)", "app $(date)"),
        ] {
            let argv = argv(&Command::Line(line.into()), &BTreeMap::new()).unwrap();
            assert_eq!(argv, ["/bin/sh", "-c", want]);
        }
    }

    #[test]
    fn words_are_filled_in_and_otherwise_left_alone_and_nothing_is_refused() {
        let environment = [("PORT".to_owned(), "80 $A".to_owned())].into();
        let words = ["a b", "$PORT", "--port=${PORT}", "${NONE}"].map(String::from);
        let filled = argv(&Command::Words(words.to_vec()), &environment).unwrap();
        assert_eq!(filled, ["a b", "$PORT", "--port=80 $A", ""]);
        for empty in [
            Command::Line(" \n".into()),
            Command::Words(vec![]),
            Command::Words(vec![String::new()]),
        ] {
            assert!(matches!(
                argv(&empty, &environment),
                Err(Error::Impossible(_))
            ));
        }
    }
}
