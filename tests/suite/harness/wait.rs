//! Waiting for a condition, never for an amount of time.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(25);

/// Asks `condition` again and again until it gives a value; its `Err` is the state seen instead.
///
/// Panics after `limit`, naming `what` was awaited and the last state. It blocks its thread: inside
/// an asynchronous test, run the awaited tasks on a multi-threaded runtime.
pub(crate) fn wait_until<T, S: std::fmt::Display>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<T, S>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match condition() {
            Ok(value) => return value,
            Err(state) if Instant::now() >= deadline => {
                panic!("waited {limit:?} for this: {what}. Last seen: {state}")
            }
            Err(_) => std::thread::park_timeout(POLL),
        }
    }
}

/// Runs a future to its end from any thread, also from one that drives a runtime already.
pub(crate) fn block_on<F: Future<Output: Send> + Send>(future: F) -> F::Output {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime for one future");
            runtime.block_on(future)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
