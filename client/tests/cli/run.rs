//! Runs one line the way the binary would, with everything around it given.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use fleet_client::{Exit, Surroundings, run};

use crate::fake::fingerprint;

/// What one line is given.
#[derive(Clone)]
pub(crate) struct Line {
    words: Vec<String>,
    variables: BTreeMap<String, String>,
    directory: PathBuf,
    input: String,
    terminal: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// A line with words parted by spaces, asked of these addresses.
pub(crate) fn line(words: &str, addresses: &[&str]) -> Line {
    let mut variables = BTreeMap::from([
        ("FLEET_TOKEN".to_owned(), "hush".to_owned()),
        ("FLEET_CA_FINGERPRINT".to_owned(), fingerprint()),
    ]);
    if !addresses.is_empty() {
        variables.insert("FLEET_ADDRESSES".to_owned(), addresses.join(","));
    }
    Line {
        words: words.split_whitespace().map(str::to_owned).collect(),
        variables,
        directory: PathBuf::from("/"),
        input: String::new(),
        terminal: false,
    }
}

impl Line {
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    pub(crate) fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = path.into();
        self
    }

    pub(crate) fn input(mut self, text: &str) -> Self {
        self.input = text.to_owned();
        self
    }

    /// The output is a terminal.
    pub(crate) fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    pub(crate) async fn run(self) -> Ended {
        let (output, errors) = (Kept::default(), Kept::default());
        let surroundings = Surroundings {
            variables: self.variables,
            directory: self.directory,
            input: Box::new(io::Cursor::new(self.input.into_bytes())),
            output: Box::new(output.clone()),
            errors: Box::new(errors.clone()),
            input_is_terminal: false,
            output_is_terminal: self.terminal,
            errors_are_terminal: false,
            now_ms: 1_433_814_925_000,
        };
        let exit = run(&self.words, surroundings).await;
        Ended {
            exit,
            output: output.text(),
            errors: errors.text(),
        }
    }
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
