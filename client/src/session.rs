//! One run of one command: its flags, its console, and its connection once it needs one.

use std::future::Future;
use std::sync::Arc;

use fleet_proto::v1::GetAppRequest;
use fleet_proto::v1::apps_client::AppsClient;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::args::Globals;
use crate::connection::{Connection, Target};
use crate::context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grammar::is_environment_name;
use crate::output::Console;
use crate::surroundings::Surroundings;

pub(crate) struct Session {
    pub(crate) globals: Globals,
    pub(crate) console: Console,
    pub(crate) surroundings: Surroundings,
    connected: Option<(Arc<Connection>, Target)>,
}

impl Session {
    pub(crate) fn new(globals: Globals, console: Console, surroundings: Surroundings) -> Self {
        Self {
            globals,
            console,
            surroundings,
            connected: None,
        }
    }

    /// The cluster this command speaks to.
    pub(crate) async fn connection(&mut self) -> Result<Arc<Connection>, Failure> {
        if let Some((connection, _)) = &self.connected {
            return Ok(connection.clone());
        }
        let target = context::resolve(&self.surroundings, self.globals.rack.as_deref()).await?;
        let connection = Arc::new(Connection::new(&target, self.globals.timeout)?);
        self.connected = Some((connection.clone(), target));
        Ok(connection)
    }

    /// Asks the cluster; see [`Connection::read`].
    pub(crate) async fn read<Q, A, F, R>(&mut self, question: Q, send: F) -> Result<A, Failure>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        self.connection().await?.read(question, send).await
    }

    /// Commands the cluster; see [`Connection::write`].
    pub(crate) async fn write<Q, A, F, R>(&mut self, command: Q, send: F) -> Result<A, Failure>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        self.connection().await?.write(command, send).await
    }

    /// All rows of a list, or the first `most` of them: asks for page after page. `question` is
    /// given the number of rows still wanted (0: as many as there are) and the token of the page;
    /// `open` takes rows and next token out of an answer.
    pub(crate) async fn pages<Q, A, T, F, R>(
        &mut self,
        most: Option<u32>,
        question: impl Fn(u32, String) -> Q,
        send: F,
        open: impl Fn(A) -> (Vec<T>, String),
    ) -> Result<Vec<T>, Failure>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let connection = self.connection().await?;
        let mut rows: Vec<T> = Vec::new();
        let mut token = String::new();
        loop {
            let there = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let wanted = most.map_or(0, |most| most - there.min(most));
            let answer = connection.read(question(wanted, token.clone()), &send);
            let (page, next) = open(answer.await?);
            rows.extend(page);
            let full = most.is_some_and(|most| rows.len() >= most as usize);
            // The last page has no token; one that leads in a circle must not be followed.
            if full || next.is_empty() || next == token {
                rows.truncate(most.map_or(usize::MAX, |most| most as usize));
                return Ok(rows);
            }
            token = next;
        }
    }

    /// The app this command is about: `-a`, FLEET_APP, the app named like this directory, the
    /// context's; empty lets the cluster take the only one there is.
    pub(crate) async fn app(&mut self) -> Result<String, Failure> {
        if let Some(app) = self.explicit_app() {
            return Ok(app);
        }
        let connection = self.connection().await?;
        if let Some(name) = self.directory_name() {
            let question = GetAppRequest {
                app: name.clone(),
                stale: self.globals.stale,
            };
            let known = connection
                .read(question, |channel, request| async move {
                    AppsClient::new(channel).get(request).await
                })
                .await;
            match known {
                Ok(_) => return Ok(name),
                Err(failure) if failure.exit == Exit::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        let of_context = self
            .connected
            .as_ref()
            .and_then(|(_, target)| target.app.clone());
        Ok(of_context.unwrap_or_default())
    }

    /// The app that was named outright.
    pub(crate) fn explicit_app(&self) -> Option<String> {
        let variable = || self.surroundings.variable("FLEET_APP").map(str::to_owned);
        self.globals.app.clone().or_else(variable)
    }

    /// The name of this directory, if an app could have it.
    pub(crate) fn directory_name(&self) -> Option<String> {
        let name = self.surroundings.directory.file_name()?.to_str()?;
        is_environment_name(name).then(|| name.to_owned())
    }

    /// `-e`; empty lets the cluster take the default environment where it may.
    pub(crate) fn environment(&self) -> String {
        self.globals.env.clone().unwrap_or_default()
    }

    /// Asks for a name to be typed; anything else stops the command.
    pub(crate) fn confirm(&mut self, name: &str, question: &str) -> Result<(), Failure> {
        if self.console.is_json() {
            return Err(Failure::usage("-o json cannot ask").hint("add --no-confirm"));
        }
        self.console.remark_part(&format!("{question}: "));
        if self.console.read_line()?.trim() == name {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Failed,
            "NOT_CONFIRMED",
            "not confirmed: nothing was done",
        ))
    }
}
