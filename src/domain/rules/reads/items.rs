//! What a filter or a loop reads of the items of a list.

use std::collections::BTreeMap;

use minijinja::machinery::ast::{self, CallArg, Expr};
use serde_json::Value as Json;

use super::filters::needs_of;
use super::lower::{Names, reading};
use super::{Items, Need, Path, Reading, Step};

/// The filters that give the items of their list, and whether none is left out for what it is like.
const GIVE_ITEMS: [(&str, bool); 8] = [
    ("list", true),
    ("reject", false),
    ("rejectattr", false),
    ("reverse", true),
    ("select", false),
    ("selectattr", false),
    ("sort", true),
    ("unique", true),
];

/// The arguments of a filter.
struct Arguments<'f, 's> {
    filter: &'f str,
    positional: Vec<&'f Expr<'s>>,
    named: BTreeMap<&'f str, &'f Expr<'s>>,
}

impl<'f, 's> Arguments<'f, 's> {
    /// None where one of them is unpacked, so that nothing is known of them.
    fn of(filter: &'f ast::Filter<'s>) -> Option<Self> {
        let (mut positional, mut named) = (Vec::new(), BTreeMap::new());
        for argument in &filter.args {
            match argument {
                CallArg::Pos(value) => positional.push(value),
                CallArg::Kwarg(name, value) => drop(named.insert(*name, value)),
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => return None,
            }
        }
        Some(Self { filter: filter.name, positional, named })
    }

    fn get(&self, position: Option<usize>, name: &str) -> Option<&'f Expr<'s>> {
        let by_position = position.and_then(|position| self.positional.get(position));
        by_position.or_else(|| self.named.get(name)).copied()
    }

    /// What names the attribute that is taken of each item.
    fn attribute(&self) -> Option<&'f Expr<'s>> {
        let position = match self.filter {
            "groupby" | "rejectattr" | "selectattr" | "sum" => Some(0),
            "join" => Some(1),
            "map" | "max" | "min" | "sort" | "unique" => None,
            _ => return None,
        };
        self.get(position, "attribute")
    }

    /// What is needed of each item, or of its attribute.
    fn need(&self) -> Option<Need> {
        match self.filter {
            "join" => Some(Need::Text),
            "sum" => {
                let start = self.get(Some(1), "start").map(Expr::as_const);
                let is_number = start.is_none_or(|start| start.is_some_and(|it| it.is_number()));
                // To a list, lists are added.
                Some(if is_number { Need::Summed } else { Need::Value })
            }
            "map" => {
                let by = self.positional.first()?.as_const()?;
                Some(needs_of(by.as_str()?, self.positional.len() > 1)?.0)
            }
            _ => None,
        }
    }
}

/// What a filter reads of each item: of an attribute, as in `sum(attribute="price")`, or of the item.
pub(super) fn read_by(filter: &ast::Filter<'_>, names: &Names) -> Option<(Need, Reading)> {
    let arguments = Arguments::of(filter)?;
    let list = filter.expr.as_ref()?;
    if let Some(attribute) = arguments.attribute() {
        return of_attribute(&arguments, attribute, list, names);
    }
    let need = arguments.need()?;
    // Of what a `map` before it has taken of the items.
    if let Expr::Filter(map) = list
        && map.name == "map"
    {
        let arguments = Arguments::of(map)?;
        let (taken, attribute) =
            of_attribute(&arguments, arguments.attribute()?, map.expr.as_ref()?, names)?;
        return (taken == Need::Defined).then_some((need, attribute));
    }
    let found = Found::of(list, names)?;
    found.any.then(|| (need, found.reading([])))
}

