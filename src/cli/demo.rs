//! `demo`.
#[derive(clap::Args, Debug)]
pub(super) struct Demo {}
impl Demo {
    pub(super) async fn run(self) -> Result<(), super::Failure> {
        Ok(())
    }
}
