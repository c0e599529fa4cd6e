//! Certificates and keys as text, which is what other tools read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::NodeKey;

#[must_use]
pub fn certificates_to_pem<'a>(
    certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> String {
    let blocks = certificates.into_iter();
    blocks.map(|der| block("CERTIFICATE", der)).collect()
}

/// # Errors
/// When there is something else than PEM in it.
pub fn certificates_from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect()
}

#[must_use]
pub fn key_to_pem(key: &NodeKey) -> String {
    block("PRIVATE KEY", &key.to_pkcs8())
}

/// `None` when there is no key in it that could be a node's.
#[must_use]
pub fn key_from_pem(text: &str) -> Option<NodeKey> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).ok()?;
    NodeKey::from_pkcs8(key.secret_pkcs8_der()).ok()
}

fn block(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut block = format!("-----BEGIN {label}-----\n");
    // 64 columns, as RFC 7468 has it; base 64 is ASCII.
    for start in (0..text.len()).step_by(64) {
        block.push_str(&text[start..text.len().min(start + 64)]);
        block.push('\n');
    }
    block + &format!("-----END {label}-----\n")
}
