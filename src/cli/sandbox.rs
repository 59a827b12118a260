//! `sandbox`: the stand-in for the LINE API.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, failed, interrupted, logging, print_line};
use crate::domain::words::file_reason;
use crate::sandbox::{self, Faults, Options};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge sandbox --listen 127.0.0.1:8080\n  \
    line-bridge sandbox --listen 127.0.0.1:8080 --faults faults.json\n  \
    curl -X PUT 127.0.0.1:8080/_sandbox/faults \\\n    \
    -H 'Content-Type: application/json' \\\n    \
    -d '{\"rules\": [{\"fault\": {\"kind\": \"status\", \"status\": 502}, \"every\": 20}]}'")]
pub(super) struct Sandbox {
    /// The address to listen on, which also serves the inbox page.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,
    /// The bearer token that is valid.
    #[arg(long, default_value = "sandbox-token")]
    token: String,
    /// A file with initial faults, in the format of `PUT /_sandbox/faults`.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

impl Sandbox {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::start("info");
        let faults = match &self.faults {
            None => Faults::default(),
            Some(path) => {
                let wrong = |what: String| Failure::Usage(format!("{}: {what}", path.display()));
                let text = std::fs::read_to_string(path);
                let text =
                    text.map_err(|error| wrong(format!("can't be read: {}", file_reason(&error))))?;
                Faults::from_json(&text).map_err(|error| wrong(error.to_string()))?
            }
        };
        let options = Options { token: self.token, faults, ..Options::default() };
        let busy = |error| failed(format_args!("{error}; name another address with --listen"));
        let sandbox = sandbox::Sandbox::start(self.listen, options).await.map_err(busy)?;
        let url = sandbox.base_url();
        print_line(format_args!("The LINE API sandbox is listening on {url}"));
        print_line(format_args!("Inbox: {url}/   Faults: {url}/_sandbox/faults"));
        let served = sandbox.serve_until(interrupted()).await;
        served.map_err(|error| failed(format_args!("the sandbox has ended: {error}")))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    // Most often only the host is left out, or a name stands for it.
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
    let expected = format!("expected an IP address and a port, such as 127.0.0.1:{port}");
    text.parse().map_err(|_| expected)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::port_alone("18480", "127.0.0.1:18480")]
    #[case::name("localhost:9000", "127.0.0.1:9000")]
    #[case::no_port("127.0.0.1", "127.0.0.1:8080")]
    fn an_address_that_is_none_is_told_with_an_example(#[case] text: &str, #[case] example: &str) {
        let expected = format!("expected an IP address and a port, such as {example}");
        assert_eq!(address(text), Err(expected));
    }
}
