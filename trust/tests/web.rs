//! Certificates that operators bring: which are taken, and which block is named when one is not.
#![allow(clippy::unwrap_used)]

use fleet_trust::{
    Block, Blocks, Fault, NodeKey, OwnIssuer, WebCertificate, certificates_to_pem, key_to_pem,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// A certificate with its key, and what signs with them.
struct Party {
    params: CertificateParams,
    pem: String,
    key: KeyPair,
}

impl Party {
    fn signed(params: CertificateParams, by: Option<&Party>) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = match by {
            Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)),
            None => params.self_signed(&key),
        };
        let pem = certificates_to_pem([certificate.unwrap().der()]);
        Self { params, pem, key }
    }

    fn key(&self) -> String {
        key_to_pem(&NodeKey::from_pkcs8(&self.key.serialize_der()).unwrap())
    }
}

fn named(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// Root, two between, and a server.
struct Chain {
    root: Party,
    high: Party,
    low: Party,
    server: Party,
}

fn chain() -> Chain {
    let root = Party::signed(authority("root"), None);
    let high = Party::signed(authority("high"), Some(&root));
    let low = Party::signed(authority("low"), Some(&high));
    let hosts = ["Shop.test", "*.shop.test"];
    let server = Party::signed(named("shop", &hosts), Some(&low));
    Chain {
        root,
        high,
        low,
        server,
    }
}

fn blocks(certificate: &str, chain: &[&str], key: &str) -> Blocks {
    Blocks {
        certificate: certificate.into(),
        chain: chain.concat().into(),
        key: key.into(),
    }
}

/// The block that is named, and the sentence.
fn refused(blocks: &Blocks) -> (Block, String) {
    let faulty = WebCertificate::read(blocks).expect_err("it was taken");
    (faulty.block, faulty.to_string())
}

#[test]
fn what_fits_is_taken_and_read() {
    let Chain {
        root,
        high,
        low,
        server,
    } = chain();
    let all = [&*low.pem, &high.pem, &root.pem];
    for length in 0..=3 {
        let read = WebCertificate::read(&blocks(&server.pem, &all[..length], &server.key()));
        let read = read.unwrap();
        assert_eq!(read.chain.len(), length + 1);
        assert_eq!(read.names, ["*.shop.test", "shop.test"]);
        assert_eq!((&*read.common_name, &*read.organization), ("shop", ""));
        let seconds = |at: std::time::SystemTime| {
            let since = at.duration_since(std::time::UNIX_EPOCH);
            since.unwrap().as_secs()
        };
        assert_eq!(seconds(read.begins), 1_767_225_600);
        assert_eq!(seconds(read.expires), 2_082_758_400);
        assert_eq!(read.chain_expires.is_some(), length > 0);
    }
    // In one file, as they are often given out.
    let full = [&*server.pem, &low.pem, &high.pem].concat();
    let read = WebCertificate::read(&blocks(&full, &[], &server.key())).unwrap();
    assert_eq!(read.chain.len(), 3);
    // White space and the ends of lines of other systems are nobody's fault.
    let dos = format!("\r\n{}\r\n", server.pem.replace('\n', "\r\n"));
    WebCertificate::read(&blocks(&dos, &["\n"], &server.key())).unwrap();
}

#[test]
fn an_rsa_key_in_its_old_form_is_taken() {
    let certificate = include_str!("web/rsa-certificate.pem");
    let key = include_str!("web/rsa-key.pem");
    let read = WebCertificate::read(&blocks(certificate, &[], key)).unwrap();
    assert_eq!(
        (&*read.common_name, &*read.organization),
        ("rsa.test", "Shop Ltd")
    );
    let weak = blocks(
        include_str!("web/weak-certificate.pem"),
        &[],
        include_str!("web/weak-key.pem"),
    );
    let sentence = "the private key block holds an RSA key of less than 2048 bits";
    assert_eq!(refused(&weak), (Block::Key, sentence.to_owned()));
}

#[test]
fn text_that_is_no_pem_is_named_by_its_block_and_line() {
    let server = chain().server;
    let (pem, key) = (&*server.pem, &*server.key());
    let cut = pem.rsplit_once("-----END").unwrap().0;
    let damaged = pem.replacen('M', "!", 2);
    let large = "x".repeat(257 << 10);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let twice = format!("{key}{key}");
    let commented = format!("subject=CN = shop\n{pem}");
    let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let odd_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let cases = [
        (blocks("", &[], key), "the certificate block is empty"),
        (blocks(pem, &[], " \n"), "the private key block is empty"),
        (
            blocks("hello", &[], key),
            "the certificate block is not PEM: no line of it begins with -----BEGIN",
        ),
        (
            blocks(pem, &["\u{1}\u{2}"], key),
            "the chain block is not PEM: no line of it begins with -----BEGIN",
        ),
        (
            blocks(pem, &[], &large),
            "the private key block has more than 256 KiB",
        ),
        (
            blocks(&commented, &[], key),
            "the certificate block has text outside its PEM sections, at line 1",
        ),
        (
            blocks(cut, &[], key),
            "the certificate block breaks off: the section that begins at line 1 has no end",
        ),
        (
            blocks(&damaged, &[], key),
            "the certificate block is damaged: the section that begins at line 1 is not base 64",
        ),
        (
            blocks(key, &[], pem),
            "the certificate block holds a section \"PRIVATE KEY\" where \"CERTIFICATE\" is expected, at line 1",
        ),
        (
            blocks(pem, &[], pem),
            "the private key block holds a section \"CERTIFICATE\" where \"PRIVATE KEY\" is expected, at line 1",
        ),
        (
            blocks(pem, &[key], key),
            "the chain block holds a section \"PRIVATE KEY\" where \"CERTIFICATE\" is expected, at line 1",
        ),
        (
            blocks(pem, &[], encrypted),
            "the private key block is encrypted",
        ),
        (blocks(pem, &[], old), "the private key block is encrypted"),
        (
            blocks(pem, &[], &twice),
            "the private key block holds 2 keys",
        ),
        (
            blocks(pem, &[], odd_key),
            "the private key block holds no key, or one of a kind that is not supported",
        ),
        (
            blocks(rubbish, &[], key),
            "the certificate block holds something that is no X.509 certificate, in section 1",
        ),
        (
            blocks(pem, &[pem, rubbish], key),
            "the chain block holds something that is no X.509 certificate, in section 2",
        ),
    ];
    for (blocks, sentence) in cases {
        assert_eq!(refused(&blocks).1, sentence);
    }
    // None of them gives a key away.
    assert_eq!(format!("{:?}", blocks(pem, &[], key)), "Blocks(…)");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (chain().server, chain().server);
    let (block, sentence) = refused(&blocks(&one.pem, &[], &other.key()));
    assert_eq!(block, Block::Key);
    assert_eq!(
        sentence,
        "the private key block does not belong to the certificate: the keys differ"
    );
}

#[test]
fn a_certificate_that_no_server_may_show_is_refused() {
    let certificate = |params: CertificateParams| {
        let party = Party::signed(params, None);
        WebCertificate::read(&blocks(&party.pem, &[], &party.key())).map_err(|f| (f.block, f.fault))
    };
    let refused = |fault| Err((Block::Certificate, fault));
    assert_eq!(
        certificate(authority("ca")).map(drop),
        refused(Fault::Authority)
    );
    assert_eq!(
        certificate(named("shop", &[])).map(drop),
        refused(Fault::NoNames)
    );
    let mut client = named("client", &["shop.test"]);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(certificate(client).map(drop), refused(Fault::Usage));
    let mut server = named("server", &["shop.test"]);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert!(
        certificate(server).is_ok(),
        "signed by itself, and for servers"
    );
}

#[test]
fn a_chain_stands_in_its_order_and_signs_what_it_says() {
    let Chain {
        root,
        high,
        low,
        server,
    } = chain();
    let other = chain();
    // Of the same names, by other keys.
    let forged = &other.low.pem;
    let mut short = authority("short");
    short.not_after = date_time_ymd(2026, 6, 1);
    let short = Party::signed(short, None);
    let mut late = named("late", &["late.test"]);
    late.not_before = date_time_ymd(2027, 1, 1);
    let late = Party::signed(late, Some(&short));
    let worker = Party::signed(named("worker", &["w.test"]), None);
    let by_worker = Party::signed(named("odd", &["odd.test"]), Some(&worker));
    let cases = [
        (
            blocks(&server.pem, &[&high.pem, &low.pem], &server.key()),
            "the chain block is in the wrong order: its certificate 1 (\"high\") was not signed by the next one",
        ),
        (
            blocks(
                &server.pem,
                &[&low.pem, &root.pem, &high.pem],
                &server.key(),
            ),
            "the chain block is in the wrong order: its certificate 1 (\"low\") was not signed by the next one",
        ),
        (
            blocks(&server.pem, &[&high.pem], &server.key()),
            "the chain block does not begin with the one that signed the certificate, which is \"low\"",
        ),
        (
            blocks(&server.pem, &[&server.pem, &low.pem], &server.key()),
            "the chain block repeats the certificate",
        ),
        (
            blocks(&server.pem, &[forged], &server.key()),
            "the chain block does not vouch for the certificate: InvalidSignatureForPublicKey",
        ),
        (
            blocks(&late.pem, &[&short.pem], &late.key()),
            "the chain block holds certificates that are never valid together",
        ),
        (
            blocks(&by_worker.pem, &[&worker.pem], &by_worker.key()),
            "the chain block holds a certificate that may not sign others: \"worker\"",
        ),
        (
            blocks(
                &[&*server.pem, &high.pem, &low.pem].concat(),
                &[],
                &server.key(),
            ),
            "the certificate block is in the wrong order: its certificate 1 (\"high\") was not signed by the next one",
        ),
        (
            blocks(
                &[&*server.pem, &low.pem].concat(),
                &[&high.pem],
                &server.key(),
            ),
            "the certificate block holds 2 certificates, and there is a chain block",
        ),
    ];
    for (blocks, sentence) in cases {
        assert_eq!(refused(&blocks).1, sentence);
    }
}

#[test]
fn the_clusters_own_is_read_like_any_other_and_signs_for_hosts() {
    let now = std::time::SystemTime::now();
    let own = OwnIssuer::found("shop.test", now).unwrap();
    assert_eq!(own.names, ["shop.test", "*.shop.test"]);
    let issuer = OwnIssuer::restore("shop.test", &own.chain[0], &own.key).unwrap();
    for host in [None, Some("www.prod.shop.shop.test")] {
        issuer.identity(host, now).unwrap();
    }
    assert!(
        issuer.identity(Some("bücher.test"), now).is_err(),
        "no name of DNS"
    );
}
