//! A line of words with its options told apart from its positionals.

/// Options of single commands that take the next word as their value. The grammar must know them
/// all, or it would take a value for a name; a test compares this list with the command tree.
const VALUE_OPTIONS: &[&str] = &[
    "-d",
    "--description",
    "-m",
    "--message",
    "--name",
    "--manifest",
    "--whitelist",
    "--ssl-certificate",
    "--snapshot",
    "--nfs-snapshot",
    "--source-environment",
    "--size",
    "--sql-scripts",
    "--newrelic-licence",
    "--release",
    "--limit",
    "-s",
    "--service",
    "--count",
    "--min",
    "--max",
    "--cpu",
    "--memory",
    "--build-from",
    "--env-from",
    "--address",
    "--ca-fingerprint",
    "--token",
    "--token-file",
    "--ttl",
    "--uses",
    "--domain",
    "--role",
    "--label",
    "--deadline",
    "--keep",
    "--dir",
    "--from",
    "--rps",
    "--concurrency",
    "--in-flight",
    "--rate",
    "--address-in-flight",
    "--address-rate",
    "--start-time",
    "--end-time",
    "--cert",
    "--chain",
    "--key",
    "--directory",
    "--directory-ca",
    "--email",
    "--challenge",
];

/// Whether the word after this one is its value.
pub(crate) fn takes_value(token: &str) -> bool {
    VALUE_OPTIONS.contains(&token)
}

/// Words in the order typed, and which of them are positionals.
#[derive(Debug, Clone)]
pub(super) struct Line {
    tokens: Vec<String>,
    /// Indices into `tokens`, ascending.
    positionals: Vec<usize>,
}

impl Line {
    pub(super) fn new(tokens: Vec<String>) -> Self {
        let mut positionals = Vec::new();
        let mut skip = false;
        let mut only_positionals = false;
        for (index, token) in tokens.iter().enumerate() {
            if std::mem::take(&mut skip) {
                continue;
            }
            if only_positionals || token == "-" || !token.starts_with('-') {
                positionals.push(index);
            } else if token == "--" {
                only_positionals = true;
            } else {
                skip = takes_value(token);
            }
        }
        Self {
            tokens,
            positionals,
        }
    }

    /// The first positional.
    pub(super) fn first(&self) -> Option<&str> {
        self.positional(0)
    }

    pub(super) fn positional(&self, nth: usize) -> Option<&str> {
        self.positionals
            .get(nth)
            .map(|&index| self.tokens[index].as_str())
    }

    /// How many positionals there are.
    pub(super) fn count(&self) -> usize {
        self.positionals.len()
    }

    /// Whether help is asked for, so that missing words are no error.
    pub(super) fn asks_help(&self) -> bool {
        self.tokens
            .iter()
            .take_while(|token| *token != "--")
            .any(|token| token == "--help" || token == "-h")
    }

    /// The same line without its first positional; all of it when there is none.
    pub(super) fn without_first(self) -> Self {
        let Some(&first) = self.positionals.first() else {
            return self;
        };
        let mut tokens = self.tokens;
        tokens.remove(first);
        Self::new(tokens)
    }

    /// The same line with a positional put before all words.
    pub(super) fn with_first(self, word: String) -> Self {
        let mut tokens = vec![word];
        tokens.extend(self.tokens);
        Self::new(tokens)
    }

    pub(super) fn into_tokens(self) -> Vec<String> {
        self.tokens
    }
}
