//! Fixed answers, printed. The first test holds the predecessor's own transcript.

#![allow(clippy::unwrap_used)]

mod autoscaling;

use fleet_proto::v1::*;
use insta::assert_snapshot;

use super::*;
use crate::output::to_json;

fn at(text: &str) -> Option<Instant> {
    let moment: jiff::Timestamp = text.replace(' ', "T").parse().unwrap();
    Some(Instant {
        unix_ms: u64::try_from(moment.as_millisecond()).unwrap(),
    })
}

fn loaded(name: &str, status: LoadedStatus, loaded: &str, updated: &str) -> LoadedRelease {
    LoadedRelease {
        name: name.to_owned(),
        release_id: "RABCDEFGHIJ".to_owned(),
        status: status.into(),
        active: status == LoadedStatus::Active,
        loaded: at(loaded),
        updated: at(updated),
        frontends: 2,
        frontends_desired: 2,
        ..Default::default()
    }
}

fn prod() -> EnvironmentDescription {
    let endpoint = |name: &str| Endpoint {
        name: name.to_owned(),
        host: format!("{name}.prod.ancora.f.nchr.io"),
    };
    EnvironmentDescription {
        environment: Some(Environment {
            app: "ancora".to_owned(),
            name: "prod".to_owned(),
            status: EnvironmentStatus::Running.into(),
            active_release: "8ef9d2f".to_owned(),
            loaded_releases: 2,
            certificate: "prod".to_owned(),
            created: at("2015-03-24 23:06:21Z"),
            updated: at("2015-06-09 02:49:21Z"),
            protected: false,
        }),
        whitelist: "allow-all".to_owned(),
        tracked_branches: vec!["fleet-deploy".to_owned()],
        autoscaling_min: 2,
        autoscaling_max: 10,
        releases: vec![
            loaded(
                "8ef9d2f",
                LoadedStatus::Active,
                "2015-06-09 01:50:25Z",
                "2015-06-09 01:57:00Z",
            ),
            loaded(
                "037205f",
                LoadedStatus::Running,
                "2015-03-26 07:28:21Z",
                "2015-06-03 05:46:11Z",
            ),
        ],
        endpoints: ["admin", "adminssh", "www"].map(endpoint).to_vec(),
        ..Default::default()
    }
}

/// What `fleet env describe prod` printed in 2015, byte for byte.
const SEED: &str = "
----------------  -------------------------
name              prod
status            RUNNING
whitelist         allow-all
ssl certificate   prod
created           2015-03-24 23:06:21+00:00
updated           2015-06-09 02:49:21+00:00
health check      OFF
tracked branches  fleet-deploy
previous release
autoscaling min   2
autoscaling max   10
----------------  -------------------------

Releases:
name     status      loaded                     updated                      frontends
-------  ----------  -------------------------  -------------------------  -----------
8ef9d2f  * ACTIVE *  2015-06-09 01:50:25+00:00  2015-06-09 01:57:00+00:00            2
037205f  RUNNING     2015-03-26 07:28:21+00:00  2015-06-03 05:46:11+00:00            2

Endpoints:
--------  ------------------------------
admin     admin.prod.ancora.f.nchr.io
adminssh  adminssh.prod.ancora.f.nchr.io
www       www.prod.ancora.f.nchr.io
--------  ------------------------------
";

#[test]
fn describe_prints_the_predecessors_page() {
    assert_eq!(DescriptionView::from(&prod()).text(), SEED);
}

