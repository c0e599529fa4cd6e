//! Messages with open keys in them: whatever prints them, or what they are part of, prints no key.

use std::fmt;

use crate::internal::{ServedCertificate, TicketKey};
use crate::v1::AddCertificateRequest;

impl fmt::Debug for AddCertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AddCertificateRequest");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ServedCertificate");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TicketKey");
        shown.field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_printed() {
        let key = || prost::bytes::Bytes::from_static(b"SECRET");
        let served = ServedCertificate {
            name: "shop".to_owned(),
            key: key(),
            ..Default::default()
        };
        let added = AddCertificateRequest {
            private_key: key(),
            ..Default::default()
        };
        let ticket = TicketKey {
            id: 1,
            secret: key(),
        };
        let secret = format!("{:?}", key());
        assert!(
            secret.contains("SECRET"),
            "bytes are printed as text where they are"
        );
        let shown = format!("{served:?} {added:?} {ticket:?}");
        assert!(
            shown.contains("shop") && !shown.contains("SECRET"),
            "{shown}"
        );
    }
}
