//! Join tokens.

use fleet_proto::v1::{CreateTokenResponse, JoinToken, NodeRole};
use serde::Serialize;

use super::{left, word};
use crate::output::{Align, Columns, escape, rfc3339, stamp};

/// `node token create`. The one place where a token is shown.
#[derive(Debug, Serialize)]
pub(crate) struct CreatedTokenView {
    token: String,
    #[serde(flatten)]
    about: TokenView,
}

impl From<&CreateTokenResponse> for CreatedTokenView {
    fn from(answer: &CreateTokenResponse) -> Self {
        Self {
            token: answer.token.clone(),
            about: TokenView::from(&answer.about.clone().unwrap_or_default()),
        }
    }
}

impl CreatedTokenView {
    /// The token alone on its line, so that it can be cut out by people and by scripts.
    pub(crate) fn text(&self) -> String {
        format!("{}\n", escape(&self.token))
    }
}

#[derive(Debug, Serialize)]
struct TokenView {
    id: String,
    roles: Vec<String>,
    uses: u32,
    expires: Option<String>,
    made: Option<String>,
    #[serde(skip)]
    stamps: [String; 2],
}

impl From<&JoinToken> for TokenView {
    fn from(token: &JoinToken) -> Self {
        let role = |role: &i32| word(*role, "NODE_ROLE_", NodeRole::as_str_name).to_lowercase();
        Self {
            id: token.id.clone(),
            roles: token.roles.iter().map(role).collect(),
            uses: token.uses,
            expires: rfc3339(token.expires.as_ref()),
            made: rfc3339(token.made.as_ref()),
            stamps: [token.made, token.expires].map(|at| stamp(at.as_ref())),
        }
    }
}

/// `node token list`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct TokenList(Vec<TokenView>);

impl TokenList {
    pub(crate) fn new(tokens: &[JoinToken]) -> Self {
        Self(tokens.iter().map(TokenView::from).collect())
    }

    pub(crate) fn text(&self) -> String {
        let [id, roles, made, expires] = left(["id", "roles", "made", "expires"]);
        let mut table = Columns::new(&[id, roles, ("uses left", Align::Right), made, expires]);
        for token in &self.0 {
            table.row(vec![
                token.id.clone(),
                token.roles.join(", "),
                token.uses.to_string(),
                token.stamps[0].clone(),
                token.stamps[1].clone(),
            ]);
        }
        table.render()
    }
}
