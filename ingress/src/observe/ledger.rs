//! The tallies of all releases that anybody knows, and the sum of those that nobody knows any more.
//!
//! Series of a release end with it, so that deploying every day does not make a page that grows for
//! ever. The sums over everything go on: what a release had is added to them when it leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tally::{Names, Sum, Tally};
use crate::spec::EnvironmentKey;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: BTreeMap<Names, Arc<Tally>>,
    former: Sum,
}

impl Ledger {
    /// The tally of a release, kept for as long as somebody else has it.
    pub(crate) fn of(&mut self, key: &EnvironmentKey, release: &str) -> Arc<Tally> {
        let tally = Tally::new(key, release);
        let known = self.open.entry(tally.names.clone());
        Arc::clone(known.or_insert_with(|| Arc::new(tally)))
    }

    /// Closes what nobody knows any more.
    pub(crate) fn sweep(&mut self) {
        let former = &mut self.former;
        self.open.retain(|_, tally| {
            // To be the only one who knows it means that no account can be opened.
            match Arc::get_mut(tally).and_then(Tally::close) {
                Some(sum) => {
                    former.add(&sum);
                    false
                }
                None => true,
            }
        });
    }

    /// What each release comes to that was asked for anything.
    pub(crate) fn releases(&self) -> impl Iterator<Item = (&Names, Sum)> {
        let open = self.open.iter();
        open.filter_map(|(names, tally)| Some((names, tally.sum()?)))
    }

    /// What those come to that have left.
    pub(crate) fn former(&self) -> &Sum {
        &self.former
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Settled;
    use super::*;

    #[test]
    fn a_release_leaves_when_nobody_knows_it_and_its_sum_stays() {
        let key = EnvironmentKey {
            app: "shop".to_owned(),
            environment: "prod".to_owned(),
        };
        let settled = Settled {
            status: 200,
            ..Settled::default()
        };
        let total = |ledger: &Ledger| {
            let mut sum = ledger.former().clone();
            ledger.releases().for_each(|(_, of)| sum.add(&of));
            sum.requests().map(|(_, count)| count).sum::<u64>()
        };
        let mut ledger = Ledger::default();
        let table = ledger.of(&key, "R1");
        assert!(Arc::ptr_eq(&table, &ledger.of(&key, "R1")));
        table.cell().0.settle(&settled);
        let request = Arc::clone(table.cell());
        ledger.sweep();
        assert_eq!(ledger.releases().count(), 1, "the table knows it");
        drop(table);
        ledger.sweep();
        assert_eq!(ledger.releases().count(), 1, "a request knows it");
        request.0.settle(&settled);
        assert_eq!(total(&ledger), 2);
        drop(request);
        ledger.sweep();
        assert_eq!(ledger.releases().count(), 0);
        assert_eq!(total(&ledger), 2);
        // It comes back, and begins anew.
        ledger.of(&key, "R1").cell().0.settle(&settled);
        assert_eq!(total(&ledger), 3);
    }
}
