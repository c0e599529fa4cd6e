//! What goes wrong: links, power, leaders.

use fleet_model::{Time, ids::NodeId, time::Millis};

use super::{
    leader::Leader,
    life::{Climate, World},
    mail::{Mail, Party, Session},
};

/// What the weather does to a machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// Cut off from the leader until then.
    pub cut_until: Time,
    /// Without power until then.
    pub off_until: Time,
    /// When it last had a session, or first could have had one.
    pub heard: Time,
}

impl World {
    pub fn weather(&mut self) {
        if self.climate == Climate::Rough && self.random.one_in(100) {
            let nodes: Vec<NodeId> = self.machines.keys().copied().collect();
            let Some(node) = self.random.pick(&nodes).copied() else {
                return;
            };
            let span = if self.random.one_in(30) {
                1_000_000
            } else {
                40_000
            };
            let until = self.now.plus(Millis(self.random.between(500, span)));
            match self.random.between(0, 4) {
                0 | 1 => self.cut(node, until),
                2 => self.switch_off(node, until),
                _ => self.elect(),
            }
        }
        self.connect_all();
    }

    fn cut(&mut self, node: NodeId, until: Time) {
        if let Some(machine) = self.machines.get_mut(&node) {
            machine.cut_until = until;
        }
        self.hang_up(node);
    }

    fn switch_off(&mut self, node: NodeId, until: Time) {
        if let Some(machine) = self.machines.get_mut(&node) {
            machine.off_until = until;
        }
        self.hang_up(node);
        if let Some(worker) = self.workers.get_mut(&node) {
            worker.restart(until, &mut self.random);
        }
        if let Some(ingress) = self.ingresses.get_mut(&node) {
            ingress.requests.clear();
        }
    }

    /// Another leader, after a while without any.
    fn elect(&mut self) {
        let from = self.now.plus(Millis(self.random.between(200, 4_000)));
        self.leader = Leader::new(from);
        let nodes: Vec<NodeId> = self.machines.keys().copied().collect();
        for node in nodes {
            self.hang_up(node);
        }
    }

    pub fn clear_up(&mut self) {
        let now = self.now;
        for machine in self.machines.values_mut() {
            machine.cut_until = machine.cut_until.min(now);
            machine.off_until = machine.off_until.min(now);
        }
    }

    fn hang_up(&mut self, node: NodeId) {
        if let Some(worker) = self.workers.get_mut(&node) {
            worker.session = None;
        }
        if let Some(ingress) = self.ingresses.get_mut(&node) {
            ingress.session = None;
        }
    }

    pub fn powered(&self, node: NodeId) -> bool {
        self.machines[&node].off_until <= self.now
    }

    /// How long the leader cannot have heard anything of a node.
    pub fn silence(&self, node: NodeId) -> Millis {
        let machine = &self.machines[&node];
        self.now.since(machine.heard.max(self.leader.load.since))
    }

    fn reachable(&self, node: NodeId) -> bool {
        self.powered(node)
            && self.machines[&node].cut_until <= self.now
            && self.leader.leads(self.now)
    }

    fn connect_all(&mut self) {
        let nodes: Vec<NodeId> = self.machines.keys().copied().collect();
        for node in nodes
            .into_iter()
            .filter(|node| self.reachable(*node))
            .collect::<Vec<_>>()
        {
            if let Some(machine) = self.machines.get_mut(&node) {
                machine.heard = self.now;
            }
            // Not all come back at once.
            if self.workers[&node].session.is_none() && self.random.one_in(10) {
                self.open_worker(node);
            }
            if self.ingresses[&node].session.is_none() && self.random.one_in(10) {
                self.open_ingress(node);
            }
        }
    }

    fn session(&mut self) -> Session {
        self.sessions += 1;
        let slowest = if self.climate == Climate::Rough {
            1_500
        } else {
            120
        };
        Session {
            id: self.sessions,
            delay: Millis(self.random.between(1, slowest)),
        }
    }

    fn open_worker(&mut self, node: NodeId) {
        let session = self.session();
        if let Some(worker) = self.workers.get_mut(&node) {
            worker.session = Some(session);
            let all = Mail::Reports(worker.all());
            self.post.send(self.now, Party::Worker(node), session, all);
        }
    }

    fn open_ingress(&mut self, node: NodeId) {
        let session = self.session();
        if let Some(ingress) = self.ingresses.get_mut(&node) {
            ingress.session = Some(session);
            let hello = Mail::Status(ingress.greet(self.now));
            self.post
                .send(self.now, Party::Ingress(node), session, hello);
        }
    }
}
