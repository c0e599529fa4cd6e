//! Build steps: which worker runs them, what becomes of them when it is lost, and how they end.

use fleet_model::{
    Command, Time,
    build::{Build, BuildStatus, STEP_DEADLINE},
    command::{BuildReport, Built, Code, NewBuild},
    ids::{BuildId, NodeId},
    manifest::{self, Run, Service},
    plan::{Load, copies},
    time::Millis,
};

use crate::common::{Checked, app, digest, drain, environment, manifest, registration, web};

/// Asks for a step, for one app of two services that share it.
pub fn source(name: &str, number: u64) -> Command {
    let made = Service {
        build: Some(manifest::Build {
            command: Some(Run::Shell("make".to_owned())),
            ..manifest::Build::default()
        }),
        ..web()
    };
    Command::CreateBuild(NewBuild {
        app: app("shop"),
        name: name.to_owned(),
        message: "a change".to_owned(),
        digest: digest(number),
        size: 10,
        manifest: manifest(&[("job", made.clone()), ("web", made)]),
        holder: NodeId(1),
        environment: Some(environment("shop/prod").name),
        description: None,
    })
}

struct Shop {
    checked: Checked,
    now: Time,
    silent: Vec<NodeId>,
}

impl Shop {
    /// Nodes 1, 2 and 3 with everything, an app, and nothing built.
    fn new() -> Self {
        let mut shop = Self {
            checked: Checked::new(),
            now: Time(1_000),
            silent: Vec::new(),
        };
        for number in 1..=3 {
            let asked = registration(number, (number == 1).then_some(1));
            shop.commit(Command::RegisterNode(asked));
        }
        shop.commit(Command::CreateApp {
            name: "shop".to_owned(),
        });
        shop.settle();
        shop
    }

    fn commit(&mut self, command: Command) {
        self.checked.commit(self.now, command).unwrap();
    }

    /// Plans, with everybody heard who is not silent; answers what is waited for.
    fn settle(&mut self) -> Vec<String> {
        let nodes = self.checked.state.nodes.keys().copied();
        let heard = nodes.map(|node| match self.silent.contains(&node) {
            true => (node, Time(1_000)),
            false => (node, self.now),
        });
        let load = Load {
            workers: heard.collect(),
            ..Load::default()
        };
        let planned = self.checked.settle(&load, self.now);
        let waits = planned.waiting.iter();
        waits.map(|waiting| waiting.reason.to_string()).collect()
    }

    fn build(&self, name: &str) -> &Build {
        let mut builds = self.checked.state.builds.values();
        builds.find(|build| build.name == name).unwrap()
    }

    fn runs_on(&self, name: &str) -> (Option<NodeId>, u32) {
        let step = self.build(name).due().unwrap();
        (step.node, step.attempt)
    }

    fn report(&self, name: &str, end: Built) -> BuildReport {
        let (node, attempt) = self.runs_on(name);
        BuildReport {
            build: self.build(name).id.clone(),
            node: node.unwrap(),
            attempt,
            holder: NodeId(1),
            log: Some((digest(70), 7)),
            end,
        }
    }
}

fn made() -> Built {
    Built::Artefact {
        digest: digest(50),
        size: 5,
    }
}

#[test]
fn steps_are_spread_one_to_a_worker_and_the_rest_waits() {
    let mut shop = Shop::new();
    for (number, name) in ["aaaa111", "bbbb222", "cccc333", "dddd444"]
        .iter()
        .enumerate()
    {
        shop.now = shop.now.plus(Millis(1));
        shop.commit(source(name, number as u64 + 1));
    }
    let waits = shop.settle();
    assert_eq!(
        waits,
        [
            "the build step runs on n1",
            "the build step runs on n2",
            "the build step runs on n3",
            "no worker can take the build step: 3 running another build step",
        ]
    );
    let report = shop.report("bbbb222", made());
    let free = report.node;
    shop.commit(Command::ReportBuild(report));
    shop.settle();
    assert_eq!(shop.runs_on("dddd444"), (Some(free), 1));
}

#[test]
fn a_worker_that_is_drained_is_given_none() {
    let mut shop = Shop::new();
    for node in [1, 2] {
        shop.commit(drain(NodeId(node), true));
    }
    shop.commit(source("aaaa111", 1));
    shop.settle();
    assert_eq!(shop.runs_on("aaaa111"), (Some(NodeId(3)), 1));
}

