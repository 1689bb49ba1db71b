//! When a provider ends: when Terraform says so, or when Terraform is gone.

use std::{os::unix::process::parent_id, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use crate::cancel::CancelSource;

/// How soon an orphan notices.
const PARENT_POLL: Duration = Duration::from_secs(1);

/// Starts to watch signals and the parent process.
///
/// Ctrl-C in a terminal reaches the whole process group. Terraform decides what it means and tells its providers through
/// StopProvider, so the signal itself is ignored; only in debug mode, where nobody else ends the process, it does.
pub(super) fn watch(shutdown: CancelSource, debug: bool) {
    for (kind, ends) in [
        (SignalKind::interrupt(), debug),
        (SignalKind::terminate(), true),
    ] {
        let shutdown = shutdown.clone();
        match signal(kind) {
            Err(error) => tracing::warn!(%error, "a signal cannot be watched"),
            Ok(mut signals) => {
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        if ends {
                            shutdown.cancel();
                        }
                    }
                });
            }
        }
    }
    if !debug {
        // Terraform that is killed cannot say goodbye, and nothing else ends what it leaves behind.
        let parent = parent_id();
        tokio::spawn(async move {
            while parent_id() == parent {
                tokio::time::sleep(PARENT_POLL).await;
            }
            tracing::warn!("Terraform is gone");
            shutdown.cancel();
        });
    }
}
