//! The process runtime: frontends as the worker runs them, under a real holder.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use fleet_node::{
    holder::Client,
    worker::runtime::{
        Command, Error, ExitStatus, FrontendKey, FrontendSpec, Limits, Runtime as _, Step,
        process::{ProcessRuntime, UIDS},
    },
};
use tempfile::TempDir;

struct Node {
    dir: TempDir,
    holder: Client,
    runtime: ProcessRuntime,
    holder_pid: u32,
}

/// A test that failed must not leave its processes behind: SIGTERM to the holder ends all.
impl Drop for Node {
    fn drop(&mut self) {
        let kill = format!("kill -TERM {} 2>/dev/null", self.holder_pid);
        drop(
            std::process::Command::new("/bin/sh")
                .args(["-c", &kill])
                .status(),
        );
    }
}

impl Node {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data_dir = dir.path().join("node");
        let holder = Client::ensure(&data_dir, Path::new(env!("CARGO_BIN_EXE_fleetd")))
            .await
            .unwrap();
        let holder_pid = holder.ping().await.unwrap().pid;
        let runtime = ProcessRuntime::new(holder.clone(), data_dir, UIDS)
            .await
            .unwrap();
        Self {
            dir,
            holder,
            runtime,
            holder_pid,
        }
    }

    /// Code of a release with these files, root's and read-only.
    fn code(&self, files: &[(&str, &str)]) -> PathBuf {
        let code = self.dir.path().join("node/worker/code");
        fs::create_dir_all(&code).unwrap();
        for (name, text) in files {
            fs::write(code.join(name), text).unwrap();
            fs::set_permissions(code.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        code
    }

    async fn run(&self, id: u64, command: Command, code: PathBuf) -> Result<Vec<String>, Error> {
        let mut exits = self.runtime.exits().await?;
        let prepared = self.runtime.prepare(spec(id, command, code)).await?;
        let started = self.runtime.start(prepared).await?;
        if started.exit.is_none() {
            let exited = tokio::time::timeout(Duration::from_secs(30), exits.recv())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                (exited.id, exited.exit.status),
                (FrontendKey(id), ExitStatus::Code(0)),
                "{exited:?}"
            );
            return Ok(exited.exit.last_lines);
        }
        Ok(started.exit.unwrap().last_lines)
    }

    async fn finish(self) {
        self.holder.shutdown_all(Duration::ZERO).await.unwrap();
    }
}

fn spec(id: u64, command: Command, code: PathBuf) -> FrontendSpec {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let env = [("PORT".to_owned(), port.to_string())].into();
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        cpu_millicores: Some(1000),
        pids: Some(20),
    };
    FrontendSpec {
        id: FrontendKey(id),
        code,
        command,
        env,
        port: Some(port),
        limits,
        singleton: false,
    }
}

fn line(line: &str) -> Command {
    Command::Line(line.into())
}

#[tokio::test]
async fn a_frontend_runs_its_code_with_its_variables_and_its_own_directories() {
    let node = Node::start().await;
    let app = "#!/bin/sh\n[ $PORT = $1 ] && echo same port; echo x > $HOME/kept && echo y > $TMPDIR/scratch && cat data.txt\n\
               touch $PWD/new 2>/dev/null || echo code is read-only\n";
    let code = node.code(&[("app", app), ("data.txt", "from the code\n")]);
    let lines = node.run(7, line("./app $PORT"), code).await.unwrap();
    let mut want = vec!["same port", "from the code"];
    let capabilities = node.runtime.capabilities();
    if capabilities.own_uids || capabilities.landlock_abi > 0 {
        want.push("code is read-only");
    } else {
        eprintln!("skipped: code is protected only with root or Landlock");
    }
    assert_eq!(lines, want);

    let home = node.dir.path().join("node/worker/frontends/7");
    assert_eq!(fs::read_to_string(home.join("data/kept")).unwrap(), "x\n");
    let found = fs::metadata(&home).unwrap();
    assert_eq!(found.mode() & 0o777, 0o700);
    if capabilities.own_uids {
        assert_eq!(found.uid(), UIDS.start + 7);
    }
    node.runtime.remove(FrontendKey(7)).await.unwrap();
    node.runtime.remove(FrontendKey(7)).await.unwrap();
    assert!(!home.exists());
    assert!(node.runtime.adopt().await.unwrap().is_empty());
    node.finish().await;
}

#[tokio::test]
async fn interpreters_work_inside_the_sandbox() {
    let node = Node::start().await;
    let server = "import socket, os, tempfile, json, ssl, sqlite3\n\
                  s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
                  try: s.bind(('127.0.0.1', int(os.environ['PORT']))); s.listen()\n\
                  except OSError as e: print(e)\n\
                  t = tempfile.NamedTemporaryFile(); sqlite3.connect(os.path.expanduser('~/db')).execute('create table t(x)')\n\
                  print('python works')\n";
    let code = node.code(&[("app.py", server)]);
    for (id, interpreter, command, want) in [
        (1, "/usr/bin/python3", "python3 app.py", "python works"),
        (
            2,
            "/usr/bin/perl",
            "perl -e 'print qq(perl works\\n)'",
            "perl works",
        ),
    ] {
        if !Path::new(interpreter).exists() {
            eprintln!("skipped: there is no {interpreter}");
            continue;
        }
        let lines = node.run(id, line(command), code.clone()).await.unwrap();
        assert_eq!(lines, [want], "{command}");
    }
    node.finish().await;
}

