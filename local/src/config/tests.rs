#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::trust::testing::TestAuthority;

fn settings(toml: &str, flags: Flags) -> Result<Settings, SettingsError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleetd.toml");
    std::fs::write(&path, toml).unwrap();
    Settings::load(&Flags {
        config: Some(path),
        ..flags
    })
}

#[test]
fn defaults_bind_the_api_to_loopback() {
    let settings = Settings::load(&Flags::default()).unwrap();
    assert_eq!(settings.api_listen.to_string(), "127.0.0.1:7400");
    assert_eq!(settings.advertise.to_string(), "127.0.0.1:7400");
    assert_eq!(settings.http_listen.to_string(), "0.0.0.0:80");
    assert_eq!(settings.https_listen, "0.0.0.0:443".parse().ok());
    assert!(!settings.api_is_exposed());
    assert_eq!(settings.metrics_listen, None);
    assert_eq!(settings.access_log, AccessLines::Off);
    let log = "/var/lib/fleet/ingress/access.log";
    assert_eq!(settings.access_log_file.to_str(), Some(log));
    assert_eq!(settings.roles, Roles::default());
}

#[test]
fn a_flag_wins_over_the_file() {
    let flags = Flags {
        name: Some("from-flag".into()),
        ..Flags::default()
    };
    let text = "name = 'from-file'\nhttp_listen = '127.0.0.1:81'\n[labels]\nzone = 'a'\n";
    let settings = settings(text, flags).unwrap();
    assert_eq!(settings.name, "from-flag");
    assert_eq!(settings.http_listen.to_string(), "127.0.0.1:81");
    assert_eq!(settings.labels["zone"], "a");
}

#[test]
fn what_the_agent_hands_on_means_the_same() {
    let flags = Flags {
        labels: vec!["zone=b".into(), "disk=".into()],
        roles: Some("worker,control".into()),
        api_listen: Some("[::1]:7500".into()),
        data_dir: Some("/data".into()),
        proxy_protocol_from: Some("10.0.0.0/8, 2001:db8::1".into()),
        metrics_listen: Some("127.0.0.1:7480".into()),
        access_log: Some("1/100".into()),
        access_log_file: Some("/srv/access.log".into()),
        trusted_proxies: Some("192.0.2.0/24".into()),
        connections_per_address: Some(7),
        handshakes_per_address: Some(0),
        dev: true,
        ..Flags::default()
    };
    let text = "https_listen = 'off'\n[raft]\nheartbeat_ms = 250\nelection_min_ms = 1000\nelection_max_ms = 2000\n";
    let agent = settings(text, flags).unwrap();
    assert_eq!(agent.https_listen, None);
    let tenant = settings(&agent.to_toml(), Flags::default()).unwrap();
    assert_eq!(tenant, agent);
}

#[test]
fn every_bad_setting_is_named() {
    let cases = [
        (
            "api_listen = 'localhost'",
            "api_listen is not an address and a port",
        ),
        (
            "https_listen = 'none'",
            "https_listen is not an address and a port",
        ),
        (
            "api_listen = '127.0.0.1:0'",
            "api_listen needs a fixed port",
        ),
        ("api_listen = '0.0.0.0:7400'", "advertised address"),
        (
            "metrics_listen = '7480'",
            "metrics_listen is not an address and a port",
        ),
        (
            "metrics_listen = '127.0.0.1:65535'",
            "metrics_listen needs a fixed port",
        ),
        ("access_log = '1/0'", "access_log is not usable"),
        ("access_log = 'some'", "access_log is not usable"),
        ("roles = ['boss']", "unknown role \"boss\""),
        ("roles = []", "at least one role"),
        ("frontend_ports = '10'", "frontend_ports is not usable"),
        ("frontend_ports = '80-90'", "frontend_ports must lie within"),
        (
            "frontend_ports = '3000-2000'",
            "frontend_ports is not usable",
        ),
        ("frontend_uids = '0-10'", "frontend_uids must not hold 0"),
        ("name = 'Node_1'", "is not a node name"),
        ("nmae = 'x'", "is not valid"),
        ("[raft]\nheartbeat_ms = 400", "raft timers"),
    ];
    for (text, expected) in cases {
        let error = settings(text, Flags::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn endpoints_are_dialable_or_refused() {
    for good in ["n1:7400", "10.0.0.1:1", "[fe80::1]:65535", "a_b.c-d:80"] {
        assert_eq!(good.parse::<Endpoint>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "n1",
        ":1",
        "n1:",
        "n1:0",
        "n1:65536",
        "0.0.0.0:80",
        "[::]:80",
        "::1:80",
        "a b:1",
        "n/1:1",
    ] {
        assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
    }
    assert_eq!("[::1]:80".parse::<Endpoint>().unwrap().host(), "::1");
}

#[test]
fn a_range_is_walked_once_from_where_the_key_says() {
    let range: Range = "10-13".parse().unwrap();
    assert_eq!(range.from_key(6).collect::<Vec<_>>(), [12, 13, 10, 11]);
    assert_eq!(Range::new(7, 7).from_key(u64::MAX).collect::<Vec<_>>(), [7]);
}

#[test]
fn an_identity_is_given_once_and_kept_private() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path());
    assert_eq!(Identity::read(&paths).unwrap(), None);
    let identity = identity(3);
    identity.write(&paths).unwrap();
    assert_eq!(Identity::read(&paths).unwrap(), Some(identity.clone()));
    let mode = std::fs::metadata(paths.identity())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(
        identity.write(&paths),
        Err(IdentityError::Taken { node_id: 3, .. })
    ));
}

#[test]
fn a_directory_with_another_nodes_state_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path());
    std::fs::create_dir_all(paths.raft()).unwrap();
    assert_eq!(
        Identity::read(&paths).unwrap(),
        None,
        "an empty directory is no trace"
    );
    std::fs::write(paths.raft().join("CURRENT"), "x").unwrap();
    assert!(matches!(
        Identity::read(&paths),
        Err(IdentityError::Foreign { .. })
    ));
    assert!(matches!(
        identity(1).write(&paths),
        Err(IdentityError::Foreign { .. })
    ));
}

