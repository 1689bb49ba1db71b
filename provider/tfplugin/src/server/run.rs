//! Running one handler: on a thread of its own, stoppable, its panic caught.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tokio::runtime::Handle;

use super::Server;
use crate::{
    Cancel, Provider,
    diagnostic::{Diagnostic, Diagnostics},
};

/// What happens to a handler when Terraform asks to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnStop {
    /// It changed nothing yet, so its answer can be given up.
    Abandon,
    /// It changes the world; what it achieved must reach the state.
    Finish,
}

impl<P: Provider> Server<P> {
    /// Runs a handler to its end, or to Terraform's wish to stop. `what` names it in messages.
    pub(super) async fn run<T, F>(
        &self,
        what: &str,
        on_stop: OnStop,
        handler: impl FnOnce(Cancel) -> F + Send + 'static,
    ) -> Result<T, Diagnostics>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        // Dropped with this future, that is when Terraform hangs up.
        let (cancel, _guard) = self.stop.request_token();
        let runtime = Handle::current();
        let seen_by_handler = cancel.clone();
        let thread = tokio::task::spawn_blocking(move || {
            runtime.block_on(async {
                let stopped = seen_by_handler.clone();
                let handled = async { Some(handler(seen_by_handler).await) };
                match on_stop {
                    OnStop::Finish => handled.await,
                    OnStop::Abandon => tokio::select! {
                        biased;
                        answer = handled => answer,
                        () = stopped.cancelled() => None,
                    },
                }
            })
        });
        // A handler that computes without an `await` does not see the stop; its thread is left to itself then.
        let outcome = match on_stop {
            OnStop::Finish => thread.await,
            OnStop::Abandon => tokio::select! {
                biased;
                outcome = thread => outcome,
                () = cancel.cancelled() => Ok(None),
            },
        };
        match outcome {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Diagnostic::error(
                "Cancelled",
                format!("{what} was stopped before it was done."),
            )
            .into()),
            Err(error) => {
                let message = match error.try_into_panic() {
                    Ok(panic) => panic_message(panic.as_ref()),
                    Err(_) => "the server is shutting down".to_owned(),
                };
                Err(Diagnostic::error(
                    "The provider failed",
                    format!("{what} panicked: {message}\n\nThis is a bug in the provider; please report it."),
                )
                .into())
            }
        }
    }
}

/// Runs what needs no thread of its own; a panic becomes its message.
pub(super) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|panic| format!("the provider panicked: {}", panic_message(panic.as_ref())))
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
