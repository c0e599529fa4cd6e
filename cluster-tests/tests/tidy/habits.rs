//! Sizes, names, and things that are not done here.

use syn::visit::Visit;

use crate::Breach;
use crate::source::Workspace;

/// Lines of code (neither blank nor comment) that one file may have.
const MAX_LINES: usize = 500;

/// The one room with unsafe code.
const UNSAFE_ROOM: &str = "node/src/holder";

/// The one file in which tests may let time pass: it polls until a deadline.
const WAITING_ROOM: &str = "cluster-tests/src/wait.rs";
/// A crate that may not depend on that room polls in its own harness, and nowhere else.
const HARNESS: &str = "/harness.rs";

pub(crate) fn size_breaches(workspace: &Workspace) -> Vec<Breach> {
    workspace
        .files
        .iter()
        .map(|file| (file, lines_of_code(&file.text)))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(file, lines)| Breach {
            place: file.path.clone(),
            what: format!("{lines} lines of code, allowed are {MAX_LINES}"),
        })
        .collect()
}

pub(crate) fn mod_rs_breaches(workspace: &Workspace) -> Vec<Breach> {
    workspace
        .files
        .iter()
        .filter(|file| file.path.ends_with("/mod.rs"))
        .map(|file| Breach {
            place: file.path.clone(),
            what: "is called mod.rs".to_owned(),
        })
        .collect()
}

pub(crate) fn unsafe_breaches(workspace: &Workspace) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in workspace
        .files
        .iter()
        .filter(|file| !file.path.starts_with(UNSAFE_ROOM))
    {
        let mut finder = UnsafeFinder { what: Vec::new() };
        finder.visit_file(&file.syntax);
        breaches.extend(finder.what.into_iter().map(|what| Breach {
            place: file.path.clone(),
            what: format!("has {what} outside {UNSAFE_ROOM}"),
        }));
    }
    breaches
}

pub(crate) fn unfinished_breaches(workspace: &Workspace) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in &workspace.files {
        let mut finder = UnfinishedFinder { what: Vec::new() };
        finder.visit_file(&file.syntax);
        breaches.extend(finder.what.into_iter().map(|name| Breach {
            place: file.path.clone(),
            what: format!("calls {name}!"),
        }));
    }
    breaches
}

pub(crate) fn sleep_breaches(workspace: &Workspace) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in workspace
        .files
        .iter()
        .filter(|file| file.path != WAITING_ROOM && !file.path.ends_with(HARNESS))
    {
        let all_test = file.is_test() || file.path.starts_with("cluster-tests/src");
        for path in file.paths().iter().filter(|path| all_test || path.in_test) {
            let tail = path.segments.iter().rev().map(String::as_str).take(2);
            let tail: Vec<&str> = tail.collect();
            if matches!(tail.as_slice(), ["sleep", "thread" | "time"] | ["sleep"]) {
                let what = format!("names {}", path.segments.join("::"));
                breaches.push(Breach {
                    place: file.path.clone(),
                    what,
                });
            }
        }
    }
    breaches
}

fn lines_of_code(text: &str) -> usize {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

struct UnsafeFinder {
    what: Vec<&'static str>,
}

impl<'ast> Visit<'ast> for UnsafeFinder {
    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.what.push("an unsafe block");
        syn::visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if signature.unsafety.is_some() {
            self.what.push("an unsafe fn");
        }
        syn::visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.unsafety.is_some() {
            self.what.push("an unsafe impl");
        }
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("allow")
            && let syn::Meta::List(list) = &attribute.meta
            && list.tokens.to_string().contains("unsafe_code")
        {
            self.what.push("allow(unsafe_code)");
        }
    }
}

struct UnfinishedFinder {
    what: Vec<String>,
}

impl<'ast> Visit<'ast> for UnfinishedFinder {
    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let name = mac.path.segments.last().map(|last| last.ident.to_string());
        let name = name.unwrap_or_default();
        if ["todo", "unimplemented", "dbg"].contains(&name.as_str()) {
            self.what.push(name);
        }
        syn::visit::visit_macro(self, mac);
    }
}