#[test]
fn an_identity_of_another_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path());
    let text = toml::to_string(&Identity {
        version: 2,
        ..identity(1)
    })
    .unwrap();
    std::fs::write(paths.identity(), text).unwrap();
    assert!(matches!(
        Identity::read(&paths),
        Err(IdentityError::Version { found: 2, .. })
    ));
    std::fs::write(paths.identity(), "version = 1\n").unwrap();
    assert!(matches!(
        Identity::read(&paths),
        Err(IdentityError::Parse { .. })
    ));
}

#[test]
fn the_first_start_is_announced_and_finished_once() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path());
    assert_eq!(FirstStart::pending(&paths).unwrap(), None);
    FirstStart::Bootstrap.announce(&paths).unwrap();
    assert_eq!(
        FirstStart::pending(&paths).unwrap(),
        Some(FirstStart::Bootstrap)
    );
    FirstStart::finish(&paths).unwrap();
    FirstStart::finish(&paths).unwrap();
    assert_eq!(FirstStart::pending(&paths).unwrap(), None);
}

#[test]
fn a_node_is_what_it_was_registered_as() {
    let dir = tempfile::tempdir().unwrap();
    let flags = Flags {
        data_dir: Some(dir.path().to_owned()),
        ..Flags::default()
    };
    let settings = Settings::load(&flags).unwrap();
    assert!(matches!(
        Node::load(settings.clone()),
        Err(NodeError::Uninitialised)
    ));
    identity(7).write(&settings.paths()).unwrap();
    assert!(matches!(
        Node::load(settings.clone()),
        Err(NodeError::Trust(_))
    ));
    TestAuthority::new("c1").equip(&settings.paths(), 7, &["control", "worker"]);
    let node = Node::load(settings).unwrap();
    assert_eq!(
        (
            node.settings.name.as_str(),
            node.settings.roles.to_string().as_str()
        ),
        ("n1", "control,worker")
    );
}

#[test]
fn a_torn_write_leaves_the_old_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    write_atomic(&path, b"old", 0o600).unwrap();
    // A writer that died between its first byte and the rename.
    std::fs::write(dir.path().join("file.tmp"), b"ne").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    write_atomic(&path, b"new", 0o600).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert!(!dir.path().join("file.tmp").exists());
}

#[test]
fn peers_that_cannot_be_dialled_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path());
    assert_eq!(Peers::read(&paths), Peers::default());
    let peers = Peers::parse(&["n1:7400".into(), "nonsense".into(), "n2:7400".into()]);
    assert_eq!(peers.control.len(), 2);
    peers.write(&paths).unwrap();
    assert_eq!(Peers::read(&paths), peers);
}

fn identity(node_id: u64) -> Identity {
    Identity {
        version: Identity::VERSION,
        cluster_id: "c1".into(),
        cluster_name: "main".into(),
        node_id,
        name: "n1".into(),
        domain: "localhost".into(),
        roles: vec!["control".into(), "worker".into()],
        generation: 0,
    }
}
