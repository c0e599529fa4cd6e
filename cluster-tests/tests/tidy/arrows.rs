//! Who may import whom.

use crate::Breach;
use crate::source::{SourceFile, Workspace};

/// What the manifest of a crate may name under `[dependencies]`; `None` means anything but
/// `forbidden_crates`.
const ALLOWED_DEPENDENCIES: [(&str, &[&str]); 3] = [
    ("model", &["imbl", "thiserror"]),
    ("sim", &["fleet-model", "rand_xoshiro"]),
    ("proto", &["prost", "prost-types", "tonic", "tonic-prost"]),
];

/// Crates that a crate of ours may not name in its code nor in its manifest.
const FORBIDDEN_CRATES: [(&str, &[&str]); 7] = [
    (
        "client",
        &[
            "fleet_model",
            "fleet_node",
            "fleet_ingress",
            "openraft",
            "rocksdb",
        ],
    ),
    ("proto", &["fleet_model", "fleet_node", "fleet_client"]),
    (
        "trust",
        &["fleet_model", "fleet_proto", "fleet_node", "fleet_client"],
    ),
    (
        "metrics",
        &["fleet_model", "fleet_proto", "fleet_node", "fleet_client"],
    ),
    (
        "local",
        &["fleet_ingress", "fleet_node", "fleet_client", "openraft"],
    ),
    (
        "ingress",
        &["fleet_model", "fleet_node", "fleet_client", "openraft"],
    ),
    (
        "cluster-tests",
        &["fleet_node", "fleet_ingress", "fleet_model"],
    ),
];

/// Rooms of the node that belong to different processes. The third process, the ingress, is a crate
/// that knows nothing of the node, and that only the daemon's `main` names.
const SEPARATE_ROOMS: [&str; 2] = ["control", "worker"];

pub(crate) fn crate_breaches(workspace: &Workspace) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (member, text) in &workspace.manifests {
        let named = dependencies(member, text);
        if let Some((_, allowed)) = ALLOWED_DEPENDENCIES.iter().find(|(of, _)| of == member) {
            for name in named
                .iter()
                .filter(|name| !allowed.contains(&name.as_str()))
            {
                breaches.push(Breach {
                    place: format!("{member}/Cargo.toml"),
                    what: format!("depends on {name}; allowed are {}", allowed.join(", ")),
                });
            }
        }
        for name in forbidden_for(member) {
            if named
                .iter()
                .any(|dependency| dependency.replace('-', "_") == *name)
            {
                breaches.push(Breach {
                    place: format!("{member}/Cargo.toml"),
                    what: format!("depends on {name}, which {member} must not know"),
                });
            }
        }
    }
    for file in &workspace.files {
        let member = file.path.split('/').next().unwrap_or_default();
        for name in forbidden_for(member) {
            if first_segments(file).any(|segment| segment == *name) {
                breaches.push(Breach {
                    place: file.path.clone(),
                    what: format!("names {name}, which {member} must not know"),
                });
            }
        }
    }
    breaches
}

pub(crate) fn room_breaches(workspace: &Workspace) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in &workspace.files {
        let Some(place) = module_path(&file.path) else {
            continue;
        };
        let Some(room) = place.first().cloned() else {
            continue;
        };
        if first_segments(file).any(|segment| segment == "fleet_ingress") {
            breaches.push(breach(file, format!("room {room} imports the ingress")));
        }
        for path in file.paths() {
            if let Some(target) = room_of(&path.segments, &place)
                && SEPARATE_ROOMS.contains(&room.as_str())
                && SEPARATE_ROOMS.contains(&target.as_str())
                && room != target
            {
                breaches.push(breach(file, format!("room {room} imports room {target}")));
            }
            if room == "consensus" {
                let target = room_of(&path.segments, &place);
                let first = path.segments.first().map(String::as_str);
                if target.as_deref() == Some("control") || first == Some("fleet_model") {
                    let named = path.segments.join("::");
                    let what = format!("consensus moves opaque bytes, but names {named}");
                    breaches.push(breach(file, what));
                }
            }
        }
    }
    breaches
}

pub(crate) fn openraft_breaches(workspace: &Workspace) -> Vec<Breach> {
    workspace
        .files
        .iter()
        .filter(|file| !file.path.starts_with("node/src/consensus"))
        .filter(|file| first_segments(file).any(|segment| segment == "openraft"))
        .map(|file| breach(file, "names openraft outside node/src/consensus".to_owned()))
        .collect()
}

fn breach(file: &SourceFile, what: String) -> Breach {
    Breach {
        place: file.path.clone(),
        what,
    }
}

fn forbidden_for(member: &str) -> &'static [&'static str] {
    FORBIDDEN_CRATES
        .iter()
        .find(|(of, _)| *of == member)
        .map_or(&[], |(_, names)| *names)
}

fn dependencies(member: &str, manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest
        .parse()
        .unwrap_or_else(|e| panic!("{member}/Cargo.toml does not parse: {e}"));
    manifest
        .get("dependencies")
        .and_then(|table| table.as_table())
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

fn first_segments(file: &SourceFile) -> impl Iterator<Item = String> {
    file.paths()
        .into_iter()
        .filter_map(|path| path.segments.into_iter().next())
}

/// `node/src/control/api/apps.rs` is `control::api::apps`; `None` outside the node's library.
fn module_path(path: &str) -> Option<Vec<String>> {
    let inner = path.strip_prefix("node/src/")?.strip_suffix(".rs")?;
    if inner == "lib" || inner == "main" {
        return None;
    }
    Some(inner.split('/').map(str::to_owned).collect())
}

/// The room that a path leads into, seen from the module `place`: `crate::x`, `fleet_node::x`, or
/// enough `super`s to reach the root.
fn room_of(segments: &[String], place: &[String]) -> Option<String> {
    match segments.first()?.as_str() {
        "crate" | "fleet_node" => segments.get(1).cloned(),
        "super" => {
            let ups = segments
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            // One `super` more may be needed inside an inline module, so both readings count.
            let reaches_root = ups >= place.len();
            reaches_root.then(|| segments.get(ups).cloned()).flatten()
        }
        _ => None,
    }
}
