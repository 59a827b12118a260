//! What other clients have written where rdkafka takes UTF-8 for granted: the names of headers, and
//! the metadata of commits. Kafka takes any bytes there, and rdkafka panics on what is not UTF-8.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// Reads; none where rdkafka panics.
pub(super) fn read<T>(reading: impl FnOnce() -> T) -> Option<T> {
    READING.set(true);
    let read = panic::catch_unwind(AssertUnwindSafe(reading));
    READING.set(false);
    read.ok()
}

/// Keeps such panics from being written to standard error: they are no fault of the program, and
/// whoever may write records could fill the log with them.
pub fn silence_expected_panics() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !READING.get() {
            others(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_more_than_nothing_read() {
        assert_eq!(read(|| 1), Some(1));
        assert_eq!(read(|| -> i32 { panic!("not UTF-8") }), None);
        assert!(!READING.get());
    }
}
