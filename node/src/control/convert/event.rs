//! History, and answers as they are remembered for retries.

use fleet_model::{
    Outcome, Rejection, Time,
    event::{Event, Kind},
    ids::RequestId,
    state::Answered,
};
use fleet_proto::stored;

use super::{DecodeError, Stored, optional, plain_enum, required};

plain_enum!(
    Kind,
    EventKind,
    "event.kind",
    [
        Cluster,
        Node,
        App,
        Build,
        Environment,
        Release,
        Rollout,
        Frontend,
        Scaling,
        Certificate,
        Whitelist,
    ]
);

/// What a command answered.
pub(in crate::control) type Answer = Result<Outcome, Rejection>;

impl Stored for Event {
    type Wire = stored::Event;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            sequence,
            index,
            at,
            actor,
            kind,
            environment,
            subject,
            message,
        } = self;
        stored::Event {
            sequence: *sequence,
            index: *index,
            at_ms: at.to_stored(),
            actor: actor.to_stored(),
            kind: kind.to_stored(),
            environment: environment.as_ref().map(Stored::to_stored),
            subject: subject.clone(),
            message: message.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Event {
            sequence,
            index,
            at_ms,
            actor,
            kind,
            environment,
            subject,
            message,
        } = wire;
        Ok(Self {
            sequence,
            index,
            at: Time(at_ms),
            actor: actor.into(),
            kind: Kind::from_stored(kind)?,
            environment: optional(environment)?,
            subject,
            message,
        })
    }
}

impl Stored for (RequestId, Answered) {
    type Wire = stored::Answered;

    fn to_stored(&self) -> Self::Wire {
        let (request, Answered { index, answer }) = self;
        stored::Answered {
            request: request.to_stored(),
            index: *index,
            answer: Some(answer.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Answered {
            request,
            index,
            answer,
        } = wire;
        let answered = Answered {
            index,
            answer: required(answer, "answered.answer")?,
        };
        Ok((RequestId(request.into()), answered))
    }
}
