//! Where true or false would be shown, of which the engine would make a word of its own.

use super::conditions::assume;
use super::known::World;
use crate::domain::rules::reads::{Reading, is_order};
use crate::schema::outline::Place;

/// Whether what is read may be true or false itself. `and` and `or` give the first of their values
/// where it decides, and else the second.
pub(super) fn is_one(root: &Place<'_>, reading: &Reading, worlds: &[World]) -> bool {
    let of_a_pair = |one: &Reading, other: &Reading, decides: bool| {
        is_one(root, one, &assume(root, one, decides, worlds))
            || is_one(root, other, &assume(root, one, !decides, worlds))
    };
    match reading {
        Reading::Not(_) | Reading::Is(..) | Reading::Compare(..) => !worlds.is_empty(),
        Reading::Other { name, .. } => is_order(name) && !worlds.is_empty(),
        Reading::And(one, other) => of_a_pair(one, other, false),
        Reading::Or(one, other) => of_a_pair(one, other, true),
        // What a choice gives is looked at by itself.
        Reading::Choice { .. }
        | Reading::Default { .. }
        | Reading::Path(_)
        | Reading::Constant(_)
        | Reading::Anything => false,
    }
}
