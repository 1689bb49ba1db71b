//! Cancellation: Terraform's wish to stop, handed to whatever is running.
//!
//! StopProvider ends what is in flight and not what comes after it, so a source counts the wishes instead of keeping one
//! flag, and a token is cancelled when the count has moved on since the token was made.

use std::{future::pending, sync::Arc};

use tokio::sync::watch;

/// Tells a handler that its answer is no longer wanted: the user pressed Ctrl-C, or Terraform hung up.
///
/// A read is abandoned then, at its next `await` or, if it computes without one, when it ends; it may look at
/// [`Cancel::is_cancelled`] to end sooner. Applying a change is never abandoned, because its result would be lost: it may
/// look at this and return early with what it achieved.
#[derive(Debug, Clone)]
pub struct Cancel {
    stop: watch::Receiver<u64>,
    since: u64,
    /// Closed when the request that this token belongs to is dropped.
    request: Option<watch::Receiver<()>>,
}

impl Cancel {
    /// A token that is never cancelled, for tests of handlers.
    #[must_use]
    pub fn never() -> Self {
        CancelSource::default().token()
    }

    /// Has Terraform asked to stop?
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.stop.borrow() != self.since
            || self
                .request
                .as_ref()
                .is_some_and(|request| request.has_changed().is_err())
    }

    /// Waits until Terraform asks to stop.
    pub async fn cancelled(&self) {
        let (mut stop, mut request) = (self.stop.clone(), self.request.clone());
        let stopped = async {
            // A source that is gone cannot cancel any more.
            if stop.wait_for(|count| *count != self.since).await.is_err() {
                pending::<()>().await;
            }
        };
        let dropped = async {
            match &mut request {
                Some(request) => while request.changed().await.is_ok() {},
                None => pending().await,
            }
        };
        tokio::select! {
            () = stopped => {}
            () = dropped => {}
        }
    }
}

/// Where wishes to stop come from.
#[derive(Debug, Clone)]
pub(crate) struct CancelSource(Arc<watch::Sender<u64>>);

impl Default for CancelSource {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl CancelSource {
    /// Cancels all tokens made so far.
    pub(crate) fn cancel(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    pub(crate) fn token(&self) -> Cancel {
        let stop = self.0.subscribe();
        let since = *stop.borrow();
        Cancel {
            stop,
            since,
            request: None,
        }
    }

    /// A token that is also cancelled when the returned guard is dropped.
    pub(crate) fn request_token(&self) -> (Cancel, watch::Sender<()>) {
        let (guard, request) = watch::channel(());
        (
            Cancel {
                request: Some(request),
                ..self.token()
            },
            guard,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_cancels_what_runs_and_not_what_comes_after() {
        let source = CancelSource::default();
        let before = source.token();
        assert!(!before.is_cancelled());
        source.cancel();
        assert!(before.is_cancelled());
        before.cancelled().await;
        assert!(!source.token().is_cancelled());
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_cancels_its_token_alone() {
        let source = CancelSource::default();
        let (token, guard) = source.request_token();
        let other = source.token();
        assert!(!token.is_cancelled());
        drop(guard);
        assert!(token.is_cancelled());
        token.cancelled().await;
        assert!(!other.is_cancelled());
    }
}
