//! Where true or false would be shown, of which the engine would make a word of its own.

use super::conditions::assume;
use super::known::World;
use super::needs;
use crate::domain::rules::reads::Reading;
use crate::schema::outline::{Kinds, Place};

/// Whether what is read may be true or false itself. `and` and `or` give the first of their values
/// where it decides, and else the second.
pub(super) fn is_one(root: &Place<'_>, reading: &Reading, worlds: &[World]) -> bool {
    let of_a_pair = |one: &Reading, other: &Reading, decides: bool| {
        is_one(root, one, &assume(root, one, decides, worlds))
            || is_one(root, other, &assume(root, one, !decides, worlds))
    };
    match reading {
        Reading::Not(_) | Reading::Is(..) | Reading::Compare(..) | Reading::Other { .. } => {
            let is_boolean = |(_, kinds)| kinds == Kinds::BOOLEAN;
            !worlds.is_empty() && needs::result(reading).is_some_and(is_boolean)
        }
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
