//! What a command that still runs has said until now.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::watch;

/// Longest that a rollout of a few seconds may take with somebody dying in it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Reads along with both outputs of a command, so that it never waits for a reader.
#[derive(Debug)]
pub struct Told {
    out: watch::Receiver<String>,
    err: watch::Receiver<String>,
}

impl Told {
    /// Listens from now on to a command that was started with both outputs piped.
    pub fn by(command: &mut Child) -> Result<Told> {
        Ok(Told {
            out: hear(command.stdout.take().context("it has a standard output")?),
            err: hear(command.stderr.take().context("it has a standard error")?),
        })
    }

    /// Waits until `text` was said on the standard output.
    ///
    /// # Errors
    /// With everything that was said, if it was not said in time or the output ended without it.
    pub async fn until(&mut self, text: &str) -> Result<()> {
        let said = self.out.wait_for(|out| out.contains(text));
        let outcome = match tokio::time::timeout(PATIENCE, said).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(_)) => "it ended before it said",
            Err(_) => "it does not say",
        };
        Err(anyhow!("{outcome} {text:?}:\n{}", self.so_far()))
    }

    /// The standard output, once it has ended.
    ///
    /// # Errors
    /// With everything that was said, if it does not end in time.
    pub async fn to_the_end(&mut self) -> Result<String> {
        let ended = async { while self.out.changed().await.is_ok() {} };
        match tokio::time::timeout(PATIENCE, ended).await {
            Ok(()) => Ok(self.out.borrow().clone()),
            Err(_) => Err(anyhow!("it does not end:\n{}", self.so_far())),
        }
    }

    /// Both outputs, the standard one first.
    pub fn so_far(&self) -> String {
        format!("{}{}", *self.out.borrow(), *self.err.borrow())
    }
}

fn hear(output: impl AsyncRead + Send + Unpin + 'static) -> watch::Receiver<String> {
    let (told, heard) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            told.send_modify(|text| {
                text.push_str(&line);
                text.push('\n');
            });
        }
    });
    heard
}
