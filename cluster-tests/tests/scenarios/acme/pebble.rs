//! An authority to test against: pebble, with a name service that leads every host here.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::ports::Block;
use fleet_cluster_tests::wait;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

use crate::certificates::client::Client;

/// What it refuses to give a certificate for.
pub(super) const BLOCKED: &str = "blocked.example.org";

/// Seconds that its certificates live: they are renewed after two thirds of that.
pub(super) const LIFE: u32 = 45;

const PROGRAMS: [&str; 2] = ["pebble", "pebble-challtestsrv"];

/// Runs until it is dropped.
pub(super) struct Pebble {
    children: Vec<Child>,
    client: Client,
    ports: Block,
    /// File with the authority of its own server.
    pub(super) server_ca: PathBuf,
    dir: PathBuf,
}

/// Why there can be none; `None` when there can.
pub(super) fn missing() -> Option<&'static str> {
    let installed = |program: &&str| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).any(|dir| dir.join(program).is_file())
    };
    PROGRAMS.into_iter().find(|program| !installed(program))
}

impl Pebble {
    /// Starts it. It looks at `http` and `https`, whatever the host.
    pub(super) async fn start(dir: &Path, http: SocketAddr, https: SocketAddr) -> Result<Self> {
        let dir = dir.join("pebble");
        std::fs::create_dir_all(&dir)?;
        let ports = Block::reserve()?;
        let (ca, certificate, key) = server()?;
        let write = |name: &str, text: &str| -> Result<PathBuf> {
            let path = dir.join(name);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        let server_ca = write("ca.pem", &ca)?;
        let config = json!({ "pebble": {
            "listenAddress": ports.api().to_string(),
            "managementListenAddress": ports.http().to_string(),
            "certificate": write("cert.pem", &certificate)?,
            "privateKey": write("key.pem", &key)?,
            "httpPort": http.port(),
            "tlsPort": https.port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "domainBlocklist": [BLOCKED],
            "certificateValidityPeriod": LIFE,
        }});
        let config = write("config.json", &config.to_string())?;
        let mut pebble = Self {
            children: Vec::new(),
            client: Client::trusting_pem(&[&ca])?,
            server_ca,
            dir,
            ports,
        };
        let names = pebble.ports.spare().to_string();
        let unused = [
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-management",
            "",
        ];
        pebble.run(
            Command::new(PROGRAMS[1])
                .args([
                    "-dns01",
                    &names,
                    "-defaultIPv4",
                    "127.0.0.1",
                    "-defaultIPv6",
                    "",
                ])
                .args(unused),
        )?;
        pebble.run(
            Command::new(PROGRAMS[0])
                .arg("-config")
                .arg(config)
                .args(["-dnsserver", &names])
                // At once; many nonces refused, which is as if they were too old; each order looked at.
                .env("PEBBLE_VA_NOSLEEP", "1")
                .env("PEBBLE_WFE_NONCEREJECT", "15")
                .env("PEBBLE_AUTHZREUSE", "0"),
        )?;
        wait::until("pebble to answer", wait::GENEROUS, async || {
            pebble.root().await.map(drop)
        })
        .await
        .with_context(|| pebble.log())?;
        Ok(pebble)
    }

    fn run(&mut self, command: &mut Command) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        self.children.push(child);
        Ok(())
    }

    pub(super) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.ports.api().port())
    }

    /// The certificate by which what it gives is believed: PEM, new at each start.
    pub(super) async fn root(&self) -> Result<String> {
        let answer = self.client.get(self.ports.http(), "localhost", "/roots/0");
        let (status, pem) = answer.await?;
        ensure!(status == 200, "{status}: {pem}");
        Ok(pem)
    }

    /// What it wrote, for the context of a failure.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// PEM of an authority, and of a server on this machine with its key.
fn server() -> Result<(String, String, String)> {
    let named = |name: &str, hosts: Vec<String>| -> Result<CertificateParams> {
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(params)
    };
    let mut ca = named("authority of the test", Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let (ca_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = named("server of the test", hosts)?;
    let server = server.signed_by(&key, &Issuer::from_params(&ca, &ca_key))?;
    let ca = ca.self_signed(&ca_key)?;
    let key = fleet_trust::NodeKey::from_pkcs8(&key.serialize_der())?;
    Ok((
        fleet_trust::certificates_to_pem([ca.der()]),
        fleet_trust::certificates_to_pem([server.der()]),
        fleet_trust::key_to_pem(&key),
    ))
}
