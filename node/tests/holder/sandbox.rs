//! What is taken away from a process is really gone.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use fleet_node::holder::{Landlock, Limits, ProcessSpec, Sandbox, User};

use super::harness::{Holder, run, sh, skip};

/// A frontend with everything the holder can take away, allowed to write to `dir` alone.
fn confined(name: &str, dir: &Path, script: &str) -> ProcessSpec {
    let mut spec = sh(name, script);
    spec.user = Some(User {
        uid: 700_002,
        gid: 700_002,
    });
    spec.cwd = dir.to_owned();
    spec.limits = Limits {
        open_files: Some(77),
        ..Limits::default()
    };
    spec.sandbox = Sandbox {
        no_new_privs: true,
        seccomp: true,
        landlock: Some(Landlock {
            read: ["/etc", "/proc"].map(Into::into).to_vec(),
            execute: ["/usr", "/lib", "/lib64", "/bin"].map(Into::into).to_vec(),
            write: vec!["/dev/null".into(), dir.to_owned()],
            bind_tcp: vec![],
        }),
    };
    spec
}

fn own_dir(holder: &Holder) -> std::path::PathBuf {
    fs::set_permissions(holder.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let dir = holder.dir.path().join("own");
    fs::create_dir(&dir).unwrap();
    std::os::unix::fs::chown(&dir, Some(700_002), Some(700_002)).unwrap();
    dir
}

#[tokio::test]
async fn a_confined_process_has_no_rights_but_its_own() {
    let holder = Holder::start().await;
    if !holder.capabilities.own_uids {
        skip("giving a process another uid needs root");
        return holder.finish().await;
    }
    let dir = own_dir(&holder);
    let script = "id -u; id -G; ulimit -n; umask; echo mine > file && cat file; \
                  grep -E '^(NoNewPrivs|Seccomp|CapEff|CapBnd|SigIgn|SigBlk):' /proc/self/status | tr -d '\\t'; ls /proc/self/fd | wc -l";
    let exit = run(&holder, confined("f-1", &dir, script))
        .await
        .exit
        .unwrap();
    let mut want = vec![
        "700002",
        "700002",
        "77",
        "0022",
        "mine",
        "SigBlk:0000000000000000",
        "SigIgn:0000000000000000",
    ];
    want.extend([
        "CapEff:0000000000000000",
        "CapBnd:0000000000000000",
        "NoNewPrivs:1",
    ]);
    // 0, 1, 2 and the directory that ls reads.
    want.extend(["Seccomp:2", "4"]);
    assert_eq!(exit.last_lines, want);
    holder.finish().await;
}

#[tokio::test]
async fn a_confined_process_reaches_nothing_else() {
    let holder = Holder::start().await;
    if !holder.capabilities.own_uids || holder.capabilities.landlock_abi == 0 {
        skip("needs root and a kernel with Landlock");
        return holder.finish().await;
    }
    let dir = own_dir(&holder);
    let other = holder.dir.path().join("other");
    fs::write(&other, "of another").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o666)).unwrap();
    let tries = [
        format!("cat {}", other.display()),
        format!("echo x > {}", other.display()),
        "ls /var/log".to_owned(),
        "echo x > /tmp/fleet-must-not-exist".to_owned(),
        "echo x > /usr/fleet-must-not-exist".to_owned(),
        "unshare --user true".to_owned(),
        "mount -t tmpfs none .".to_owned(),
    ];
    for (number, attempt) in tries.iter().enumerate() {
        let name = format!("f-{number}");
        let exit = run(
            &holder,
            confined(&name, &dir, &format!("({attempt}) 2>&1 && echo reached")),
        )
        .await
        .exit
        .unwrap();
        assert!(
            !exit.last_lines.contains(&"reached".to_owned()),
            "{attempt}: {exit:?}"
        );
        let denied = exit.last_lines.iter().any(|line| {
            line.contains("ermission denied")
                || line.contains("not permitted")
                || line.contains("cannot create")
                || line.contains("failed")
        });
        assert!(denied, "{attempt}: {exit:?}");
    }
    holder.finish().await;
}

#[tokio::test]
async fn a_confined_process_binds_only_its_port_and_signals_only_itself() {
    let holder = Holder::start().await;
    if !holder.capabilities.own_uids || holder.capabilities.landlock_abi < 6 {
        skip("needs root and Landlock ABI 6 (kernel 6.12)");
        return holder.finish().await;
    }
    let dir = own_dir(&holder);
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let bind = "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); \
                print((bind($s, sockaddr_in($ENV{AT}, INADDR_LOOPBACK)) ? 'bound' : \"refused: $!\") . \"\\n\")";
    for (name, at, want) in [
        ("f-1", free, "bound"),
        ("f-2", 0, "refused: Permission denied"),
    ] {
        let mut spec = confined(name, &dir, "");
        spec.argv = ["perl", "-e", bind].map(Into::into).to_vec();
        spec.env.insert("AT".into(), at.to_string());
        spec.sandbox.landlock.as_mut().unwrap().bind_tcp = vec![free];
        assert_eq!(run(&holder, spec).await.exit.unwrap().last_lines, [want]);
    }
    // A neighbour of the same uid, which plain permissions would let it signal.
    let neighbour = holder
        .client
        .start(confined("f-3", &dir, "exec sleep 1000"))
        .await
        .unwrap()
        .pid
        .unwrap();
    let exit = run(
        &holder,
        confined("f-4", &dir, &format!("kill -9 {neighbour} || echo refused")),
    )
    .await
    .exit
    .unwrap();
    // What the shell says of it on standard error may come before or after.
    let refused = exit.last_lines.iter().any(|line| line == "refused");
    assert!(refused, "{:?}", exit.last_lines);
    assert!(super::harness::is_alive(neighbour));
    holder.finish().await;
}
