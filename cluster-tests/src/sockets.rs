//! WebSockets that are held open through whatever happens, and opened again when they are ended.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::wait;
use crate::websocket::{Heard, WebSocket};

/// How often each says something.
const PACE: Duration = Duration::from_millis(100);

/// One from its opening to its end.
#[derive(Clone, Debug)]
pub struct Life {
    pub ingress: SocketAddr,
    /// Before the connection was begun.
    pub begun: Instant,
    /// When the first answer on it had come.
    pub opened: Instant,
    /// Who answered, the first time and ever after.
    pub answered_by: String,
    /// Answers on it.
    pub answers: usize,
    /// When it ended, and how; `None` while it lives, or if it lived to the end of the test.
    pub ended: Option<(Instant, Heard)>,
}

/// Sockets at work; ends with [`Sockets::stop`].
#[derive(Debug)]
pub struct Sockets {
    lives: Arc<Mutex<Vec<Life>>>,
    stop: watch::Sender<bool>,
    holders: JoinSet<Result<()>>,
}

impl Sockets {
    /// Holds so many at each ingress.
    pub fn hold(ingresses: &[SocketAddr], each: usize, host: &str, path: &str) -> Sockets {
        let lives = Arc::new(Mutex::new(Vec::new()));
        let stop = watch::Sender::new(false);
        let mut holders = JoinSet::new();
        for ingress in ingresses
            .iter()
            .flat_map(|ingress| std::iter::repeat_n(*ingress, each))
        {
            let (host, path) = (host.to_owned(), path.to_owned());
            let (lives, mut stopped) = (Arc::clone(&lives), stop.subscribe());
            holders.spawn(async move {
                while !*stopped.borrow() {
                    live(ingress, (&host, &path), &lives, &mut stopped)
                        .await
                        .with_context(|| format!("a WebSocket at {ingress}"))?;
                }
                Ok(())
            });
        }
        Sockets {
            lives,
            stop,
            holders,
        }
    }

    /// What was seen until now.
    pub fn so_far(&self) -> Vec<Life> {
        self.lives
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends all and returns everything; an error if one was refused, broke off or told nonsense.
    pub async fn stop(mut self) -> Result<Vec<Life>> {
        self.stop.send_replace(true);
        while let Some(held) = self.holders.join_next().await {
            held??;
        }
        Ok(self.so_far())
    }
}

/// From an opening to the end.
async fn live(
    ingress: SocketAddr,
    (host, path): (&str, &str),
    lives: &Mutex<Vec<Life>>,
    stopped: &mut watch::Receiver<bool>,
) -> Result<()> {
    let begun = Instant::now();
    let mut socket = WebSocket::open(ingress, host, path).await?;
    let mut pace = tokio::time::interval(PACE);
    let mut place = None;
    loop {
        let heard = tokio::select! {
            heard = socket.hear() => heard?,
            _ = pace.tick() => {
                // The other side may be about to end it; what it says then is heard next.
                drop(socket.say("who?").await);
                continue;
            }
            _ = stopped.changed() => return Ok(()),
        };
        let mut lives = lives.lock().unwrap_or_else(PoisonError::into_inner);
        match (heard, place) {
            (Heard::Text(by), None) => {
                place = Some(lives.len());
                lives.push(Life {
                    ingress,
                    begun,
                    opened: Instant::now(),
                    answered_by: by,
                    answers: 1,
                    ended: None,
                });
            }
            (Heard::Text(by), Some(place)) => {
                let life = &mut lives[place];
                if life.answered_by != by {
                    bail!("{} answered on it, and then {by}", life.answered_by);
                }
                life.answers += 1;
            }
            (end, Some(place)) => {
                lives[place].ended = Some((Instant::now(), end));
                return Ok(());
            }
            (end, None) => bail!("it ended before anybody answered: {end:?}"),
        }
    }
}

/// Waits until so many live.
pub async fn living(sockets: &Sockets, count: usize) -> Result<()> {
    wait::until("WebSockets to live", wait::GENEROUS, async || {
        let living = sockets
            .so_far()
            .iter()
            .filter(|life| life.ended.is_none())
            .count();
        match living >= count {
            true => Ok(()),
            false => bail!("{living} of {count} live"),
        }
    })
    .await
}
