//! The proxies, each with one worker thread and the same hosts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::backend::Backend;
use super::entry::Certificate;
use super::{load, lone};
use crate::cluster::Cluster;
use crate::wait;
use crate::workload;

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub struct Contender {
    pub name: &'static str,
    pub(super) http1: SocketAddr,
    pub(super) http2: SocketAddr,
    pub(super) https: SocketAddr,
    process: Child,
}

/// Ours, and those of haproxy and nginx that are installed.
pub(super) async fn start(
    cluster: &mut Cluster,
    backend: &Backend,
    certificate: &Certificate,
    routes: usize,
) -> Result<Vec<Contender>> {
    let (process, address) = lone::start(cluster, backend.address, certificate, routes).await?;
    let mut contenders = vec![Contender {
        name: "fleet",
        http1: address,
        http2: address,
        https: cluster.nodes[0].https(),
        process,
    }];
    // No frontend of the node runs, so their ports are free.
    let ports = cluster.nodes[0].ports.frontends();
    let mut ports = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    for (name, peer) in [("haproxy", haproxy as Peer), ("nginx", nginx as Peer)] {
        let Some(program) = installed(name) else {
            continue;
        };
        let mut port = || ports.next().context("no port is free");
        let [http1, http2, https] = [port()?, port()?, port()?];
        let dir = cluster.path().join(format!("{name}-{routes}"));
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("certificate.pem"), &certificate.pem)?;
        let (configuration, flags) = peer(&dir, [http1, http2, https], backend.address, routes)?;
        let file = dir.join("configuration");
        std::fs::write(&file, configuration)?;
        let process = Command::new(program)
            .args(flags)
            .arg(&file)
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("errors"))?)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let contender = Contender {
            name,
            http1,
            http2,
            https,
            process,
        };
        wait::until(&format!("{name} to answer"), wait::GENEROUS, async || {
            let answer = workload::get(http1, &load::host(routes - 1), "/").await;
            let errors = std::fs::read_to_string(dir.join("errors")).unwrap_or_default();
            ensure!(answer.succeeded(), "{:?}\n{errors}", answer.outcome);
            Ok(())
        })
        .await?;
        contenders.push(contender);
    }
    Ok(contenders)
}

impl Contender {
    /// Processor time of its process until now, in the kernel's steps of 10 ms.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, rest) = text.rsplit_once(')').context("a stat line has a name")?;
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Duration::from_millis(10 * ticks.iter().sum::<u64>()))
    }

    pub(super) fn resident_mib(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        let kib: f64 = kib.context("no resident size")?.trim().parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Writes a configuration for the three addresses (HTTP/1.1, HTTP/2, TLS), and says how it is given.
type Peer =
    fn(&Path, [SocketAddr; 3], SocketAddr, usize) -> Result<(String, &'static [&'static str])>;

fn haproxy(
    dir: &Path,
    [http1, http2, https]: [SocketAddr; 3],
    backend: SocketAddr,
    routes: usize,
) -> Result<(String, &'static [&'static str])> {
    let map = dir.join("hosts");
    let lines: String = (0..routes)
        .map(|number| format!("{} app\n", load::host(number)))
        .collect();
    std::fs::write(&map, lines)?;
    let configuration = format!(
        "global\n  nbthread 1\n  maxconn 9900\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 300s\n  timeout server 30s\n  \
         option forwardfor\n\
         frontend entry\n  bind {http1}\n  bind {http2} proto h2\n  \
         bind {https} ssl crt {} ssl-min-ver TLSv1.3\n  \
         use_backend %[req.hdr(host),lower,map({})]\n\
         backend app\n  http-reuse always\n  server s0 {backend}\n  server s1 {backend}\n",
        dir.join("certificate.pem").display(),
        map.display()
    );
    Ok((configuration, &["-db", "-f"]))
}

fn nginx(
    dir: &Path,
    [http1, http2, https]: [SocketAddr; 3],
    backend: SocketAddr,
    routes: usize,
) -> Result<(String, &'static [&'static str])> {
    let names: Vec<String> = (0..routes).map(load::host).collect();
    let names = names.join("\n");
    let dir = dir.display();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds
        .iter()
        .map(|kind| format!("{kind}_temp_path {dir}/{kind};\n"))
        .collect();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid {dir}/pid;\nerror_log stderr;\n\
         events {{ worker_connections 24000; }}\nhttp {{\naccess_log off;\n{temporary}\
         keepalive_requests 100000000;\nkeepalive_timeout 300s;\nhttp2_max_requests 100000000;\n\
         server_names_hash_max_size 65536;\nserver_names_hash_bucket_size 128;\n\
         ssl_protocols TLSv1.3; ssl_certificate {dir}/certificate.pem;\n\
         ssl_certificate_key {dir}/certificate.pem;\n\
         upstream app {{ server {backend}; server {backend}; keepalive 128;\n\
         keepalive_requests 100000000; }}\n\
         server {{ listen {http1}; listen {http2} http2; listen {https} ssl; server_name {names};\n\
         location / {{ proxy_pass http://app; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
         proxy_set_header X-Forwarded-For $remote_addr; }} }}\n\
         server {{ listen {http1} default_server; listen {http2} default_server http2;\n\
         return 404; }}\n}}\n"
    );
    Ok((configuration, &["-e", "stderr", "-c"]))
}

fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
}
