//! Numbers, counts and money, as customers read them.

use iso_currency::Currency;
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};
use rust_decimal::{Decimal, RoundingStrategy};

use super::fault::fault;

/// The most digits before the point.
const INTEGER_DIGITS_LIMIT: usize = 18;
/// The most digits that `number` shows after the point.
const DECIMALS_LIMIT: u32 = 9;

/// Signs that stand for one currency alone. Every other currency is written by its code, so that
/// no amount is taken for one in another country's dollars.
const SIGNS: &[(&str, &str)] = &[
    ("EUR", "€"),
    ("GBP", "£"),
    ("IDR", "Rp"),
    ("INR", "₹"),
    ("JPY", "¥"),
    ("KRW", "₩"),
    ("PHP", "₱"),
    ("THB", "฿"),
    ("TWD", "NT$"),
    ("USD", "$"),
    ("VND", "₫"),
];

/// Whether `code` is a currency of ISO 4217.
pub fn is_currency(code: &str) -> bool {
    Currency::from_code(code).is_some()
}

/// Whether a text says an amount.
pub fn is_amount(text: &str) -> bool {
    decimal(&Value::from(text), "").is_ok()
}

/// `event.amount | money(event.currency)`: `$50.00`, `฿1,250.00`, `¥1,000`, `SGD 12.50`. Rounded
/// to the currency's minor unit, halves away from zero.
pub(super) fn money(amount: &Value, currency: &Value) -> Result<String, Error> {
    let code = match currency.as_str() {
        Some(code) => code,
        None if currency.is_undefined() => return Err(ErrorKind::UndefinedError.into()),
        None => return Err(fault("`money` takes a currency's code, such as \"USD\"")),
    };
    let known = Currency::from_code(code)
        .ok_or_else(|| fault("`money` was given a currency that ISO 4217 does not have"))?;
    let digits = u32::from(known.exponent().unwrap_or(0));
    let amount = decimal(amount, "money")?;
    let rounded = amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
    let minus = if rounded.is_sign_negative() && !rounded.is_zero() { "-" } else { "" };
    let figure = grouped(rounded.abs(), Some(digits));
    let sign = SIGNS.iter().find(|(of, _)| *of == code).map(|(_, sign)| *sign);
    Ok(match sign {
        Some(sign) => format!("{minus}{sign}{figure}"),
        None => format!("{minus}{code} {figure}"),
    })
}

/// `event.points | number`: `1,234,567.5`; `number(2)` shows two digits after the point, rounded,
/// halves away from zero.
pub(super) fn number(value: &Value, decimals: Option<u32>) -> Result<String, Error> {
    if decimals.is_some_and(|decimals| decimals > DECIMALS_LIMIT) {
        return Err(fault(format!("`number` shows at most {DECIMALS_LIMIT} decimals")));
    }
    let mut value = decimal(value, "number")?;
    if let Some(decimals) = decimals {
        value = value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
    }
    let minus = if value.is_sign_negative() && !value.is_zero() { "-" } else { "" };
    Ok(format!("{minus}{}", grouped(value.abs(), decimals)))
}

/// `event.parcels | plural("parcel", "parcels")`: the count and its word, `1 parcel`, `3 parcels`.
pub(super) fn plural(count: &Value, one: &str, other: &str) -> Result<String, Error> {
    let count = decimal(count, "plural")?;
    let word = if count == Decimal::ONE { one } else { other };
    let minus = if count.is_sign_negative() && !count.is_zero() { "-" } else { "" };
    Ok(format!("{minus}{} {word}", grouped(count.abs(), None)))
}

/// A number, or a string that is a plain decimal: digits, perhaps a minus before and a point among
/// them. A float goes through its shortest text, so that 0.1 is one tenth.
fn decimal(value: &Value, filter: &str) -> Result<Decimal, Error> {
    let text = if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    } else if let Some(text) = value.as_str() {
        text.to_owned()
    } else if value.is_integer() {
        value.to_string()
    } else if value.kind() == ValueKind::Number {
        f64::try_from(value.clone())?.to_string()
    } else {
        return Err(not_a_number(filter));
    };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(integer) || !plain(fraction) {
        return Err(not_a_number(filter));
    }
    if integer.len() > INTEGER_DIGITS_LIMIT {
        return Err(fault(format!("`{filter}` was given a number too large to be meant")));
    }
    // What is too small for a decimal of 28 digits is rounded away here.
    text.parse().map_err(|_| not_a_number(filter))
}

fn not_a_number(filter: &str) -> Error {
    fault(format!("`{filter}` was given what is neither a number nor a plain decimal string"))
}

/// Digits in groups of three, with `decimals` digits after the point, or as many as it has.
fn grouped(value: Decimal, decimals: Option<u32>) -> String {
    let text = match decimals {
        Some(decimals) => {
            format!("{value:.*}", usize::try_from(decimals).unwrap_or_default())
        }
        None => value.normalize().to_string(),
    };
    let (integer, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut shown = String::with_capacity(text.len() + 4);
    for (index, digit) in integer.chars().enumerate() {
        if index > 0 && (integer.len() - index) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    if !fraction.is_empty() {
        shown.push('.');
        shown.push_str(fraction);
    }
    shown
}
