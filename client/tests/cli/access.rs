//! Whitelists and limits: what is sent, and what is shown.

use fleet_client::Exit;
use fleet_proto::v1::{RequestLimit, RequestRate};
use tonic::Code;

use crate::fake::{Fake, status};
use crate::run::line;

#[tokio::test]
async fn whitelists_are_listed_and_described_as_they_always_were() {
    let fake = Fake::default();
    let address = fake.serve().await;
    for words in ["whitelist", "whitelist list"] {
        let listed = line(words, &[&address]).run().await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(listed.output, @r"
            name       rules    in use    read only
            ---------  -------  --------  -----------
            allow-all  2/50     yes       yes
            guests     0/50     no        no
            office     2/50     yes       no
            ");
        }
    }
    let described = line("whitelist describe office", &[&address]).run().await;
    assert_eq!(described.output, " - 10.0.0.0/8\n - 192.0.2.7/32\n");
    let json = line("whitelist describe office -o json", &[&address])
        .run()
        .await;
    let json: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(json["rules"][1], "192.0.2.7/32");
    assert_eq!(json["environments"][0], "shop/prod");
    let json = line("whitelist -o json", &[&address]).run().await;
    let json: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(
        (&json[0]["read_only"], &json[1]["most_rules"]),
        (&true.into(), &50.into())
    );
}

#[tokio::test]
async fn whitelists_are_made_changed_and_destroyed() {
    let fake = Fake::default();
    let address = fake.serve().await;
    for (words, said) in [
        (
            "whitelist create guests",
            "Whitelist guests is created; it allows nobody yet\n",
        ),
        (
            "whitelist allow office 192.0.2.7",
            "Whitelist office now allows 192.0.2.7/32\n",
        ),
        (
            "whitelist revoke office 10.0.0.0/8",
            "Whitelist office no longer allows 10.0.0.0/8\n",
        ),
        (
            "whitelist destroy guests",
            "Whitelist guests is destroyed\n",
        ),
    ] {
        let ended = line(words, &[&address]).run().await;
        assert_eq!(
            (ended.exit, &*ended.output),
            (Exit::Done, said),
            "{}",
            ended.errors
        );
    }
    let methods: Vec<_> = fake.seen().iter().map(|call| call.method).collect();
    assert_eq!(methods, ["create", "allow", "revoke", "destroy"]);

    let (sentence, hint) = (
        "\"10.0.0.1/8\" has bits beyond its prefix",
        "that network is 10.0.0.0/8",
    );
    fake.refuse(status(
        Code::InvalidArgument,
        sentence,
        "INVALID_VALUE",
        hint,
        &[],
    ));
    let ended = line("whitelist allow office 10.0.0.1/8", &[&address])
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Usage);
    assert_eq!(ended.errors, format!("error: {sentence}\nhint: {hint}\n"));
    let ended = line("whitelist allow office", &[&address]).run().await;
    assert_eq!(ended.exit, Exit::Usage);
}

#[tokio::test]
async fn an_environment_is_given_a_whitelist_and_limits() {
    let fake = Fake::default();
    let address = fake.serve().await;
    for words in ["env whitelist prod office", "env prod whitelist office"] {
        let ended = line(&format!("{words} -a shop"), &[&address]).run().await;
        assert_eq!(
            ended.output, "Whitelist office is now that of environment prod\n",
            "{words}"
        );
    }
    let words =
        "env prod limits --in-flight 100 --rate 50 --address-rate 5,20 --address-in-flight off";
    let ended = line(&format!("{words} -a shop"), &[&address]).run().await;
    assert_eq!(
        ended.output,
        "Limits of requests are now changed for environment prod\n"
    );
    let sent = fake.script.lock().unwrap().limits.remove(0);
    let rate = |per_second, burst| Some(RequestRate { per_second, burst });
    assert_eq!(
        sent.requests,
        Some(RequestLimit {
            in_flight: Some(100),
            rate: rate(50, 50),
        })
    );
    assert_eq!(
        sent.address_requests,
        Some(RequestLimit {
            in_flight: Some(0),
            rate: rate(5, 20),
        })
    );
    let seen = fake.seen();
    assert!(seen[..2].iter().all(|call| call.release == "office"));
    assert_eq!(seen[2].method, "set_request_limits");
    let ended = line("env limits prod -a shop", &[&address]).run().await;
    assert_eq!(ended.exit, Exit::Usage, "{}", ended.errors);
}
