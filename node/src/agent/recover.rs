//! Going on alone when the other voters are gone for good.
//!
//! The store of this node is read, never written: what was agreed on goes into a store of the next
//! generation, in which this node is the only voter. The identity names that generation last. From
//! then on nodes of before are strangers to this one, and it to them.

use std::sync::Arc;

use fleet_model::node::Role;
use futures::future::join_all;

use super::change::ChangeError;
use super::{Agent, ready};
use crate::config::{Endpoint, FirstStart, Node, Peers};
use crate::control::anew::{self, Begun};
use crate::trust::Trust;

/// What came of a recovery.
pub(super) struct Alone {
    pub(super) node: Arc<Node>,
    pub(super) begun: Begun,
    pub(super) last_index: u64,
    /// Voters that are no members any more.
    pub(super) removed: Vec<(u64, String)>,
    pub(super) set_aside: Vec<std::path::PathBuf>,
}

/// Makes this node the only voter of its cluster.
///
/// # Errors
/// [`ChangeError::Quorum`] while a quorum answers. Whatever fails, control is started again as it was.
pub(super) async fn recover(agent: &Agent) -> Result<Alone, ChangeError> {
    let _changing = agent.changing.lock().await;
    let node = agent.node.borrow().clone().ok_or(ChangeError::NoMember)?;
    if !node.settings.roles.has(Role::Control) {
        return Err(ChangeError::NoControl);
    }
    // Asked once before anything is stopped, of everybody this node has heard of.
    let own = &node.settings.advertise;
    let heard_of = Peers::read(&node.paths()).control;
    let others = heard_of.into_iter().filter(|address| address != own);
    refuse_a_quorum(&node.trust, others.collect(), 1).await?;
    // The keeper of the tenants would start again what is stopped now.
    agent.node.send_replace(None);
    let gone_on = go_on(agent, &node).await;
    let next = match &gone_on {
        Ok(alone) => alone.node.clone(),
        Err(_) => node,
    };
    agent.node.send_replace(Some(next));
    gone_on
}

async fn go_on(agent: &Agent, node: &Arc<Node>) -> Result<Alone, ChangeError> {
    agent.tenants.end_control().await?;
    let looked = {
        let node = node.clone();
        blocking(move || anew::look(&node).map_err(|error| ChangeError::Anew(error.into()))).await?
    };
    let own = node.identity.node_id;
    let others: Vec<(u64, String)> = looked
        .voters
        .iter()
        .filter(|(id, _)| **id != own)
        .map(|(id, address)| (*id, address.clone()))
        .collect();
    let addresses = others
        .iter()
        .filter_map(|(_, address)| address.parse().ok());
    let votes = usize::from(looked.voters.contains_key(&own));
    refuse_a_quorum(&node.trust, addresses.collect(), votes).await?;
    let mut next = Node::clone(node);
    next.identity.generation += 1;
    let last_index = looked.last_index;
    let (begun, next) = blocking(move || {
        let begun = looked.go_on(&next.settings, &next.identity);
        Ok((begun.map_err(ChangeError::Anew)?, next))
    })
    .await?;
    let paths = node.paths();
    let generation = next.identity.generation;
    FirstStart::Anew { generation }
        .announce(&paths)
        .map_err(ChangeError::FirstStart)?;
    next.identity.replace(&paths)?;
    Ok(Alone {
        node: Arc::new(next),
        begun,
        last_index,
        removed: others,
        set_aside: anew::set_aside(node),
    })
}

/// Refuses if a majority of the voters answers: `others` where they can be reached, and `own` votes of
/// this node.
async fn refuse_a_quorum(
    trust: &Trust,
    others: Vec<Endpoint>,
    own: usize,
) -> Result<(), ChangeError> {
    let voters = others.len() + own;
    let asked = others.iter().map(|address| async move {
        let answers = ready::answers(trust, address).await;
        answers.then(|| address.to_string())
    });
    let answering: Vec<String> = join_all(asked).await.into_iter().flatten().collect();
    if answering.len() + own > voters / 2 {
        return Err(ChangeError::Quorum { answering, voters });
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ChangeError> + Send + 'static,
) -> Result<T, ChangeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ChangeError::Anew(error.into()))?
}