#[test]
fn previous_release_has_three_states() {
    let row = |state: PreviousReleaseState, release: &str| {
        let mut description = prod();
        description.previous_release = Some(PreviousRelease {
            state: state.into(),
            release: release.to_owned(),
            release_id: String::new(),
        });
        let text = DescriptionView::from(&description).text();
        text.lines()
            .find(|line| line.starts_with("previous"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(row(PreviousReleaseState::Never, ""), "previous release");
    assert_eq!(
        row(PreviousReleaseState::None, ""),
        "previous release  None"
    );
    assert_eq!(
        row(PreviousReleaseState::Release, "037205f"),
        "previous release  037205f"
    );
}

#[test]
fn describe_tells_what_is_out_of_the_ordinary() {
    let mut description = prod();
    let environment = description.environment.as_mut().unwrap();
    environment.protected = true;
    environment.status = EnvironmentStatus::Updating.into();
    description.recycling = true;
    description.maintenance = true;
    description.rollout = Some(Rollout {
        id: 7,
        phase: RolloutPhase::Draining.into(),
        incoming: "8ef9d2f".to_owned(),
        outgoing: "037205f".to_owned(),
        ..Default::default()
    });
    description.releases[1].status = LoadedStatus::Failed.into();
    description.releases[1].reason =
        "frontend 12 exited with status 1:\npanic\x1b[31m: no database".to_owned();
    description.waiting = vec![Waiting {
        text: "node 3 has not acknowledged route generation 12".to_owned(),
        since: at("2015-06-09 02:49:21Z"),
        reason: "INGRESS_NOT_ACKNOWLEDGED".to_owned(),
        hint: "its lease ends in 4 s".to_owned(),
    }];
    assert_snapshot!("describe_busy", DescriptionView::from(&description).text());
    assert_snapshot!(
        "describe_busy_json",
        to_json(&DescriptionView::from(&description))
    );
}

#[test]
fn describe_of_an_empty_environment() {
    let mut description = prod();
    description.releases.clear();
    description.endpoints.clear();
    description.tracked_branches.clear();
    assert_snapshot!("describe_empty", DescriptionView::from(&description).text());
}

#[test]
fn lists() {
    let environment = prod().environment.unwrap();
    let mut fresh = environment.clone();
    fresh.name = "qa".to_owned();
    fresh.active_release.clear();
    fresh.loaded_releases = 0;
    fresh.status = EnvironmentStatus::Creating.into();
    let list = EnvironmentList::new(&[environment, fresh]);
    assert_snapshot!("env_list", list.text());
    assert_snapshot!("env_list_json", to_json(&list));
    assert_snapshot!("env_list_none", EnvironmentList::new(&[]).text());

    let build = Build {
        id: "BABCDEFGHIJ".to_owned(),
        name: "8ef9d2f".to_owned(),
        status: BuildStatus::Available.into(),
        message: "Make the basket remember what was in it yesterday".to_owned(),
        updated: at("2015-06-09 01:50:25Z"),
        loaded_in: vec!["prod".to_owned(), "qa".to_owned()],
        ..Default::default()
    };
    let mut failed = build.clone();
    failed.name = "0badc0d".to_owned();
    failed.status = BuildStatus::Failed.into();
    failed.message = "exactly thirty-two characters, .".to_owned();
    failed.reason = "no fleet.yml at the root of the archive\nsecond line".to_owned();
    failed.loaded_in.clear();
    assert_snapshot!("release_list", BuildList::new(&[build, failed]).library());
}

#[test]
fn apps_and_processes() {
    let app = App {
        name: "shop".to_owned(),
        status: AppStatus::Running.into(),
        generation: 3,
        release_id: "RABCDEFGHIJ".to_owned(),
        environments: vec!["prod".to_owned(), "qa".to_owned()],
        created: at("2015-06-09 01:50:25Z"),
        builds: 3,
        ..Default::default()
    };
    assert_snapshot!("apps_info", AppView::from(&app).text());
    assert_snapshot!("apps_list", AppList::new(&[app]).text());

    let process = Process {
        id: "f-12".to_owned(),
        app: "shop".to_owned(),
        environment: "prod".to_owned(),
        service: "www".to_owned(),
        status: ProcessStatus::Running.into(),
        release: "8ef9d2f".to_owned(),
        release_id: "RABCDEFGHIJ".to_owned(),
        started: at("2015-06-09 01:50:25Z"),
        command: "bin/web".to_owned(),
        node_id: 2,
        node: "b".to_owned(),
        ..Default::default()
    };
    let mut pending = process.clone();
    pending.id = "f-13".to_owned();
    pending.started = None;
    pending.status = ProcessStatus::Pending.into();
    let now = at("2015-06-09 01:55:25Z").unwrap().unix_ms;
    let list = ProcessList::new(&[process, pending]);
    assert_snapshot!("ps", list.text(now));
    assert_snapshot!("ps_json", to_json(&list));
}

#[test]
fn nodes_and_the_cluster() {
    let node = Node {
        id: 2,
        name: "b".to_owned(),
        address: "10.0.0.2:7400".to_owned(),
        roles: vec![NodeRole::Control.into(), NodeRole::Ingress.into()],
        state: NodeState::Ready.into(),
        raft_role: RaftRole::Leader.into(),
        last_seen: at("2015-06-09 01:55:25Z"),
        joined: at("2015-06-09 01:50:25Z"),
        frontends: 4,
        version: "0.1.0".to_owned(),
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        vote: String::new(),
    };
    assert_snapshot!(
        "node_list",
        NodeList::new(std::slice::from_ref(&node)).text()
    );
    let description = NodeDescription {
        node: Some(node.clone()),
        hostname: "box-b".to_owned(),
        architecture: "x86_64".to_owned(),
        kernel: "6.1.0".to_owned(),
        cpu_millicores: 4000,
        cpu_millicores_placed: 1000,
        memory_bytes: 8 << 30,
        memory_bytes_placed: 1 << 30,
        capabilities: vec![
            Capability {
                name: "cgroup limits".to_owned(),
                level: CapabilityLevel::Enforced.into(),
                text: "memory and cpu by cgroup v2".to_owned(),
            },
            Capability {
                name: "landlock".to_owned(),
                level: CapabilityLevel::Advisory.into(),
                text: "the kernel has none".to_owned(),
            },
        ],
        ingress: Some(IngressState {
            applied_generation: 12,
            connected: false,
            listen: vec!["0.0.0.0:80".to_owned()],
            last_seen: None,
        }),
        problems: vec!["the disk is 95 % full".to_owned()],
        advertise_host: "10.0.0.2".to_owned(),
        left: Vec::new(),
        drain_until: None,
        certificate_expires: at("2015-09-07 02:05:25Z"),
    };
    assert_snapshot!(
        "node_describe",
        NodeDescriptionView::from(&description).text()
    );
    let drained = NodeDescription {
        node: Some(Node {
            state: NodeState::Draining.into(),
            vote: "demoted".to_owned(),
            ..node
        }),
        left: vec!["web-3 of shop/prod waits for web-7 on c to be healthy".to_owned()],
        drain_until: at("2015-06-09 02:05:25Z"),
        ..description
    };
    assert_snapshot!(
        "node_describe_drained",
        NodeDescriptionView::from(&drained).text()
    );

    let status = ClusterStatusResponse {
        cluster_id: "c0ffee".to_owned(),
        node_id: 1,
        leader_id: 2,
        leader_address: "10.0.0.2:7400".to_owned(),
        term: 3,
        committed_index: 120,
        applied_index: 120,
        snapshot_index: 100,
        state_hash: "deadbeef".to_owned(),
        route_generation: 12,
        members: vec![ClusterMember {
            node_id: 2,
            name: "b".to_owned(),
            address: "10.0.0.2:7400".to_owned(),
            raft_role: RaftRole::Voter.into(),
            matched_index: 120,
        }],
        problems: vec!["node 3 is lost".to_owned()],
        generation: 0,
        restored_from: String::new(),
        version: "0.1.0".to_owned(),
        authorities: vec!["mfrgg".to_owned(), "orsxg".to_owned()],
        rotation: "dual: waiting for b".to_owned(),
    };
    assert_snapshot!("cluster_status", ClusterView::from(&status).text());
}

#[test]
fn what_lets_machines_in() {
    let tokens = [
        JoinToken {
            id: "43jbgj4s".to_owned(),
            roles: vec![NodeRole::Control.into(), NodeRole::Worker.into()],
            uses: 1,
            expires: at("2015-06-09 02:10:25Z"),
            made: at("2015-06-09 01:55:25Z"),
        },
        JoinToken {
            id: "7uk5zemq".to_owned(),
            roles: vec![NodeRole::Worker.into()],
            uses: 0,
            expires: at("2015-06-09 01:56:25Z"),
            made: at("2015-06-09 01:55:25Z"),
        },
    ];
    assert_snapshot!("node_token_list", TokenList::new(&tokens).text());

    let created = CreateTokenResponse {
        token: "fj1.worker.mfrgg.7uk5zemq.nb2wk.aaaaaaa".to_owned(),
        about: Some(tokens[1].clone()),
        ..CreateTokenResponse::default()
    };
    let view = CreatedTokenView::from(&created);
    assert_eq!(view.text(), "fj1.worker.mfrgg.7uk5zemq.nb2wk.aaaaaaa\n");
    assert_snapshot!("node_token_create_json", to_json(&view));

    let founded = InitResponse {
        cluster_id: "c0ffee".to_owned(),
        node_id: 1,
        name: "a".to_owned(),
        address: "10.0.0.1:7400".to_owned(),
        operator_token: "0123".to_owned(),
        domain: "example.org".to_owned(),
        authority: "mfrgg".to_owned(),
    };
    assert_snapshot!("node_init", FoundedView::from(&founded).text());
}

#[test]
fn states_of_a_newer_cluster_are_unknown() {
    let app = App {
        status: 99,
        ..Default::default()
    };
    assert!(AppView::from(&app).text().contains("unknown"));
    let unset = App::default();
    assert!(AppView::from(&unset).text().contains("unknown"));
}
