//! A throwaway certificate authority and the broker's certificate, made by `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::lifeline::run_tool;

/// Where the files lie, all of them PEM.
pub(crate) struct Certificates {
    /// What a client must trust.
    pub(crate) authority: PathBuf,
    /// The broker's private key, its certificate and the authority's, as Kafka wants them.
    pub(crate) broker: PathBuf,
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

impl Certificates {
    pub(crate) fn create(folder: &Path) -> Self {
        let openssl = || {
            let mut command = Command::new("openssl");
            command.current_dir(folder);
            command
        };
        run_tool(
            openssl().args(["req", "-x509", "-days", "2", "-subj", "/CN=test authority"]).args(
                NEW_KEY.into_iter().chain(["-keyout", "authority.key", "-out", "authority.pem"]),
            ),
        );
        run_tool(
            openssl().args(["req", "-new", "-subj", "/CN=localhost"]).args(
                NEW_KEY.into_iter().chain(["-keyout", "broker.key", "-out", "broker.request"]),
            ),
        );
        fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            .expect("the broker's names are written");
        run_tool(openssl().args([
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            "broker.request",
            "-CA",
            "authority.pem",
            "-CAkey",
            "authority.key",
            "-CAcreateserial",
            "-extfile",
            "names",
            "-out",
            "broker.certificate",
        ]));
        let chain = ["broker.key", "broker.certificate", "authority.pem"]
            .map(|name| fs::read_to_string(folder.join(name)).expect("openssl wrote its files"))
            .concat();
        let broker = folder.join("broker.pem");
        fs::write(&broker, chain).expect("the broker's chain is written");
        Self { authority: folder.join("authority.pem"), broker }
    }
}
