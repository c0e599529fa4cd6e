//! Whom to ask next. Pure.

use crate::config::Endpoint;

/// Control nodes in the order in which they are asked, and a leader to ask before them.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    known: Vec<Endpoint>,
    next: usize,
    leader: Option<Endpoint>,
    /// Hints followed since something else was tried.
    hops: u32,
}

/// Hints to follow in a row. After an election nodes may name each other for a moment; pausing
/// then costs less than running in a circle.
const HOPS: u32 = 3;

impl Route {
    pub(crate) fn new(known: Vec<Endpoint>) -> Self {
        Self {
            known,
            next: 0,
            leader: None,
            hops: 0,
        }
    }

    /// Takes over a newer list, keeping the place in it if it is the same.
    pub(crate) fn know(&mut self, known: Vec<Endpoint>) {
        if self.known != known {
            self.known = known;
            self.next = 0;
        }
    }

    pub(crate) fn next(&mut self) -> Option<Endpoint> {
        let of_list = || self.known.get(self.next % self.known.len().max(1)).cloned();
        self.leader.clone().or_else(of_list)
    }

    /// The node that was asked named another; `false` if that happened too often to follow now.
    pub(crate) fn led_to(&mut self, leader: Endpoint) -> bool {
        self.hops += 1;
        let follow = self.hops <= HOPS;
        if follow {
            self.leader = Some(leader);
        } else {
            self.failed();
        }
        follow
    }

    /// The node that was asked did not answer, or the session with it broke.
    pub(crate) fn failed(&mut self) {
        self.hops = 0;
        // A leader that failed is one of the list most often: go on behind it.
        if let Some(place) = self.leader.take().and_then(|leader| self.place_of(&leader)) {
            self.next = place;
        }
        self.next = (self.next + 1) % self.known.len().max(1);
    }

    fn place_of(&self, endpoint: &Endpoint) -> Option<usize> {
        self.known.iter().position(|known| known == endpoint)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn endpoint(name: &str) -> Endpoint {
        format!("{name}:1").parse().unwrap()
    }

    fn next(route: &mut Route) -> String {
        route
            .next()
            .map(|endpoint| endpoint.host().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn everyone_is_asked_in_turn() {
        let mut route = Route::new(vec![endpoint("a"), endpoint("b")]);
        for expected in ["a", "b", "a"] {
            assert_eq!(next(&mut route), expected);
            route.failed();
        }
        assert_eq!(Route::new(Vec::new()).next(), None);
    }

    #[test]
    fn a_hint_is_followed_and_its_target_skipped_when_it_fails() {
        let mut route = Route::new(vec![endpoint("a"), endpoint("b"), endpoint("c")]);
        assert!(route.led_to(endpoint("b")));
        assert_eq!(next(&mut route), "b");
        route.failed();
        assert_eq!(next(&mut route), "c");
    }

    #[test]
    fn nodes_that_name_each_other_are_not_believed_for_ever() {
        let mut route = Route::new(vec![endpoint("a"), endpoint("b")]);
        let followed = (0..4).map(|hop| route.led_to(endpoint(["b", "a"][hop % 2])));
        assert_eq!(followed.collect::<Vec<_>>(), [true, true, true, false]);
        assert!(route.led_to(endpoint("b")), "after a pause it may be true");
    }

    #[test]
    fn a_new_list_is_begun_from_its_front() {
        let mut route = Route::new(vec![endpoint("a"), endpoint("b")]);
        route.failed();
        route.know(vec![endpoint("a"), endpoint("b")]);
        assert_eq!(next(&mut route), "b");
        route.know(vec![endpoint("x"), endpoint("y")]);
        assert_eq!(next(&mut route), "x");
    }
}
