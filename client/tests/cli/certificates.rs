//! Certificates: what is sent of what is pasted, and what is shown.

use fleet_client::Exit;
use fleet_proto::v1::{AcmeMethod, OrderedCertificate};
use tonic::Code;

use crate::fake::{Fake, status};
use crate::run::line;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nBB\n-----END PRIVATE KEY-----\n";

#[tokio::test]
async fn three_blocks_come_from_standard_input_or_from_files() {
    let here = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let address = fake.serve().await;
    let typed = format!("{CERTIFICATE}\u{4}{CERTIFICATE}{CERTIFICATE}\u{4}{KEY}\u{4}");
    let piped = format!("{CERTIFICATE}{CERTIFICATE}{CERTIFICATE}{KEY}");
    for input in [&typed, &piped] {
        let ended = line("cert add shop", &[&address]).input(input).run().await;
        assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
        assert_eq!(
            ended.output,
            "Certificate shop is added: *.shop.test, shop.test; it ends 2015-06-18 04:00:00+00:00 (9 days)\n"
        );
        assert!(
            !format!("{}{}", ended.output, ended.errors).contains("BB"),
            "the key is shown"
        );
    }
    for (name, text) in [
        ("c.pem", CERTIFICATE),
        ("i.pem", &*CERTIFICATE.repeat(2)),
        ("k.pem", KEY),
    ] {
        std::fs::write(here.path().join(name), text).unwrap();
    }
    let words = "cert add shop --cert c.pem --chain i.pem --key k.pem --replace --force";
    let ended = line(words, &[&address]).directory(here.path()).run().await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    let sent = fake.script.lock().unwrap().certificates.clone();
    assert_eq!(sent.len(), 3);
    for one in &sent {
        assert_eq!(one.name, "shop");
        assert_eq!(one.certificate, CERTIFICATE);
        assert_eq!(one.chain, CERTIFICATE.repeat(2));
        assert_eq!(one.private_key, KEY);
    }
    assert_eq!(
        sent.iter().map(|one| one.replace).collect::<Vec<_>>(),
        [false, false, true]
    );

    for words in [
        "cert add shop --cert c.pem",
        "cert add shop --chain i.pem",
        "cert add",
    ] {
        let ended = line(words, &[&address]).directory(here.path()).run().await;
        assert_eq!(ended.exit, Exit::Usage, "{words}");
    }
    std::fs::write(here.path().join("k.pem"), [0x30, 0x82, 0xff]).unwrap();
    let ended = line(words, &[&address]).directory(here.path()).run().await;
    assert_eq!(ended.exit, Exit::Failed);
    assert!(
        ended
            .errors
            .starts_with("error: cannot read k.pem: it is not PEM\n"),
        "{}",
        ended.errors
    );
}

#[tokio::test]
async fn a_refusal_names_the_block() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let sentence = "the private key block is encrypted";
    let hint = "open it first: openssl pkey -in KEY -out OPEN-KEY";
    fake.refuse(status(
        Code::InvalidArgument,
        sentence,
        "BAD_CERTIFICATE",
        hint,
        &[],
    ));
    let ended = line("cert add shop", &[&address])
        .input(CERTIFICATE)
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Usage);
    assert_eq!(ended.errors, format!("error: {sentence}\nhint: {hint}\n"));
}

#[tokio::test]
async fn certificates_are_listed_shown_and_removed() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let listed = line("cert", &[&address]).run().await;
    insta::assert_snapshot!(listed.output, @r"
    name         common name    organization    expires                             uploaded                   issuer          order
    -----------  -------------  --------------  ----------------------------------  -------------------------  --------------  ----------------------------------------------------------------------
    old          shop.test      Shop \x1bLtd    2015-06-09 01:55:24+00:00 (over)    2015-06-09 01:55:25+00:00  Test Authority
    refused                                                                                                                    tried again 2015-06-18 04:00:00+00:00; last error: dns: no \x1baddress
    renewed      shop.test      Shop \x1bLtd    2015-06-18 04:00:00+00:00 (9 days)  2015-06-09 01:55:25+00:00  Test Authority  ordered 2015-06-18 04:00:00+00:00
    self-signed
    shop         shop.test      Shop \x1bLtd    2015-06-18 04:00:00+00:00 (9 days)  2015-06-09 01:55:25+00:00  Test Authority
    ");
    let json = line("cert list -o json", &[&address]).run().await;
    let json: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(
        (&json[0]["days_left"], &json[4]["days_left"]),
        (&(-1).into(), &9.into())
    );
    assert_eq!(json[4]["environments"][0], "shop/prod");
    assert_eq!(json[4]["issuer"], "Test Authority");
    assert!(json[4]["acme"].is_null());
    let refused = &json[1]["acme"];
    assert_eq!(refused["challenge"], "tls-alpn-01");
    assert_eq!(
        (&refused["state"], &refused["failures"]),
        (&"due".into(), &2.into())
    );
    assert_eq!(refused["last_error"], "dns: no \u{1b}address");

    let shown = line("cert show shop", &[&address]).run().await;
    assert_eq!(shown.output, "-----BEGIN CERTIFICATE-----\n");
    let early = line("cert show self-signed", &[&address]).run().await;
    assert_eq!(early.exit, Exit::Failed);
    assert!(early.errors.contains("is not made yet"), "{}", early.errors);
    let removed = line("cert remove shop", &[&address]).run().await;
    assert_eq!(removed.output, "Certificate shop is removed\n");
}

