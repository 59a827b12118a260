//! Every command, as its help shows it.

use clap::{Command, CommandFactory as _, Parser as _};

use super::{Cli, counted};

/// Every command, those within commands as well, with the words that call it.
fn commands() -> Vec<(String, Command)> {
    let mut root = Cli::command();
    root.build();
    let mut commands = Vec::new();
    let mut ahead = vec![("line-bridge".to_owned(), root)];
    while let Some((call, command)) = ahead.pop() {
        let within = command.get_subcommands().filter(|within| within.get_name() != "help");
        ahead
            .extend(within.map(|within| (format!("{call} {}", within.get_name()), within.clone())));
        commands.push((call, command));
    }
    commands
}

/// The commands of an `after_help`, as words. A line that ends in `\` goes on in the next one;
/// pipes, redirections and remarks end a command.
fn examples(help: &str) -> Vec<Vec<String>> {
    let lines = help.replace("\\\n", " ");
    let calls = lines.lines().filter_map(|line| line.trim().split_once("line-bridge "));
    let calls = calls.filter(|(before, _)| before.is_empty() || before.ends_with(' '));
    calls.map(|(_, call)| split(&format!("line-bridge {call}"))).collect()
}

/// As a shell splits words, as far as our examples go.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in text.chars() {
        match (quote, character) {
            (None, '|' | '>' | '<' | '&' | ';' | '#') => break,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (None, ' ') => words.extend(word.take()),
            (_, character) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_shows_an_example_that_works() {
    for (call, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = examples(&help);
        assert!(help.contains("Example"), "{call} --help has no examples");
        let own = examples.iter().filter(|words| words.join(" ").starts_with(&call));
        assert!(own.count() > 0, "{call} --help has no example of the command itself:\n{help}");
        for words in examples {
            // A variable may stand for the configuration.
            let configured = words.iter().cloned().chain(["--config", "f"].map(str::to_owned));
            let parsed = Cli::try_parse_from(&words).or_else(|_| Cli::try_parse_from(configured));
            if let Err(error) = parsed {
                panic!("{call} --help shows `{}`, and that is refused: {error}", words.join(" "));
            }
        }
    }
}

/// A terminal of 80 columns breaks longer ones, and what is copied then is two commands.
#[test]
fn every_example_can_be_copied_from_a_narrow_terminal() {
    for (call, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() <= 80, "{call} --help: {line}");
        }
    }
}

#[test]
fn every_command_and_every_argument_says_what_it_is() {
    for (call, command) in commands() {
        assert!(command.get_about().is_some(), "{call} does not say what it does");
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{call}: {} has no help", argument.get_id());
        }
    }
}

/// `-q` and `-v` hold for all commands, before their name and after it.
#[test]
fn the_voice_is_the_same_for_all_commands() {
    for words in [["line-bridge", "-q", "schema"], ["line-bridge", "schema", "--verbose"]] {
        assert!(Cli::try_parse_from(words).is_ok(), "{words:?}");
    }
    assert!(Cli::try_parse_from(["line-bridge", "-q", "-v", "schema"]).is_err());
}

#[test]
fn one_is_not_many() {
    let counts = [0, 1, 2].map(|number| counted(number, "event"));
    assert_eq!(counts, ["0 events", "1 event", "2 events"]);
}
