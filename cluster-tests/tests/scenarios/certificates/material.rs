//! Certificates as operators have them: PEM, in files.

use std::path::PathBuf;

use anyhow::Result;
use fleet_trust::{NodeKey, certificates_to_pem, key_to_pem};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate with its key.
pub(super) struct Made {
    pub(super) pem: String,
    pub(super) key: String,
    /// What must lie open nowhere: the middle of the key's DER, where its number is.
    pub(super) secret: Vec<u8>,
}

/// A server, and the two that signed it, that of the server last.
pub(super) struct Chained {
    pub(super) server: Made,
    pub(super) high: Made,
    /// In the right order.
    pub(super) chain: [String; 2],
}

impl Made {
    /// Signed by itself.
    pub(super) fn server(hosts: &[&str]) -> Result<Self> {
        // Clients that believe many try all of one name, and not for ever.
        let name = format!("{:032x}", rand::random::<u128>());
        Self::of(named(&name, hosts)?)
    }

    pub(super) fn expired(hosts: &[&str]) -> Result<Self> {
        let mut params = named("expired", hosts)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        Self::of(params)
    }

    pub(super) fn chained(hosts: &[&str]) -> Result<Chained> {
        let (high, low) = (authority("high")?, authority("low")?);
        let (high_key, low_key) = (KeyPair::generate()?, KeyPair::generate()?);
        let high_pem = certificates_to_pem([high.self_signed(&high_key)?.der()]);
        let high_issuer = Issuer::from_params(&high, &high_key);
        let low_pem = certificates_to_pem([low.signed_by(&low_key, &high_issuer)?.der()]);
        let key = KeyPair::generate()?;
        let signed =
            named("server", hosts)?.signed_by(&key, &Issuer::from_params(&low, &low_key))?;
        Ok(Chained {
            server: Self::with(certificates_to_pem([signed.der()]), &key)?,
            high: Self::with(high_pem.clone(), &high_key)?,
            chain: [low_pem, high_pem],
        })
    }

    fn of(params: CertificateParams) -> Result<Self> {
        let key = KeyPair::generate()?;
        Self::with(certificates_to_pem([params.self_signed(&key)?.der()]), &key)
    }

    fn with(pem: String, key: &KeyPair) -> Result<Self> {
        let der = key.serialize_der();
        Ok(Self {
            pem,
            key: key_to_pem(&NodeKey::from_pkcs8(&der)?),
            // PKCS #8 on P-256: 36 bytes of structure, then the number itself (RFC 5208, RFC 5915).
            secret: der[36..68].to_vec(),
        })
    }
}

fn named(name: &str, hosts: &[&str]) -> Result<CertificateParams> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    Ok(params)
}

fn authority(name: &str) -> Result<CertificateParams> {
    let mut params = named(name, &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

/// Where the blocks are put for the command line.
pub(super) struct Files(PathBuf);

/// The command that adds what was written.
pub(super) struct Paths([String; 3]);

impl Files {
    pub(super) fn in_dir(dir: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    pub(super) fn write(&self, certificate: &str, chain: &str, key: &str) -> Result<Paths> {
        let mut paths = Vec::new();
        for (name, text) in [
            ("cert.pem", certificate),
            ("chain.pem", chain),
            ("key.pem", key),
        ] {
            let path = self.0.join(name);
            std::fs::write(&path, text)?;
            paths.push(path.display().to_string());
        }
        let [certificate, chain, key] = <[String; 3]>::try_from(paths).unwrap_or_default();
        Ok(Paths([certificate, chain, key]))
    }
}

impl Paths {
    pub(super) fn add<'a>(&'a self, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let [certificate, chain, key] = &self.0;
        let files = ["--cert", certificate, "--chain", chain, "--key", key];
        [&["cert", "add", name], &files[..], more].concat()
    }
}
