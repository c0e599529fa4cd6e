//! What the archive has put where so far, so that no entry hides or passes through another.

use std::collections::HashMap;

use super::{Error, Limits, Refusal, error::printable, name::Name};

pub(super) struct Tree {
    nodes: HashMap<Box<[u8]>, Node>,
    /// Bytes of the keys.
    names: u64,
    limits: Limits,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    File,
    Symlink,
}

impl Tree {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            nodes: HashMap::new(),
            names: 0,
            limits: *limits,
        }
    }

    /// Takes an entry in, with the directories it implies.
    pub(super) fn add(&mut self, name: &Name, node: Node) -> Result<(), Error> {
        let refuse = |refusal| Error::Refused {
            entry: name.printable(),
            refusal,
        };
        let (parent, _) = name.split();
        if !parent.is_empty() && self.nodes.get(parent) != Some(&Node::Directory) {
            for ancestor in name.ancestors() {
                match self.nodes.get(ancestor) {
                    Some(Node::Directory) => {}
                    Some(_) => {
                        let ancestor = printable(ancestor);
                        return Err(refuse(Refusal::BehindNonDirectory { ancestor }));
                    }
                    None => self.insert(ancestor, Node::Directory)?,
                }
            }
        }
        match self.nodes.get(name.bytes()) {
            None => self.insert(name.bytes(), node),
            // Archives name a directory more than once, and before or after what is in it.
            Some(Node::Directory) if node == Node::Directory => Ok(()),
            Some(_) => Err(refuse(Refusal::Duplicate)),
        }
    }

    pub(super) fn get(&self, name: &Name) -> Option<Node> {
        self.nodes.get(name.bytes()).copied()
    }

    fn insert(&mut self, name: &[u8], node: Node) -> Result<(), Error> {
        self.names += name.len() as u64;
        if self.names > self.limits.names {
            return Err(Error::NamesTooLong {
                limit: self.limits.names,
            });
        }
        self.nodes.insert(name.into(), node);
        if self.nodes.len() as u64 > self.limits.entries {
            return Err(Error::TooManyEntries {
                limit: self.limits.entries,
            });
        }
        Ok(())
    }
}
