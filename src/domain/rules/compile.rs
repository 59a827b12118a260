//! The rules' texts → rules that can be asked, or every mistake in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;

use super::language::{Expression, Found, Template};
use super::{
    ChannelRule, ChannelSource, Expiry, ExpiryRule, RecipientRule, RecipientSource, Rule,
    RuleMistake, RuleSource, Rules, TopicRules, fingerprint, time,
};
use crate::domain::message::{Channel, Text};

struct Compiler<'c> {
    channels: &'c BTreeMap<Arc<str>, Channel>,
    mistakes: Vec<RuleMistake>,
    /// The rule that is being compiled.
    rule: Option<usize>,
    uses_record: bool,
}

pub(super) fn compile(
    topic: &TopicRules,
    channels: &BTreeMap<Arc<str>, Channel>,
) -> Result<Rules, Vec<RuleMistake>> {
    let mut compiler = Compiler { channels, mistakes: Vec::new(), rule: None, uses_record: false };
    let event_time = topic.event_time.as_deref().and_then(|source| {
        let expression = compiler.expression("event_time", source)?;
        compiler.constant_time("event_time", &expression);
        Some(expression)
    });
    let mut in_order = Vec::new();
    for (index, source) in topic.rules.iter().enumerate() {
        compiler.rule = Some(index);
        in_order.extend(compiler.rule(source));
    }
    if !compiler.mistakes.is_empty() {
        return Err(compiler.mistakes);
    }
    Ok(Rules {
        event_time,
        unmatched: topic.unmatched,
        in_order,
        channels: channels.clone(),
        uses_record: compiler.uses_record,
        fingerprint: fingerprint::of(topic, channels),
    })
}

impl Compiler<'_> {
    fn add(&mut self, key: &'static str, message: String) {
        self.add_all(key, [Found { message, spot: None }]);
    }

    fn add_all(&mut self, key: &'static str, found: impl IntoIterator<Item = Found>) {
        let rule = self.rule;
        let told = |Found { message, spot }| RuleMistake { rule, key, message, spot };
        self.mistakes.extend(found.into_iter().map(told));
    }

    fn rule(&mut self, source: &RuleSource) -> Option<Rule> {
        // Each part is compiled before any is given up, so that every mistake is told.
        let when = match source.when.as_deref() {
            Some(text) => self.condition(text).map(Some),
            None => Some(None),
        };
        let channel = self.channel(&source.channel);
        let to = self.recipient(&source.to);
        let message = self.message(&source.message);
        let expires = self.expiry(&source.expires);
        Some(Rule {
            name: Arc::clone(&source.name),
            when: when?,
            channel: channel?,
            to: to?,
            message: message?,
            expires: expires?,
            on_ambiguous: source.on_ambiguous,
            continues: source.continues,
        })
    }

    fn expression(&mut self, key: &'static str, source: &str) -> Option<Expression> {
        match Expression::compile(source) {
            Ok(expression) => {
                self.uses_record |= expression.uses_record();
                Some(expression)
            }
            Err(found) => {
                self.add_all(key, found);
                None
            }
        }
    }

    /// Looks at an expression that is the same for every event: its mistake would spend them all.
    fn check_constant(
        &mut self,
        key: &'static str,
        expression: &Expression,
        objection: impl Fn(&Value) -> Option<String>,
    ) {
        let message = match expression.constant() {
            Some(Ok(value)) => objection(&value),
            Some(Err(message)) => Some(message),
            None => None,
        };
        if let Some(message) = message {
            self.add(key, message);
        }
    }

    fn condition(&mut self, source: &str) -> Option<Expression> {
        let expression = self.expression("when", source)?;
        self.check_constant("when", &expression, |value| super::boolean(value).err());
        Some(expression)
    }

    fn channel(&mut self, source: &ChannelSource) -> Option<ChannelRule> {
        match source {
            ChannelSource::Fixed(channel) => Some(ChannelRule::Fixed(channel.clone())),
            ChannelSource::From(source) => {
                let expression = self.expression("channel", source)?;
                let channels = self.channels;
                self.check_constant("channel", &expression, |value| {
                    let known = value.as_str().is_some_and(|name| channels.contains_key(name));
                    (!known).then(|| super::UNKNOWN_CHANNEL.to_owned())
                });
                Some(ChannelRule::From(expression))
            }
        }
    }

    fn recipient(&mut self, source: &RecipientSource) -> Option<RecipientRule> {
        let (RecipientSource::Contact(text) | RecipientSource::LineUser(text)) = source;
        let expression = self.expression("to", text)?;
        let of = |expression| match source {
            RecipientSource::Contact(_) => RecipientRule::Contact(expression),
            RecipientSource::LineUser(_) => RecipientRule::LineUser(expression),
        };
        let rule = of(expression);
        let (RecipientRule::Contact(expression) | RecipientRule::LineUser(expression)) = &rule;
        self.check_constant("to", expression, |value| rule.recipient(value).err());
        Some(rule)
    }

    fn message(&mut self, source: &str) -> Option<Template> {
        match Template::compile(source) {
            Ok(template) => {
                self.uses_record |= template.uses_record();
                let objection = match template.constant() {
                    Some(Ok(text)) => Text::new(&text).err().map(|error| error.to_string()),
                    Some(Err(message)) => Some(message),
                    None => None,
                };
                if let Some(message) = objection {
                    self.add("message", message);
                }
                Some(template)
            }
            Err(found) => {
                self.add_all("message", found);
                None
            }
        }
    }

    fn expiry(&mut self, source: &Expiry) -> Option<ExpiryRule> {
        match source {
            Expiry::After(duration) if duration.is_zero() => {
                self.add("expires_after", "must be longer than 0".to_owned());
                None
            }
            Expiry::After(duration) => Some(ExpiryRule::After(*duration)),
            Expiry::At(source) => {
                let expression = self.expression("expires_at", source)?;
                self.constant_time("expires_at", &expression);
                Some(ExpiryRule::At(expression))
            }
        }
    }

    fn constant_time(&mut self, key: &'static str, expression: &Expression) {
        self.check_constant(key, expression, |value| {
            time::timestamp(value).err().map(str::to_owned)
        });
    }
}