#[test]
fn what_a_step_made_is_copied_before_it_is_available() {
    let mut shop = Shop::new();
    shop.commit(source("aaaa111", 1));
    shop.settle();
    // The source is safe before the artefact is there.
    let copy = Command::RecordCopy {
        digest: digest(1),
        node: NodeId(3),
    };
    shop.commit(copy);
    assert_eq!(shop.build("aaaa111").status, BuildStatus::Running);
    shop.commit(Command::ReportBuild(shop.report("aaaa111", made())));
    let build = shop.build("aaaa111");
    assert_eq!((build.digest.clone(), build.size), (digest(50), 5));
    assert_eq!(
        (build.status.clone(), build.due()),
        (BuildStatus::Running, None)
    );
    let state = &shop.checked.state;
    let fetchers = |number| {
        let nodes = state.nodes.keys().copied();
        let of = |node: &NodeId| copies::to_fetch(state, *node).contains(&digest(number));
        nodes.filter(of).collect::<Vec<_>>()
    };
    let (artefact, log) = (fetchers(50), fetchers(70));
    assert_eq!((artefact.len(), log.len(), fetchers(1).len()), (1, 1, 0));
    for (number, node) in [(50, artefact[0]), (70, log[0])] {
        shop.commit(Command::RecordCopy {
            digest: digest(number),
            node,
        });
    }
    let build = shop.build("aaaa111");
    assert_eq!(build.status, BuildStatus::Complete);
    assert_eq!(build.log.as_ref().unwrap().holders.len(), 2);
}

#[test]
fn a_step_that_failed_fails_its_build_and_keeps_its_log() {
    let mut shop = Shop::new();
    shop.commit(source("aaaa111", 1));
    shop.settle();
    let failed = Built::Failed {
        reason: "build step of job exited with status 2".to_owned(),
        output: vec!["no header".to_owned()],
    };
    let report = shop.report("aaaa111", failed);
    shop.commit(Command::ReportBuild(report.clone()));
    let build = shop.build("aaaa111");
    let reason = "build step of job exited with status 2; last output:\n  no header".to_owned();
    assert_eq!(build.status, BuildStatus::Failed { reason });
    assert!(build.log.is_some());
    let again = shop.checked.commit(shop.now, Command::ReportBuild(report));
    assert_eq!(again.unwrap_err().code, Code::Stale);
    let promote = Command::Promote {
        environment: environment("shop/prod"),
        reference: None,
        force: false,
    };
    let refused = shop.checked.commit(shop.now, promote).unwrap_err();
    assert_eq!(refused.code, Code::BuildNotAvailable);
}

#[test]
fn another_worker_takes_over_and_the_first_is_heard_no_more() {
    let mut shop = Shop::new();
    shop.commit(source("aaaa111", 1));
    shop.settle();
    for attempt in 1..=3 {
        let (Some(node), now) = shop.runs_on("aaaa111") else {
            panic!("nobody runs it");
        };
        assert_eq!(now, attempt);
        let late = shop.report("aaaa111", made());
        shop.silent.push(node);
        shop.now = shop.now.plus(Millis::seconds(20));
        shop.settle();
        let stale = shop.checked.commit(shop.now, Command::ReportBuild(late));
        assert_eq!(stale.unwrap_err().code, Code::Stale);
        if attempt == 1 {
            let story: Vec<_> = shop.checked.state.events.values().collect();
            let last = &story[story.len() - 1].message;
            assert_eq!(
                last,
                "build step of aaaa111 runs on n2, because n1 was lost"
            );
        }
    }
    let BuildStatus::Failed { reason } = &shop.build("aaaa111").status else {
        panic!("it goes on for ever");
    };
    assert_eq!(reason, "3 workers were lost during its step, n3 the last");
}

#[test]
fn a_step_that_hangs_is_given_up() {
    let mut shop = Shop::new();
    shop.commit(source("aaaa111", 1));
    shop.settle();
    shop.now = shop.now.plus(STEP_DEADLINE);
    shop.settle();
    let BuildStatus::Failed { reason } = &shop.build("aaaa111").status else {
        panic!("it goes on for ever");
    };
    assert_eq!(reason, "its step had not ended on n1 after 60 min");
}

#[test]
fn two_plans_do_not_give_one_worker_two_steps() {
    let mut shop = Shop::new();
    shop.commit(source("aaaa111", 1));
    shop.commit(source("bbbb222", 2));
    let assign = |build: &Build| Command::AssignBuild {
        build: build.id.clone(),
        assumed: build.revision,
        node: NodeId(1),
    };
    let (first, second) = (assign(shop.build("aaaa111")), assign(shop.build("bbbb222")));
    shop.commit(first);
    let refused = shop.checked.commit(shop.now, second).unwrap_err();
    assert_eq!(refused.code, Code::Stale);
    let unknown = Command::FailBuild {
        build: BuildId::from_index(9_999),
        assumed: 1,
        reason: String::new(),
    };
    assert!(shop.checked.commit(shop.now, unknown).is_err());
}

#[test]
fn services_that_ask_for_the_same_share_a_step() {
    let Command::CreateBuild(new) = source("aaaa111", 1) else {
        panic!("no build");
    };
    let steps = new.manifest.source_steps();
    let services: Vec<_> = steps.iter().map(|step| step.service.as_str()).collect();
    assert_eq!(services, ["job"]);
}
