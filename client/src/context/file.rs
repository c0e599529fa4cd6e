//! `contexts.toml`: the clusters this user knows, with their tokens; hence mode 0600.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::grammar::nearest;
use crate::surroundings::Surroundings;

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    pub(crate) name: String,
    /// host:port of control nodes.
    pub(crate) addresses: Vec<String>,
    /// The operator's token.
    #[serde(default)]
    pub(crate) token: String,
    /// Of the authorities whose nodes are believed.
    #[serde(default)]
    pub(crate) ca_fingerprints: Vec<String>,
    /// App of commands that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) app: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default, rename = "context")]
    contexts: Vec<Context>,
}

/// The file, read.
#[derive(Debug, Clone)]
pub(crate) struct ContextsFile {
    path: Option<PathBuf>,
    content: Content,
}

impl ContextsFile {
    /// Reads it; a file that is not there knows no cluster.
    pub(crate) fn read(surroundings: &Surroundings) -> Result<Self, Failure> {
        let Some(path) = path(surroundings) else {
            return Ok(Self {
                path: None,
                content: Content::default(),
            });
        };
        let content = match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                Failure::failed(format!("cannot understand {}: {error}", path.display()))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(error) => {
                return Err(Failure::failed(format!(
                    "cannot read {}: {error}",
                    path.display()
                )));
            }
        };
        Ok(Self {
            path: Some(path),
            content,
        })
    }

    pub(crate) fn current(&self) -> Option<&str> {
        self.content.current.as_deref()
    }

    pub(crate) fn all(&self) -> &[Context] {
        &self.content.contexts
    }

    pub(crate) fn find(&self, name: &str) -> Result<&Context, Failure> {
        self.content
            .contexts
            .iter()
            .find(|context| context.name == name)
            .ok_or_else(|| {
                let known = self
                    .content
                    .contexts
                    .iter()
                    .map(|context| context.name.as_str());
                let what = format!("no context {name}");
                let mut failure = Failure::new(Exit::NotFound, "UNKNOWN_CONTEXT", what);
                failure.candidates = nearest(name, known)
                    .map(str::to_owned)
                    .into_iter()
                    .collect();
                failure
            })
    }

    /// Adds a context or replaces the one of that name. The first one comes into use.
    pub(crate) fn put(&mut self, context: Context) {
        if self.content.contexts.is_empty() {
            self.content.current = Some(context.name.clone());
        }
        self.content
            .contexts
            .retain(|known| known.name != context.name);
        self.content.contexts.push(context);
        self.content.contexts.sort_by(|a, b| a.name.cmp(&b.name));
    }

    pub(crate) fn switch(&mut self, name: &str) -> Result<(), Failure> {
        self.find(name)?;
        self.content.current = Some(name.to_owned());
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.find(name)?;
        self.content.contexts.retain(|known| known.name != name);
        if self.current() == Some(name) {
            self.content.current = None;
        }
        Ok(())
    }

    /// Writes it beside itself and renames, so that it is never half there.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let path = self.path.as_deref().ok_or_else(|| {
            Failure::failed("nowhere to keep contexts: neither XDG_CONFIG_HOME nor HOME is set")
        })?;
        write_private(path, &self.content)
            .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
    }
}

fn write_private(path: &Path, content: &Content) -> io::Result<()> {
    let text = toml::to_string(content).map_err(io::Error::other)?;
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let beside = path.with_extension(format!("toml.{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// `$XDG_CONFIG_HOME/fleet/contexts.toml`, else below `~/.config`.
fn path(surroundings: &Surroundings) -> Option<PathBuf> {
    let base = match surroundings.variable("XDG_CONFIG_HOME") {
        Some(base) => PathBuf::from(base),
        None => Path::new(surroundings.variable("HOME")?).join(".config"),
    };
    Some(base.join("fleet").join("contexts.toml"))
}