fn of_attribute(
    arguments: &Arguments<'_, '_>,
    attribute: &Expr<'_>,
    list: &Expr<'_>,
    names: &Names,
) -> Option<(Need, Reading)> {
    let attribute = attribute.as_const()?;
    let attribute = attribute.as_str()?;
    if arguments.filter == "sort" && attribute.contains(',') {
        return None;
    }
    let steps = attribute.split('.').map(|step| match step.parse() {
        Ok(index) => Step::Index(index),
        Err(_) => Step::Name(step.to_owned()),
    });
    let found = Found::of(list, names)?;
    let test = arguments.positional.get(1).and_then(|test| test.as_const());
    let asks = arguments.filter.ends_with("attr")
        && test.is_some_and(|test| matches!(test.as_str(), Some("defined" | "undefined")));
    let need = if arguments.named.contains_key("default") || !found.any {
        Need::Name
    } else if asks {
        Need::Nothing
    } else {
        arguments.need().unwrap_or(Need::Defined)
    };
    Some((need, found.reading(steps)))
}

/// The list that a loop goes through.
pub(super) fn items(list: &Expr<'_>, names: &Names) -> Option<Items> {
    Found::of(list, names).map(|Found { list, any, .. }| Items { of: list, any })
}

struct Found {
    list: Path,
    any: bool,
    /// Where another list may stand in for it, which has no items: what gives the one or the other.
    whole: Option<Reading>,
}

impl Found {
    fn of(list: &Expr<'_>, names: &Names) -> Option<Self> {
        if let Expr::Filter(filter) = list
            && let Some((_, all)) = GIVE_ITEMS.iter().find(|(name, _)| *name == filter.name)
        {
            let found = Self::of(filter.expr.as_ref()?, names)?;
            return Some(Self { any: found.any && *all, ..found });
        }
        if let Expr::Slice(slice) = list {
            let found = Self::of(&slice.expr, names)?;
            // A guard may have looked at the very items that are taken.
            return Some(Self { any: false, ..found });
        }
        if !is_plain(list) {
            return None;
        }
        match reading(list, names) {
            Reading::Path(list) => Some(Self { list, any: true, whole: None }),
            whole @ Reading::Default { .. } => {
                let list = list_of(&whole)?.clone();
                Some(Self { list, any: true, whole: Some(whole) })
            }
            Reading::Constant(_)
            | Reading::Not(_)
            | Reading::And(..)
            | Reading::Or(..)
            | Reading::Is(..)
            | Reading::Compare(..)
            | Reading::Choice { .. }
            | Reading::Other { .. }
            | Reading::Anything => None,
        }
    }

    /// What is below the items.
    fn reading(self, steps: impl IntoIterator<Item = Step>) -> Reading {
        let path = self.list.into_iter().chain([Step::Each]).chain(steps).collect();
        let path = Reading::Path(path);
        match self.whole {
            // It is true where it has items.
            Some(whole) => Reading::Choice {
                when: Box::new(whole),
                then: Box::new(path),
                otherwise: Some(Box::new(Reading::Anything)),
            },
            None => path,
        }
    }
}

/// Whether it is a name, or something below one, with a constant to stand in for it or not. Nothing else
/// is a list of the event, and chains of filters would be gone through twice at each of their links.
fn is_plain(list: &Expr<'_>) -> bool {
    match list {
        Expr::Var(_) => true,
        Expr::GetAttr(attribute) => is_plain(&attribute.expr),
        Expr::GetItem(item) => is_plain(&item.expr) && item.subscript_expr.as_const().is_some(),
        Expr::Filter(filter) if matches!(filter.name, "default" | "d") => {
            let is_constant = |argument: &CallArg<'_>| matches!(argument, CallArg::Pos(value) if value.as_const().is_some());
            filter.expr.as_ref().is_some_and(is_plain) && filter.args.iter().all(is_constant)
        }
        Expr::Filter(_)
        | Expr::Const(_)
        | Expr::Slice(_)
        | Expr::UnaryOp(_)
        | Expr::BinOp(_)
        | Expr::Compare(_)
        | Expr::IfExpr(_)
        | Expr::Test(_)
        | Expr::Call(_)
        | Expr::List(_)
        | Expr::Tuple(_)
        | Expr::Map(_) => false,
    }
}

/// The list that something without items stands in for.
fn list_of(whole: &Reading) -> Option<&Path> {
    let Reading::Default { value, other, .. } = whole else { return None };
    let is_empty = match other.as_constant()? {
        Json::Array(items) => items.is_empty(),
        Json::String(text) => text.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    };
    value.as_path().filter(|_| is_empty)
}
