//! Whatever stands in the configuration file gives a configuration, or mistakes with their places.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use line_bridge::config::{Config, Strictness};

fuzz_target!(|text: &str| {
    let nothing = |_: &str| None;
    let path = Path::new("line-bridge.yaml");
    match Config::from_text(text, path, &nothing, Strictness::Check, &mut ()) {
        Ok(loaded) => assert_eq!(loaded.config.hash().len(), 12),
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty(), "refused without a mistake");
            for mistake in &mistakes.0 {
                assert!(mistake.to_string().starts_with("line-bridge.yaml"), "{mistake}");
            }
        }
    }
});