#[tokio::test]
async fn an_order_repeated_by_a_new_agent_starts_nothing() {
    let node = Node::start().await;
    let code = node.code(&[]);
    let order = spec(3, line("sleep 1000"), code.clone());
    let order = || order.clone();
    let prepared = node.runtime.prepare(order()).await.unwrap();
    let first = node.runtime.start(prepared).await.unwrap();

    let after = ProcessRuntime::new(node.holder.clone(), node.dir.path().join("node"), UIDS)
        .await
        .unwrap();
    assert_eq!(after.adopt().await.unwrap(), std::slice::from_ref(&first));
    let prepared = after.prepare(order()).await.unwrap();
    assert_eq!(after.start(prepared).await.unwrap(), first);
    // Even an order that says something else: the id has been used.
    let prepared = after
        .prepare(spec(3, line("sleep 1001"), code.clone()))
        .await
        .unwrap();
    assert_eq!(after.start(prepared).await.unwrap(), first);

    let usage = after
        .usage(&[FrontendKey(3), FrontendKey(4)])
        .await
        .unwrap();
    assert_eq!(usage.len(), 1);
    assert_eq!(usage[0].processes, 1, "{usage:?}");
    let exit = after
        .stop(FrontendKey(3), Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(
        exit.status,
        ExitStatus::Signal(15),
        "SIGTERM reached the program itself"
    );
    assert!(matches!(
        after.stop(FrontendKey(4), Duration::ZERO).await,
        Err(Error::Unknown(FrontendKey(4)))
    ));
    node.finish().await;
}

#[tokio::test]
async fn a_command_that_cannot_run_says_why() {
    let node = Node::start().await;
    let code = node.code(&[]);
    let words = |word: &str| Command::Words(vec![word.to_owned()]);
    let error = node
        .run(1, words("no-such-app"), code.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotExecutable { .. }));
    assert_eq!(
        error.to_string(),
        "command \"no-such-app\" not found in PATH"
    );
    assert!(!error.is_transient());

    let missing = node
        .runtime
        .prepare(spec(2, line(""), code.clone()))
        .await
        .unwrap_err();
    assert!(matches!(missing, Error::Impossible(_)), "{missing}");

    if node.runtime.capabilities().own_uids {
        // An interpreter under a home directory that is closed to others.
        let closed = node.dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::write(closed.join("tool"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(closed.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let tool = closed.join("tool");
        let error = node
            .run(3, words(tool.to_str().unwrap()), code)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "command {:?} may not be executed for uid 700003",
                tool.to_str().unwrap()
            )
        );
    } else {
        eprintln!("skipped: giving a frontend another uid needs root");
    }
    node.finish().await;
}

#[tokio::test]
async fn frontends_do_not_see_one_another() {
    let node = Node::start().await;
    if !node.runtime.capabilities().own_uids {
        eprintln!("skipped: giving a frontend another uid needs root");
        return node.finish().await;
    }
    let code = node.code(&[]);
    node.run(
        1,
        line("echo secret > $HOME/s; chmod 666 $HOME/s"),
        code.clone(),
    )
    .await
    .unwrap();
    let other = node.dir.path().join("node/worker/frontends/1/data/s");
    assert_eq!(fs::read_to_string(&other).unwrap(), "secret\n");
    let script = format!(
        "cat {} 2>/dev/null || echo not seen; ls {} 2>/dev/null || echo not listed",
        other.display(),
        node.dir.path().join("node/run").display()
    );
    let lines = node.run(2, line(&script), code).await.unwrap();
    assert_eq!(lines, ["not seen", "not listed"]);
    node.finish().await;
}

#[tokio::test]
async fn a_step_runs_once_in_the_place_of_its_frontend_with_a_log_of_its_own() {
    let node = Node::start().await;
    let code = node.code(&[]);
    let run = "echo step >> $HOME/steps; echo told $1; exit 3";
    let words = ["/bin/sh", "-c", run, "sh", "${PORT}"].map(String::from);
    let step = spec(7, Command::Words(words.to_vec()), code.clone());
    let port = step.port.unwrap();
    let exit = node
        .runtime
        .run_step(Step::Init, step.clone())
        .await
        .unwrap();
    assert_eq!(exit.status, ExitStatus::Code(3));
    assert_eq!(exit.last_lines, [format!("told {port}")]);
    let again = node.runtime.run_step(Step::Init, step).await.unwrap();
    assert_eq!(again.status, ExitStatus::Code(3));

    // The frontend has the same directories, and a log without the step's words.
    let lines = node.run(7, line("cat $HOME/steps"), code).await.unwrap();
    assert_eq!(lines, ["step"], "it ran once");
    node.runtime.remove(FrontendKey(7)).await.unwrap();
    assert_eq!(node.holder.list().await.unwrap(), []);
    node.finish().await;
}

#[tokio::test]
async fn a_step_under_way_is_found_and_ends_with_its_frontend() {
    let node = Node::start().await;
    let code = node.code(&[]);
    let step = spec(8, line("echo begun; sleep 600"), code);
    let mut running = Box::pin(node.runtime.run_step(Step::Init, step));
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        loop {
            let found = node.runtime.adopt().await.unwrap();
            if let Some(found) = found.into_iter().find(|found| found.pid.is_some()) {
                return found;
            }
            looks.tick().await;
        }
    });
    let found = tokio::select! {
        found = found => found.unwrap(),
        exit = &mut running => panic!("{exit:?}"),
    };
    assert_eq!(found.id, FrontendKey(8));
    // There is no main process, only the step; both are what it is asked to end.
    let stopped = node.runtime.stop(FrontendKey(8), Duration::ZERO).await;
    assert!(
        matches!(stopped, Err(Error::Unknown(FrontendKey(8)))),
        "{stopped:?}"
    );
    let exit = (&mut running).await.unwrap();
    drop(running);
    assert_eq!(exit.status, ExitStatus::Signal(9));
    node.finish().await;
}
