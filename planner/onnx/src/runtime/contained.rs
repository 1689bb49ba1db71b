//! Keeps a library's panic from ending the program or writing into the user's terminal.

use std::{
    any::Any,
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    /// Where the last panic inside [`contained`] happened on this thread; `None` outside of it.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs what may panic, and gives the panic's text as the error.
///
/// The panic hook of the process is wrapped once: it stays silent for panics inside this function and passes all others on to
/// whatever hook was there.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static WRAPPED: Once = Once::new();
    WRAPPED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let inside = PLACE.with(|place| {
                let Ok(mut place) = place.try_borrow_mut() else {
                    return false;
                };
                let Some(place) = place.as_mut() else {
                    return false;
                };
                *place = info
                    .location()
                    .map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
                true
            });
            if !inside {
                before(info);
            }
        }));
    });
    let outer = PLACE.with(|place| place.replace(Some(String::new())));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let place = PLACE.with(|place| place.replace(outer)).unwrap_or_default();
    result.map_err(|panic| format!("{}{place}", text(panic.as_ref())))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_text_and_place() {
        assert_eq!(contained(|| 7), Ok(7));
        let error = contained(|| {
            let row = 3;
            panic!("no row {row}")
        });
        let error: String = error.map(|(): ()| String::new()).unwrap_err();
        assert!(
            error.starts_with("no row 3 at ") && error.contains("contained.rs:"),
            "{error}"
        );
        let nested = contained(|| contained(|| panic!("inner")).map(|(): ()| ()));
        assert!(nested.is_ok_and(|inner| inner.is_err_and(|text| text.starts_with("inner"))));
    }
}
