//! `cert`: certificates that the hosts of environments show.

mod blocks;

use fleet_proto::v1::certificates_client::CertificatesClient;
use fleet_proto::v1::{
    AcmeMethod, AddCertificateRequest, GetCertificateRequest, ListCertificatesRequest,
    OrderedCertificate, RemoveCertificateRequest,
};

use self::blocks::Blocks;
use crate::args::{CertificateAdd, CertificateVerb, Challenge};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::escape;
use crate::session::Session;
use crate::view::{CertificateList, CertificateView};

pub(super) async fn run(session: &mut Session, verb: CertificateVerb) -> Result<(), Failure> {
    match verb {
        CertificateVerb::List => list(session).await,
        CertificateVerb::Add(asked) => add(session, asked).await,
        CertificateVerb::Show { name } => show(session, name).await,
        CertificateVerb::Remove { name } => remove(session, name).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let question = ListCertificatesRequest {
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            CertificatesClient::new(c).list(r).await
        })
        .await?;
    let list = CertificateList::new(&answer.certificates, session.surroundings.now_ms);
    session.console.result(&list, CertificateList::text)
}

async fn add(session: &mut Session, asked: CertificateAdd) -> Result<(), Failure> {
    let (blocks, acme) = match asked.acme {
        true => (Blocks::default(), Some(ordered(session, &asked)?)),
        false => (blocks::read(session, &asked)?, None),
    };
    let name = asked.name;
    let command = AddCertificateRequest {
        request_id: Connection::request_id(),
        name: name.clone(),
        certificate: blocks.certificate.into(),
        chain: blocks.chain.into(),
        private_key: blocks.key.into(),
        replace: asked.replace,
        force: asked.force,
        acme,
    };
    let answer = session
        .write(command, |c, r| async move {
            CertificatesClient::new(c).add(r).await
        })
        .await?;
    let added = answer.certificate.unwrap_or_default();
    let view = CertificateView::new(&added, session.surroundings.now_ms);
    session.console.result(&view, |view| {
        format!(
            "Certificate {} is added: {}\n",
            escape(&name),
            view.summary()
        )
    })
}

/// What is asked of an authority. Whether it makes sense is the cluster's to judge.
fn ordered(session: &Session, asked: &CertificateAdd) -> Result<OrderedCertificate, Failure> {
    let directory_ca = asked.directory_ca.as_deref();
    let directory_ca = directory_ca.map(|path| blocks::file(session, path));
    let method = match asked.challenge {
        Challenge::Http => AcmeMethod::Http,
        Challenge::TlsAlpn => AcmeMethod::TlsAlpn,
    };
    Ok(OrderedCertificate {
        directory: asked.directory.clone().unwrap_or_default(),
        email: asked.email.clone(),
        directory_ca: directory_ca.transpose()?.unwrap_or_default().into(),
        domains: asked.domains.clone(),
        method: method.into(),
    })
}

/// The certificates alone, as a file wants them.
async fn show(session: &mut Session, name: String) -> Result<(), Failure> {
    let question = GetCertificateRequest {
        name: name.clone(),
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            CertificatesClient::new(c).get(r).await
        })
        .await?;
    let certificate = answer.certificate.unwrap_or_default();
    let view = CertificateView::new(&certificate, session.surroundings.now_ms);
    let ordered = view.ordered();
    // What is known of an order is worth showing before there is a certificate.
    if session.console.is_json() && (ordered.is_some() || !answer.chain.is_empty()) {
        return session.console.document(&view.with_chain(answer.chain));
    }
    match (answer.chain.is_empty(), ordered) {
        (true, Some(ordered)) => Err(Failure::failed(format!(
            "certificate {name} is not issued yet: {ordered}"
        ))),
        (true, None) => Err(
            Failure::failed(format!("certificate {name} is not made yet"))
                .hint("its cluster makes it within seconds of its first leader"),
        ),
        (false, ordered) => {
            // Beside the certificate, which may go into a file.
            ordered.iter().for_each(|line| session.console.remark(line));
            session.console.write_file(&answer.chain)
        }
    }
}

async fn remove(session: &mut Session, name: String) -> Result<(), Failure> {
    let command = RemoveCertificateRequest {
        request_id: Connection::request_id(),
        name: name.clone(),
    };
    session
        .write(command, |c, r| async move {
            CertificatesClient::new(c).remove(r).await
        })
        .await?;
    let view = serde_json::json!({ "certificate": name });
    session.console.result(&view, |_| {
        format!("Certificate {} is removed\n", escape(&name))
    })
}
