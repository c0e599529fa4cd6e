//! The Rust files of the workspace, parsed once per rule, and every path they name.

use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The crates whose files and manifests the rules look at.
const MEMBERS: [&str; 7] = [
    "proto",
    "model",
    "trust",
    "node",
    "client",
    "sim",
    "cluster-tests",
];

/// All sources, real or planted by a test of the rules themselves.
pub(crate) struct Workspace {
    pub(crate) files: Vec<SourceFile>,
    /// Crate directory and the text of its `Cargo.toml`.
    pub(crate) manifests: Vec<(String, String)>,
}

pub(crate) struct SourceFile {
    /// Relative to the workspace, with forward slashes: `node/src/control/api.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
}

/// A path as the code names it (`crate::control::api`), and what surrounds it.
pub(crate) struct NamedPath {
    pub(crate) segments: Vec<String>,
    /// Inside an item marked `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

impl Workspace {
    pub(crate) fn load() -> Workspace {
        let root = Path::new("..");
        let mut files = Vec::new();
        let mut manifests = Vec::new();
        for member in MEMBERS {
            let dir = root.join(member);
            let manifest = read(&dir.join("Cargo.toml"));
            manifests.push((member.to_owned(), manifest));
            let mut found = Vec::new();
            collect(&dir, &mut found);
            found.sort();
            for path in found {
                let relative = path.strip_prefix(root).expect("collected under the root");
                files.push(SourceFile::parse(&relative.to_string_lossy(), read(&path)));
            }
        }
        Workspace { files, manifests }
    }

    pub(crate) fn of(sources: &[(&str, &str)]) -> Workspace {
        let files = sources
            .iter()
            .map(|(path, text)| SourceFile::parse(path, (*text).to_owned()))
            .collect();
        Workspace {
            files,
            manifests: Vec::new(),
        }
    }
}

impl SourceFile {
    fn parse(path: &str, text: String) -> SourceFile {
        let syntax =
            syn::parse_file(&text).unwrap_or_else(|e| panic!("{path} does not parse: {e}"));
        SourceFile {
            path: path.to_owned(),
            text,
            syntax,
        }
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Every path in uses, expressions, types and macro arguments.
    pub(crate) fn paths(&self) -> Vec<NamedPath> {
        let mut names = Names {
            found: Vec::new(),
            test_depth: 0,
        };
        names.visit_file(&self.syntax);
        names.found
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("reading {}: {e}", path.display()))
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap_or_else(|e| panic!("listing {}: {e}", dir.display()))
    {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

struct Names {
    found: Vec<NamedPath>,
    test_depth: usize,
}

impl Names {
    fn push(&mut self, segments: Vec<String>) {
        self.found.push(NamedPath {
            segments,
            in_test: self.test_depth > 0,
        });
    }

    fn walk_use(&mut self, tree: &syn::UseTree, prefix: &[String]) {
        let with = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.walk_use(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.push(with(&name.ident)),
            syn::UseTree::Rename(rename) => self.push(with(&rename.ident)),
            syn::UseTree::Glob(_) => self.push(prefix.to_vec()),
            syn::UseTree::Group(group) => {
                group
                    .items
                    .iter()
                    .for_each(|item| self.walk_use(item, prefix));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.walk_use(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.push(
            path.segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect(),
        );
        syn::visit::visit_path(self, path);
    }

    /// The arguments of a macro are tokens; they are searched for things that look like paths.
    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let tokens = mac
            .tokens
            .to_string()
            .replace(" :: ", "::")
            .replace(":: ", "::");
        for word in tokens.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            if word.contains("::") {
                let segments = word.split("::").filter(|s| !s.is_empty());
                self.push(segments.map(str::to_owned).collect());
            }
        }
        syn::visit::visit_macro(self, mac);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let test = module.attrs.iter().any(is_cfg_test);
        self.test_depth += usize::from(test);
        syn::visit::visit_item_mod(self, module);
        self.test_depth -= usize::from(test);
    }
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|condition| condition.is_ident("test"))
}