#[tokio::test]
async fn an_environment_is_given_a_certificate_and_told_whether_to_redirect() {
    let fake = Fake::default();
    let address = fake.serve().await;
    for words in [
        "env cert prod shop",
        "env prod cert shop",
        "env cert prod shop -e prod",
    ] {
        let ended = line(&format!("{words} -a shop"), &[&address]).run().await;
        assert_eq!(
            ended.output, "Certificate shop is now shown by environment prod\n",
            "{words}"
        );
    }
    let ended = line("env prod redirect off -a shop", &[&address])
        .run()
        .await;
    assert_eq!(
        ended.output,
        "Redirection to HTTPS is now OFF for environment prod\n"
    );
    let seen = fake.seen();
    let methods: Vec<_> = seen.iter().map(|call| call.method).collect();
    assert_eq!(
        methods,
        [
            "set_certificate",
            "set_certificate",
            "set_certificate",
            "set_redirect"
        ]
    );
    assert!(
        seen[..3]
            .iter()
            .all(|call| call.release == "shop" && call.environment == "prod")
    );
}

#[tokio::test]
async fn a_certificate_is_ordered_and_told_of() {
    let here = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let address = fake.serve().await;
    std::fs::write(here.path().join("ca.pem"), CERTIFICATE).unwrap();
    let words = "cert add shop --acme --directory https://ca.test/dir --directory-ca ca.pem \
                 --email ops@shop.test --domain a.test --domain b.test --challenge tls-alpn-01";
    for words in [words, "cert add shop --acme"] {
        let ended = line(words, &[&address]).directory(here.path()).run().await;
        assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
        assert_eq!(
            ended.output,
            "Certificate shop is added: waits for an environment with a domain\n"
        );
    }
    let sent = fake.script.lock().unwrap().certificates.clone();
    let asked = OrderedCertificate {
        directory: "https://ca.test/dir".to_owned(),
        email: Some("ops@shop.test".to_owned()),
        directory_ca: CERTIFICATE.into(),
        domains: vec!["a.test".to_owned(), "b.test".to_owned()],
        method: AcmeMethod::TlsAlpn.into(),
    };
    assert_eq!(sent[0].acme, Some(asked));
    let plain = OrderedCertificate {
        method: AcmeMethod::Http.into(),
        ..OrderedCertificate::default()
    };
    assert_eq!(sent[1].acme, Some(plain));
    assert!(
        sent.iter()
            .all(|one| one.certificate.is_empty() && one.private_key.is_empty())
    );

    for words in [
        "cert add shop --acme --cert c.pem --key k.pem",
        "cert add shop --acme --force",
        "cert add shop --domain a.test",
        "cert add shop --directory https://ca.test",
        "cert add shop --acme --challenge dns-01",
    ] {
        let ended = line(words, &[&address]).directory(here.path()).run().await;
        assert_eq!(ended.exit, Exit::Usage, "{words}");
    }

    let shown = line("cert show renewed", &[&address]).run().await;
    assert_eq!(
        shown.output, "-----BEGIN CERTIFICATE-----\n",
        "only what a file wants"
    );
    assert_eq!(shown.errors, "ordered 2015-06-18 04:00:00+00:00\n");
    let early = line("cert show looked", &[&address]).run().await;
    assert_eq!(early.exit, Exit::Failed);
    assert_eq!(
        early.errors,
        "error: certificate looked is not issued yet: the authority looks\n"
    );
    let json = line("cert show looked -o json", &[&address]).run().await;
    assert_eq!(json.exit, Exit::Done, "{}", json.errors);
    let json: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(
        (&json["acme"]["state"], &json["chain"]),
        (&"looked".into(), &"".into())
    );
}
