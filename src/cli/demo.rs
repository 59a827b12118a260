//! `demo`: the whole of it in one process, for somebody who wants to see it before anything is set
//! up.

mod events;
mod folder;
mod play;
mod screen;
mod stage;
mod watch;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::{Failure, interrupted, logging};
use crate::clock::SystemClock;
use crate::domain::ports::Clock as _;

use events::Events;
use play::{Play, publish_command, redrive_command};
use screen::Screen;
use stage::Stage;
use watch::Watch;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge demo\n  \
    LINE_BRIDGE_LOG=info line-bridge demo")]
pub(super) struct Demo {}

/// Why the demonstration ends before it is told to.
#[derive(Debug)]
enum Trouble {
    /// Nobody reads its output any more.
    Unread,
    Failed(Failure),
}

impl Trouble {
    fn failed(what: &dyn std::fmt::Display) -> Self {
        Self::Failed(Failure::Failed(format!("line-bridge demo: {what}")))
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Unread;
        }
        Self::failed(&format!("standard output can't be written: {error}"))
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        // The messages are the show; the log would only hide them.
        logging::start("error");
        let mut screen = Screen::standard();
        match present(&mut screen).await {
            Ok(()) | Err(Trouble::Unread) => Ok(()),
            Err(Trouble::Failed(failure)) => Err(failure),
        }
    }
}

/// Sets everything up, shows it until it is told to end, and takes everything down.
async fn present<W: Write>(screen: &mut Screen<W>) -> Result<(), Trouble> {
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    screen.line(
        "line-bridge takes events from Kafka and sends them as LINE messages. Here all of it runs \
         within\nthis process: a Kafka broker, the bridge, and a stand-in for the LINE API. Nothing \
         reaches a phone.\n\nStarting… (joining a Kafka group takes some seconds)",
    )?;
    let prepared = async {
        let stage = Stage::set().await?;
        let watch = stage.watch().await?;
        Ok::<_, Failure>((stage, watch))
    };
    let (stage, mut watch) = tokio::select! {
        () = &mut interrupted => return Ok(()),
        prepared = prepared => prepared?,
    };
    let mut bridge = stage.start_bridge().await?;
    let admin = format!("http://{}", bridge.admin);
    let ended = tokio::select! {
        () = &mut interrupted => Ok(()),
        failure = bridge.fails() => return Err(failure.into()),
        shown = show(&stage, &mut watch, &admin, screen) => shown,
    };
    if ended.is_ok() {
        // Where nobody reads this, the end is the same.
        drop(screen.line("\nDraining: what is in flight settles."));
    }
    let drained = bridge.drain().await;
    // The broker goes last, or its clients would complain.
    watch.close().await;
    ended?;
    drained?;
    drop(screen.line(&format!("Ended: {}.", screen.count())));
    stage.sandbox.stop().await;
    Ok(())
}

/// The play, and then whatever comes, until this is dropped.
async fn show<W: Write>(
    stage: &Stage,
    watch: &mut Watch,
    admin: &str,
    screen: &mut Screen<W>,
) -> Result<(), Trouble> {
    Play::new(stage, watch, screen).perform().await?;
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("line-bridge"));
    let event = Events::at(SystemClock::start().now().wall).by_hand();
    let config = stage.folder.config();
    screen.heading(&format!("{}.", screen.count()))?;
    screen.line(&format!("Inbox of the stand-in:  {}/", stage.sandbox.base_url()))?;
    screen.line(&format!("Metrics of the bridge:  {admin}/metrics"))?;
    screen.line(&format!("Configuration:          {}", config.display()))?;
    screen.line("\nPublish an event of your own, from another terminal:\n")?;
    screen.line(&publish_command(&program, &config, &event))?;
    screen.line("\nOr have the message that came too late sent all the same:\n")?;
    screen.line(&redrive_command(&program, &config))?;
    screen.line("\nWhat becomes of it shows here. Ctrl-C ends the demonstration.\n")?;
    loop {
        let sight = watch.next().await;
        screen.show(&sight)?;
    }
}
