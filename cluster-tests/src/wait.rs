//! Waiting for a condition with a deadline: the only sleep that tests have.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How often a condition is looked at. Short against everything fleet does in a second, long enough
/// not to take the processor from the daemons that are being waited for.
const POLL: Duration = Duration::from_millis(40);

/// Long enough for anything that happens within seconds on an idle machine to happen on one that is
/// shared with a compiler.
pub const GENEROUS: Duration = Duration::from_secs(60);

/// Repeats `check` until it answers `Ok`, at most for `within`.
///
/// `Err` means "not yet"; the last one becomes the cause of the error when time is up, so that a
/// failed test says what it saw and not only what it wanted.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut check: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        match check().await {
            Ok(value) => return Ok(value),
            Err(last) if began.elapsed() >= within => {
                return Err(last.context(format!("waited {within:?} for {what}")));
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// [`until`] for a condition without a value, with the default deadline.
pub async fn until_true(what: &str, mut check: impl AsyncFnMut() -> bool) -> Result<()> {
    until(what, GENEROUS, async || {
        if check().await {
            Ok(())
        } else {
            Err(anyhow!("it is not so yet"))
        }
    })
    .await
}

/// Looks again and again until `check` is true or time is up, on this thread: for teardown, which
/// also happens where nothing can be awaited.
pub fn blocking(within: Duration, mut check: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !check() {
        if began.elapsed() >= within {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// Watches for the whole of `span` that `check` stays `Ok`: for things that must *not* happen.
pub async fn holds_for(
    what: &str,
    span: Duration,
    mut check: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < span {
        if let Err(cause) = check().await {
            return Err(cause.context(format!("{what} held only for {:?}", began.elapsed())));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_reason_is_told() {
        let mut looked = 0;
        let outcome: Result<()> = until("the impossible", Duration::from_millis(1), async || {
            looked += 1;
            Err(anyhow!("look {looked} found nothing"))
        })
        .await;
        let text = format!("{:#}", outcome.expect_err("it never comes"));
        assert!(
            text.starts_with("waited 1ms for the impossible: look "),
            "{text}"
        );
    }
}
