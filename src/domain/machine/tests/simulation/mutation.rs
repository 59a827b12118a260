//! Faults that a correct core would never show, put between it and the world: they prove that the
//! guarantees notice.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    None,
    CommitOneAhead,
    ClaimTooMuch,
    AcknowledgeEarly,
    SwallowLetters,
    SwallowAnswers,
    AnswerAnother,
    SwapWithNextOfLane,
    SendPreviousAgain,
    SendTwice,
    CallFailedCommitsGood,
    IgnoreMetadata,
    ReadPastPosition,
    ForgetRecords,
    IgnorePauses,
    AlwaysHeard,
    ReleaseAtOnce,
    MoreInFlight,
    LaterDeadlines,
    StopsAsRefusals,
    RetryAnyway,
    ForgetDropped,
}
