#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, sync::Arc, sync::atomic::Ordering, time::Duration};

use fleet_model::ids::BuildId;

use super::{
    Builds, Ended, Stage,
    order::{BuildCommand, BuildOrder, Plan},
    testing::{Bench, Unpacking, line},
};
use crate::worker::{assignment::testing::assignment, runtime::workshop::BuildKey};

struct Place {
    dir: tempfile::TempDir,
    bench: Arc<Bench>,
    source: Unpacking,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(&dir.path().join("logs"));
        Self {
            bench,
            dir,
            source: Unpacking::default(),
        }
    }

    fn agent(&self) -> Builds {
        let root = self.dir.path().join("builds");
        Builds::start(root, self.bench.clone(), self.source.clone()).unwrap()
    }

    fn unpacked(&self) -> usize {
        self.source.0.load(Ordering::SeqCst)
    }
}

fn key(attempt: u32) -> BuildKey {
    BuildKey {
        build: BuildId::from_index(7),
        attempt,
    }
}

fn order(attempt: u32, commands: &[(&str, &str)]) -> BuildOrder {
    let commands = commands.iter().map(|(path, said)| BuildCommand {
        service: "web".to_owned(),
        path: Path::new(path).to_owned(),
        command: line(said),
        arguments: [("BUILD".to_owned(), "mine".to_owned())].into(),
    });
    BuildOrder {
        key: key(attempt),
        plan: Ok(Plan {
            app: "shop".to_owned(),
            source: assignment(1).artefact,
            commands: commands.collect(),
            created: 1_500_000_000,
        }),
    }
}

async fn ended(builds: &Builds, key: &BuildKey) -> Arc<Ended> {
    let mut view = builds.view();
    let over = view.wait_for(|view| matches!(view.get(key), Some(Stage::Ended(_))));
    let view = tokio::time::timeout(Duration::from_secs(60), over).await;
    match view.unwrap().unwrap().get(key) {
        Some(Stage::Ended(ended)) => ended.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn commands_run_one_after_the_other_and_what_they_left_is_packed() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let place = Place::new();
        let builds = place.agent();
        builds.obey(vec![order(1, &[("", "one"), ("web", "two")])]);
        let ended = ended(&builds, &key(1)).await;
        let made = ended.end.as_ref().unwrap();
        let mut entries = Vec::new();
        let mut tar = tar::Archive::new(fs::File::open(&made.file).unwrap());
        for entry in tar.entries().unwrap() {
            entries.push(entry.unwrap().path().unwrap().display().to_string());
        }
        assert_eq!(entries, ["fleet.yml", "one", "web", "web/two"]);
        let log = fs::read_to_string(&ended.log.as_ref().unwrap().file).unwrap();
        let said: Vec<&str> = log.lines().filter_map(|line| line.get(29..)).collect();
        assert_eq!(said, ["web: one", "ran one", "web: two", "ran two"]);
        let steps = place.bench.steps.lock().unwrap();
        assert_eq!(steps[0].env["APP"], "shop");
        assert_eq!(steps[0].env["BUILD"], key(1).build.as_str());
        digests.push(made.object.digest.clone());
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn the_first_command_that_fails_is_the_last() {
    let place = Place::new();
    let builds = place.agent();
    builds.obey(vec![order(1, &[("", "one"), ("", "exit 3"), ("", "two")])]);
    let ended = ended(&builds, &key(1)).await;
    let failure = ended.end.as_ref().unwrap_err();
    assert_eq!(failure.reason, "build step of web exited with status 3");
    assert_eq!(failure.last_lines, ["no such header"]);
    assert_eq!(place.bench.steps.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn another_agent_goes_on_and_does_not_begin_anew() {
    let place = Place::new();
    let builds = place.agent();
    builds.obey(vec![order(1, &[("", "one")])]);
    let first = ended(&builds, &key(1)).await;
    drop(builds);
    let builds = place.agent();
    builds.obey(vec![order(1, &[("", "one")])]);
    let second = ended(&builds, &key(1)).await;
    assert_eq!(place.unpacked(), 1);
    let digest = |ended: &Ended| ended.end.as_ref().unwrap().object.digest.clone();
    assert_eq!(digest(&first), digest(&second));
}

#[tokio::test]
async fn a_source_that_no_step_has_touched_is_unpacked_anew() {
    let place = Place::new();
    let left = place.dir.path().join("builds").join(key(1).to_string());
    fs::create_dir_all(left.join("tree")).unwrap();
    fs::write(left.join("tree/half"), "").unwrap();
    let builds = place.agent();
    builds.obey(vec![order(1, &[("", "one")])]);
    ended(&builds, &key(1)).await.end.as_ref().unwrap();
    assert!(!left.join("tree/half").exists());
}

#[tokio::test]
async fn what_is_not_ordered_any_more_is_gone() {
    let place = Place::new();
    let builds = place.agent();
    let root = place.dir.path().join("builds");
    let left = root.join(key(9).to_string());
    fs::create_dir_all(&left).unwrap();
    place.bench.begun.lock().unwrap().insert(key(8));
    builds.obey(vec![order(1, &[("", "hang")])]);
    let mut view = builds.view();
    view.wait_for(|view| view.contains_key(&key(1)))
        .await
        .unwrap();
    builds.obey(vec![order(2, &[("", "one")])]);
    ended(&builds, &key(2)).await.end.as_ref().unwrap();
    assert!(!builds.view().borrow().contains_key(&key(1)));
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    let begun = place.bench.begun.lock().unwrap().clone();
    assert_eq!(begun, [key(2)].into());
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_answered() {
    let place = Place::new();
    let builds = place.agent();
    let plan = Err("order has no source".to_owned());
    builds.obey(vec![BuildOrder { key: key(1), plan }]);
    let ended = ended(&builds, &key(1)).await;
    assert_eq!(
        ended.end.as_ref().unwrap_err().reason,
        "order has no source"
    );
    assert!(ended.log.is_none());
}

#[tokio::test]
async fn what_ended_unseen_is_begun_anew_from_the_source() {
    let place = Place::new();
    let builds = place.agent();
    builds.obey(vec![order(1, &[("", "one"), ("", "vanish")])]);
    ended(&builds, &key(1)).await.end.as_ref().unwrap();
    assert_eq!(place.unpacked(), 2);
    assert_eq!(place.bench.steps.lock().unwrap().len(), 4);
}
