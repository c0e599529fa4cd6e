//! Waiting, and telling meanwhile what for.
//!
//! On a terminal what is waited for stands in one line that changes in place; in a pipe every
//! change is a line of its own. With `-o json` nothing is told until the end.

use std::collections::BTreeSet;

use fleet_proto::v1::progress_client::ProgressClient;
use fleet_proto::v1::{ProgressLine, ProgressOutcome, WaitRequest, WaitTarget};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::connection::Next;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{escape, to_the_second};
use crate::session::Session;

/// Waits until the goal is reached; returns the last line.
///
/// # Errors
/// Exit 1 when it cannot be reached any more, 6 when time is over; both say what was waited for.
pub(crate) async fn wait(
    session: &mut Session,
    target: WaitTarget,
) -> Result<ProgressLine, Failure> {
    follow(session, target, Manner::Waiting).await
}

/// Waits for the end of a promotion, and tells its steps where results are told, in the manner of
/// the predecessor: time, what it happened to, what happened.
///
/// # Errors
/// As [`wait`]. A key press (^C), a lost cluster and `--timeout` end the telling and not the
/// rollout: exit 6, and how to see the rest.
pub(crate) async fn story(
    session: &mut Session,
    target: WaitTarget,
    rest: &str,
) -> Result<ProgressLine, Failure> {
    let told = tokio::select! {
        told = follow(session, target, Manner::Story) => told,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::new(
            Exit::TimedOut,
            "INTERRUPTED",
            "stopped watching; the rollout goes on",
        )),
    };
    told.map_err(|mut failure| {
        if failure.exit == Exit::TimedOut {
            failure.hint = Some(format!("see the rest: {rest}"));
        }
        failure
    })
}

/// Waits until a build is there, and tells what making it says.
///
/// # Errors
/// As [`wait`].
pub(crate) async fn log(
    session: &mut Session,
    target: WaitTarget,
) -> Result<ProgressLine, Failure> {
    follow(session, target, Manner::Log).await
}

/// What is told, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// What is waited for, beside the result.
    Waiting,
    /// What happens, as the result.
    Story,
    /// What a build says, as it says it.
    Log,
}

async fn follow(
    session: &mut Session,
    target: WaitTarget,
    manner: Manner,
) -> Result<ProgressLine, Failure> {
    let connection = session.connection().await?;
    let mut teller = Teller::new(session, manner);
    let last = connection
        .follow(
            &mut teller,
            |teller: &Teller<'_>| {
                let mut target = target.clone();
                target.since_index = target.since_index.max(teller.resume_at());
                target.log_offset = teller.log_offset;
                WaitRequest {
                    target: Some(target),
                }
            },
            |channel, request| async move { ProgressClient::new(channel).wait(request).await },
            |teller, line: ProgressLine| {
                teller.tell(&line)?;
                Ok(if line.r#final {
                    Next::Stop(line)
                } else {
                    Next::More
                })
            },
        )
        .await;
    teller.stop();
    let line = last?;
    match line.outcome() {
        ProgressOutcome::Ok => Ok(line),
        ProgressOutcome::Timeout => Err(Failure::new(Exit::TimedOut, "TIMED_OUT", line.text)),
        ProgressOutcome::Failed | ProgressOutcome::Unspecified => {
            Err(Failure::new(Exit::Failed, "FAILED", line.text))
        }
    }
}

/// Tells lines in the manner of the console.
struct Teller<'a> {
    session: &'a mut Session,
    manner: Manner,
    bar: Option<ProgressBar>,
    /// Last log index seen: where a new stream begins.
    seen: u64,
    told: String,
    /// Bytes of the log of a build step that were told.
    log_offset: u64,
    /// Steps told, by source and text: each happens once in a rollout.
    steps: BTreeSet<(String, String)>,
}

impl<'a> Teller<'a> {
    fn new(session: &'a mut Session, manner: Manner) -> Self {
        let console = &session.console;
        let bar = (console.errors_are_terminal && !console.is_json()).then(spinner);
        Self {
            session,
            manner,
            bar,
            seen: 0,
            told: String::new(),
            log_offset: 0,
            steps: BTreeSet::new(),
        }
    }

    /// Where a new stream is to begin. One log entry may be told in several lines, of which only
    /// some have come: a story asks for the last entry again, and leaves out what it has told.
    fn resume_at(&self) -> u64 {
        match self.manner {
            Manner::Story => self.seen.saturating_sub(1),
            Manner::Waiting | Manner::Log => self.seen,
        }
    }

    fn tell(&mut self, line: &ProgressLine) -> Result<(), Failure> {
        self.seen = self.seen.max(line.log_index);
        self.log_offset = self.log_offset.max(line.log_offset);
        // A failure's last line is the error message; told once is enough.
        let failed = line.r#final && line.outcome() != ProgressOutcome::Ok;
        if self.session.console.is_json() || failed {
            return Ok(());
        }
        match self.manner {
            Manner::Story | Manner::Log => self.tell_step(line),
            Manner::Waiting => {
                self.tell_wait(line);
                Ok(())
            }
        }
    }

    /// One step of the story; what is waited for between steps is for terminals alone.
    fn tell_step(&mut self, line: &ProgressLine) -> Result<(), Failure> {
        if let Some(bar) = &self.bar {
            bar.set_message(escape(&waiting(line)));
        }
        if line.source.is_empty() {
            return Ok(());
        }
        let step = (line.source.clone(), line.text.clone());
        if self.manner == Manner::Story && !self.steps.insert(step) {
            return Ok(());
        }
        let text = match self.manner {
            Manner::Log => line.text.clone(),
            Manner::Story | Manner::Waiting => stamped(line, &what_happened(line)),
        };
        match &self.bar {
            Some(bar) => bar.suspend(|| self.session.console.line(&text)),
            None => self.session.console.line(&text),
        }
    }

    fn tell_wait(&mut self, line: &ProgressLine) {
        let waits = waiting(line);
        if let Some(bar) = &self.bar {
            bar.set_message(escape(&waits));
            if !line.text.is_empty() && line.text != self.told {
                let text = stamped(line, &what_happened(line));
                bar.suspend(|| self.session.console.remark(&text));
            }
            self.told.clone_from(&line.text);
            return;
        }
        let text = if line.text.is_empty() {
            waits
        } else {
            what_happened(line)
        };
        if !text.is_empty() && text != self.told {
            self.session.console.remark(&stamped(line, &text));
            self.told = text;
        }
    }

    fn stop(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The sentence of a line, after what it happened to.
fn what_happened(line: &ProgressLine) -> String {
    if line.source.is_empty() {
        line.text.clone()
    } else {
        format!("{} {}", line.source, line.text)
    }
}

fn stamped(line: &ProgressLine, text: &str) -> String {
    match to_the_second(line.at.as_ref()).as_str() {
        "" => text.to_owned(),
        at => format!("{at} {text}"),
    }
}

/// One line for all that is waited for.
fn waiting(line: &ProgressLine) -> String {
    let mut parts = Vec::new();
    if !line.phase.is_empty() {
        parts.push(line.phase.clone());
    }
    if line.total > 0 {
        parts.push(format!("{}/{}", line.done, line.total));
    }
    parts.extend(line.waiting_for.iter().cloned());
    parts.join(", ")
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}
