//! From a call to what it does.

use std::time::Duration;

use fleet_proto::internal::{HolderCall, holder_call as ask, holder_reply as answer};

use super::{
    super::{
        clock::Now,
        convert::{self, Malformed},
        listeners,
        process::Caller,
        spec::{ProcessId, ProcessSpec},
        table::{Notice, Refusal, Refused, Table, refuse},
    },
    connections::Connections,
};
use crate::clock::Boot;

/// Most lines of one tail; with the longest line each, they fit a message.
const MOST_LINES: u32 = 1000;

pub(super) fn dispatch(
    table: &mut Table,
    connections: &mut Connections,
    connection: u64,
    call: HolderCall,
    now: Now,
) {
    let caller = Caller {
        connection,
        call: call.call,
    };
    let answered = match call.request {
        Some(ask::Request::Watch(_)) => {
            connections.watch(connection);
            Ok(Some(answer::Result::Done(answer::Done {})))
        }
        Some(request) => answer_to(table, request, caller, now),
        None => Err(refuse(
            Refusal::Invalid,
            "this holder does not know the request",
        )),
    };
    let result = match answered {
        Ok(Some(result)) => result,
        // Answered by the table, now or later.
        Ok(None) => return,
        Err(refused) => answer::Result::Refused(refused),
    };
    table.outbox.push(Notice::Reply(caller, result));
}

fn answer_to(
    table: &mut Table,
    request: ask::Request,
    caller: Caller,
    now: Now,
) -> Result<Option<answer::Result>, Refused> {
    let done = || Ok(Some(answer::Result::Done(answer::Done {})));
    match request {
        ask::Request::Ping(_) => Ok(Some(answer::Result::Pong(answer::Pong {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            capabilities: Some(convert::capabilities_to_wire(&table.capabilities)),
        }))),
        ask::Request::Listen(listen) => self::listen(table, &listen).map(Some),
        ask::Request::Start(start) => {
            table.start(spec(start.spec)?, caller, now);
            Ok(None)
        }
        ask::Request::Replace(replace) => {
            table.replace(&id(&replace.old_id)?, spec(replace.spec)?, caller, now);
            Ok(None)
        }
        ask::Request::List(_) => {
            let processes = table.list().iter().map(convert::process_to_wire).collect();
            Ok(Some(answer::Result::Processes(answer::HeldProcesses {
                processes,
            })))
        }
        ask::Request::Stop(stop) => {
            table.stop(
                &id(&stop.id)?,
                Duration::from_millis(stop.grace_ms),
                caller,
                now,
            );
            Ok(None)
        }
        ask::Request::Forget(forget) => {
            table.forget(&id(&forget.id)?, forget.keep_logs)?;
            done()
        }
        ask::Request::Watch(_) => done(),
        ask::Request::Tail(tail) => {
            let lines = table.tail(&id(&tail.id)?, tail.lines.min(MOST_LINES) as usize)?;
            let lines = lines.into_iter().map(Into::into).collect();
            Ok(Some(answer::Result::Lines(answer::Lines { lines })))
        }
        ask::Request::Usage(usage) => {
            let ids: Vec<ProcessId> = usage
                .ids
                .iter()
                .map(|name| id(name))
                .collect::<Result<_, _>>()?;
            let usages = table
                .usage(&ids)
                .iter()
                .map(convert::usage_to_wire)
                .collect();
            Ok(Some(answer::Result::Usages(answer::Usages { usages })))
        }
        ask::Request::Renew(renew) => {
            table.renew(Boot(renew.until_boot_ms), now)?;
            done()
        }
        ask::Request::ShutDown(shut_down) => {
            table.shut_down(
                Some(Duration::from_millis(shut_down.grace_ms)),
                Some(caller),
                now,
            );
            Ok(None)
        }
    }
}

fn listen(table: &mut Table, listen: &ask::Listen) -> Result<answer::Result, Refused> {
    let invalid = |text: String| refuse(Refusal::Invalid, text);
    // Names are joined with ':' in LISTEN_FDNAMES.
    let named = !listen.name.is_empty()
        && listen
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !named {
        return Err(invalid(format!(
            "listener name {:?} must be of letters, digits and '-'",
            listen.name
        )));
    }
    let address = listen
        .address
        .parse()
        .map_err(|_| invalid(format!("{:?} is not ip:port", listen.address)))?;
    match table.listeners.listen(&listen.name, address) {
        Ok(bound) => Ok(answer::Result::Listening(answer::Listening {
            address: bound.to_string(),
        })),
        Err(error) => {
            let kind = match error {
                listeners::Error::Taken { .. } => Refusal::Conflict,
                listeners::Error::Bind { .. } => Refusal::Address,
                listeners::Error::Record(_) => Refusal::Internal,
            };
            Err(refuse(kind, error.to_string()))
        }
    }
}

fn id(name: &str) -> Result<ProcessId, Refused> {
    ProcessId::parse(name).map_err(|error| refuse(Refusal::Invalid, error.to_string()))
}

fn spec(wire: Option<fleet_proto::internal::HeldSpec>) -> Result<ProcessSpec, Refused> {
    convert::spec_from_wire(wire.unwrap_or_default())
        .map_err(|Malformed(text)| refuse(Refusal::Invalid, text))
}
