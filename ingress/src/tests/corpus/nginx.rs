//! nginx before the same back end, for comparison; only where it is installed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::super::world::PATIENCE;

/// Ended when dropped.
pub(super) struct Nginx {
    pub(super) address: SocketAddr,
    process: Child,
    _directory: tempfile::TempDir,
}

impl Nginx {
    /// None where there is none.
    pub(super) fn before(backend: SocketAddr) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
        let program = program.into_iter().find(|path| Path::new(path).exists())?;
        let directory = tempfile::tempdir().unwrap();
        // Freed at once, and nobody else here asks for a port by number.
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap();
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration(address, backend, directory.path())).unwrap();
        let process = Command::new(program)
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self {
            address,
            process,
            _directory: directory,
        };
        nginx.listens().then_some(nginx)
    }

    fn listens(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What one would write to put nginx before an app, with connections kept.
fn configuration(listen: SocketAddr, backend: SocketAddr, directory: &Path) -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let directory = directory.display();
    let temporary: String = kinds
        .iter()
        .map(|kind| format!("{kind}_temp_path {directory}/{kind};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {directory}/pid;\nerror_log stderr crit;\n\
         events {{}}\nhttp {{\naccess_log off;\n{temporary}\
         upstream app {{ server {backend}; keepalive 8; }}\n\
         server {{\nlisten {listen};\nlocation / {{\nproxy_pass http://app;\n\
         proxy_http_version 1.1;\nproxy_set_header Host $host;\nproxy_set_header Connection \"\";\n\
         }}\n}}\n}}\n"
    )
}
