//! Namespaces, the wires between them, and that none is left.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail, ensure};

use super::thread;

/// A test process may have more than one network.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Nodes that one network has room for: four addresses each, and four for the test.
const MOST: usize = 60;

/// A network of its own for one cluster; everything of it goes with the value.
#[derive(Debug)]
pub struct Lan {
    /// Begins the name of everything that belongs to it.
    name: String,
    seats: Vec<Seat>,
    pub(super) cuts: Cell<u32>,
}

/// Where the processes of one node run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    pub namespace: String,
    pub address: Ipv4Addr,
    /// The port of the router it hangs on.
    pub(super) port: String,
}

impl Seat {
    /// A command that runs `program` here.
    pub fn command(&self, program: &std::path::Path) -> Command {
        // Not `ip netns exec`: that hides the cgroups under a new /sys.
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .arg("--")
            .arg(program);
        command
    }

    /// Whether a connection from here to `address` is accepted before long.
    pub fn reaches(&self, address: SocketAddr) -> Result<bool> {
        thread::connects(&self.namespace, address)
    }
}

impl Lan {
    /// Whether this machine lets us make one; why not, otherwise.
    pub fn possible() -> Result<()> {
        let name = format!("fleet-{}-try", std::process::id());
        ip(&["netns", "add", &name])?;
        ip(&["netns", "del", &name])
    }

    /// A network with room for `count` nodes.
    pub fn create(count: usize) -> Result<Lan> {
        ensure!(count <= MOST, "{count} nodes are too many");
        let pid = std::process::id();
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let mut lan = Lan {
            name: format!("fleet-{pid}-{made}"),
            seats: Vec::new(),
            cuts: Cell::new(0),
        };
        let net = [10, 64 + (pid % 128) as u8, ((pid / 128 + made) % 256) as u8];
        for what in ["lan", "sink"] {
            ip(&["netns", "add", &lan.of(what)])?;
        }
        // The test itself sits in the namespace it was started in.
        let tester = format!("fl{pid}x{made}");
        lan.wire("tester", &tester, None, host(net, 0, 1))?;
        ip(&[
            "addr",
            "add",
            &format!("{}/30", host(net, 0, 2)),
            "dev",
            &tester,
        ])?;
        ip(&["link", "set", "dev", &tester, "up"])?;
        let whole = format!("{}/24", host(net, 0, 0));
        let router = host(net, 0, 1).to_string();
        ip(&["route", "add", &whole, "via", &router])?;
        for number in 1..=count {
            lan.seat_node(net, number)?;
        }
        run(Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", lan.of("lan")))
            .args([
                "--",
                "/bin/sh",
                "-c",
                "echo 1 > /proc/sys/net/ipv4/ip_forward",
            ]))?;
        Ok(lan)
    }

    fn seat_node(&mut self, net: [u8; 3], number: usize) -> Result<()> {
        let namespace = self.of(&format!("n{number}"));
        ip(&["netns", "add", &namespace])?;
        let (router, address) = (host(net, number, 1), host(net, number, 2));
        let port = format!("port{number}");
        self.wire(&port, "eth0", Some(&namespace), router)?;
        let inside = ["-n", &namespace];
        let add = format!("{address}/30");
        ip_in(inside, &["addr", "add", &add, "dev", "eth0"])?;
        for device in ["eth0", "lo"] {
            ip_in(inside, &["link", "set", "dev", device, "up"])?;
        }
        ip_in(
            inside,
            &["route", "add", "default", "via", &router.to_string()],
        )?;
        self.seats.push(Seat {
            namespace,
            address,
            port,
        });
        Ok(())
    }

    /// A wire from the router's `port` to `device` elsewhere; the router's end has `address`.
    fn wire(&self, port: &str, device: &str, to: Option<&str>, address: Ipv4Addr) -> Result<()> {
        let lan = self.of("lan");
        let inside = ["-n", lan.as_str()];
        let mut add = vec!["link", "add", port, "type", "veth", "peer", "name", device];
        // Without a name: the namespace of whoever asks, which is this process.
        let own = std::process::id().to_string();
        add.extend(["netns", to.unwrap_or(&own)]);
        ip_in(inside, &add)?;
        ip_in(
            inside,
            &["addr", "add", &format!("{address}/30"), "dev", port],
        )?;
        ip_in(inside, &["link", "set", "dev", port, "up"])
    }

    /// Where node `index` (from 0) sits.
    pub fn seat(&self, index: usize) -> Result<&Seat> {
        let seat = self.seats.get(index);
        seat.with_context(|| format!("there is no seat {index} of {}", self.seats.len()))
    }

    pub(super) fn of(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }
}

impl Drop for Lan {
    /// Devices go with their namespaces, the test's own end with the other one.
    #[expect(
        clippy::print_stderr,
        reason = "nobody else could say what is left on the machine"
    )]
    fn drop(&mut self) {
        let seats = self.seats.iter().map(|seat| seat.namespace.clone());
        for namespace in seats.chain(["lan", "sink"].map(|what| self.of(what))) {
            if std::path::Path::new("/run/netns").join(&namespace).exists()
                && let Err(error) = ip(&["netns", "del", &namespace])
            {
                eprintln!("the network namespace {namespace} is left: {error:#}");
            }
        }
    }
}

fn host(net: [u8; 3], number: usize, part: u8) -> Ipv4Addr {
    let [a, b, c] = net;
    Ipv4Addr::new(a, b, c, 4 * number as u8 + part)
}

pub(super) fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments)).map(drop)
}

pub(super) fn ip_in(inside: [&str; 2], arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(inside).args(arguments)).map(drop)
}

pub(super) fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}", errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
