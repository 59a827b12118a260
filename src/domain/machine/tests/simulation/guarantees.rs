//! What always holds, whatever goes wrong: each guarantee an object that sees every step.

mod deliveries;
mod duplicates;
mod limits;
mod pauses;
mod settling;

use super::step::Step;
use super::world::World;

pub(super) trait Guarantee {
    fn name(&self) -> &'static str {
        let name = std::any::type_name::<Self>();
        name.rsplit("::").next().unwrap_or(name)
    }

    /// Looks at a step that has just happened; the world is as it is after it.
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String>;
}

pub(super) fn all() -> Vec<Box<dyn Guarantee>> {
    vec![
        Box::new(settling::NeverCommitsAhead::default()),
        Box::new(settling::DeadLetterBeforeSettle),
        Box::new(settling::NoDoubleSettle::default()),
        Box::new(settling::NoLoss),
        Box::new(deliveries::OneInFlightPerLane::default()),
        Box::new(deliveries::RecipientOrder),
        Box::new(deliveries::NothingAfterTheDeadline),
        Box::new(deliveries::CutOffStaysQuiet::default()),
        Box::new(deliveries::OutageSpendsNothing::default()),
        Box::new(duplicates::DuplicatesExplained::default()),
        Box::new(limits::Conservation),
        Box::new(limits::Bounds::default()),
        Box::new(pauses::BrakeHolds::default()),
        Box::new(pauses::OutOfRangeStands),
        Box::new(pauses::NothingElseStands::default()),
    ]
}
