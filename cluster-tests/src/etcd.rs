//! Three local etcd processes, for comparison: started, asked and killed as our own nodes are.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ports::Block;
use crate::wait;

/// How long one question may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Timers, as etcd's flags have them. The election timeout is the shortest; etcd draws between it
/// and twice as long.
#[derive(Debug, Clone, Copy)]
pub struct Timers {
    pub heartbeat_ms: u32,
    pub election_ms: u32,
}

/// A cluster of three members on loopback. Its processes end with the value.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: String,
    ports: Block,
    arguments: Vec<String>,
    program: PathBuf,
    child: Option<Child>,
}

impl Etcd {
    /// Starts three members below `root` and waits until they take writes.
    pub async fn start(program: &Path, root: &Path, timers: Timers) -> Result<Etcd> {
        let blocks: Vec<Block> = (0..3).map(|_| Block::reserve()).collect::<Result<_>>()?;
        let peers: Vec<String> = blocks
            .iter()
            .enumerate()
            .map(|(index, ports)| format!("m{index}=http://{}", ports.http()))
            .collect();
        let peers = peers.join(",");
        let mut etcd = Etcd {
            members: Vec::new(),
        };
        for (index, ports) in blocks.into_iter().enumerate() {
            let name = format!("m{index}");
            let (client, peer) = (
                format!("http://{}", ports.api()),
                format!("http://{}", ports.http()),
            );
            let dir = root.join(&name).to_string_lossy().into_owned();
            let flags = [
                ("--name", &name),
                ("--data-dir", &dir),
                ("--listen-client-urls", &client),
                ("--advertise-client-urls", &client),
                ("--listen-peer-urls", &peer),
                ("--initial-advertise-peer-urls", &peer),
                ("--initial-cluster", &peers),
                ("--heartbeat-interval", &timers.heartbeat_ms.to_string()),
                ("--election-timeout", &timers.election_ms.to_string()),
            ];
            let arguments = flags
                .iter()
                .flat_map(|(flag, value)| [(*flag).to_owned(), (*value).clone()])
                .collect();
            etcd.members.push(Member {
                name,
                ports,
                arguments,
                program: program.to_path_buf(),
                child: None,
            });
        }
        for index in 0..3 {
            etcd.restart(index)?;
        }
        etcd.ready().await?;
        Ok(etcd)
    }

    /// Starts a member (again) on its data.
    pub fn restart(&mut self, index: usize) -> Result<()> {
        let member = &mut self.members[index];
        let child = Command::new(&member.program)
            .args(&member.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting etcd {}", member.name))?;
        member.child = Some(child);
        Ok(())
    }

    /// Kills a member at once.
    pub fn kill(&mut self, index: usize) -> Result<()> {
        if let Some(mut child) = self.members[index].child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Where every member answers clients.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.members
            .iter()
            .map(|member| member.ports.api())
            .collect()
    }

    /// Waits until all three follow one leader; returns its position.
    pub async fn ready(&self) -> Result<usize> {
        wait::until("etcd to have a leader", wait::GENEROUS, async || {
            let mut leaders = Vec::new();
            for address in self.addresses() {
                let status = post(address, "/v3/maintenance/status", "{}").await?;
                let id = |value: &serde_json::Value| value.as_str().map(str::to_owned);
                let (own, leader) = (id(&status["header"]["member_id"]), id(&status["leader"]));
                let leader = leader.filter(|leader| leader != "0").context("no leader")?;
                leaders.push((own == Some(leader.clone()), leader));
            }
            ensure!(
                leaders.iter().all(|(_, leader)| *leader == leaders[0].1),
                "{leaders:?}"
            );
            let leads = leaders.iter().position(|(leads, _)| *leads);
            leads.with_context(|| format!("{leaders:?}"))
        })
        .await
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for index in 0..self.members.len() {
            // A member that is gone already is what is wanted.
            drop(self.kill(index));
        }
    }
}

/// Writes one key; returns once a majority has it.
pub async fn put(address: SocketAddr) -> Result<()> {
    // "key" and "value", in base64.
    let body = r#"{"key":"a2V5","value":"dmFsdWU="}"#;
    post(address, "/v3/kv/put", body).await.map(drop)
}

/// One question to etcd's JSON gateway, over a connection of its own.
async fn post(address: SocketAddr, path: &str, body: &str) -> Result<serde_json::Value> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).with_context(|| answer.clone())
    };
    tokio::time::timeout(CALL_TIMEOUT, asked)
        .await
        .map_err(|_| anyhow!("{address} does not answer"))?
}
