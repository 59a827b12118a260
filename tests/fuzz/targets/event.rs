//! Whatever bytes a record has become an event or a rejection, and never a panic. A rejection's
//! detail is short and one line, for it becomes a header.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use line_bridge::schema::Schema;

static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let topics = ["orders", "payments", "appointments", "logins", "deliveries"];
    topics
        .iter()
        .map(|topic| Schema::load(&root.join(topic).with_extension("json")).unwrap())
        .collect()
});

fuzz_target!(|value: &[u8]| {
    for schema in SCHEMAS.iter() {
        match schema.decode(value) {
            Ok(event) => {
                let text = serde_json::to_vec(&event).unwrap();
                assert_eq!(
                    schema.decode(&text).as_ref(),
                    Ok(&event),
                    "it is the same written again"
                );
            }
            Err(rejection) => {
                assert!(
                    rejection.detail.len() <= 4_096,
                    "{} bytes of detail",
                    rejection.detail.len()
                );
            }
        }
    }
});
