//! The PROXY protocol: a balancer before us says in the first bytes whose connection it passes on.
//!
//! Both versions of the protocol as haproxy defines it (proxy-protocol.txt, version 1 of text and
//! version 2 of bytes). Whether a header comes is never guessed from the bytes, which anybody may
//! send: from the addresses that the operator named one must come, from others it is not looked
//! for. Exactly the header is read, so whatever comes after it finds the connection as if the
//! client had made it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Whose connection it is, and at which address it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Why a connection of a balancer is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unclear {
    #[error("reading a PROXY header")]
    Io(#[from] io::Error),
    #[error("the connection does not begin with a PROXY header")]
    None,
    #[error("a PROXY header that makes no sense")]
    Nonsense,
}

/// What a header of version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const TEXT: &[u8] = b"PROXY ";
/// The longest line of version 1, line end included.
const LONGEST_LINE: usize = 107;
/// Of version 2 after its first 16 bytes: addresses, and what else a balancer likes to tell.
const LONGEST_REST: usize = 4 << 10;

/// Reads the header. None when the balancer speaks for itself, as its health checks do.
pub(super) async fn read(stream: &mut TcpStream) -> Result<Option<Origin>, Unclear> {
    // No header is shorter.
    let mut first = [0; 12];
    stream.read_exact(&mut first).await?;
    if first == SIGNATURE {
        let mut fixed = [0; 4];
        stream.read_exact(&mut fixed).await?;
        let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if length > LONGEST_REST {
            return Err(Unclear::Nonsense);
        }
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await?;
        return binary(fixed[0], fixed[1], &rest).ok_or(Unclear::Nonsense);
    }
    if !first.starts_with(TEXT) {
        return Err(Unclear::None);
    }
    let mut line = first.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LONGEST_LINE {
            return Err(Unclear::Nonsense);
        }
        // What has come is looked at before it is taken, so that not a byte too many is.
        let mut ahead = [0; LONGEST_LINE];
        let seen = stream.peek(&mut ahead[..LONGEST_LINE - line.len()]).await?;
        if seen == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let end = ahead[..seen].iter().position(|byte| *byte == b'\n');
        let mut piece = vec![0; end.map_or(seen, |end| end + 1)];
        stream.read_exact(&mut piece).await?;
        line.extend(piece);
        if end.is_some() && !line.ends_with(b"\r\n") {
            return Err(Unclear::Nonsense);
        }
    }
    text(&line).ok_or(Unclear::Nonsense)
}

/// A line of version 1, line end included.
fn text(line: &[u8]) -> Option<Option<Origin>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let words: Vec<&str> = line.split(' ').collect();
    let (family, words) = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => return Some(None),
        ["PROXY", family, words @ ..] => (*family, words),
        _ => return None,
    };
    let [source, destination, source_port, destination_port] = words else {
        return None;
    };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse().ok().map(IpAddr::V4),
            "TCP6" => text.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |text: &str| -> Option<u16> {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with("0");
        text.parse().ok().filter(|_| plain || text == "0")
    };
    Some(Some(Origin {
        client: SocketAddr::new(address(source)?, port(source_port)?),
        local: SocketAddr::new(address(destination)?, port(destination_port)?),
    }))
}

/// What follows the signature of version 2: version and command, family, addresses.
fn binary(version_command: u8, family: u8, rest: &[u8]) -> Option<Option<Origin>> {
    const LOCAL: u8 = 0x20;
    const PROXY: u8 = 0x21;
    const TCP_OVER_IPV4: u8 = 0x11;
    const TCP_OVER_IPV6: u8 = 0x21;
    match (version_command, family) {
        (LOCAL, _) => Some(None),
        (PROXY, TCP_OVER_IPV4) => {
            let [a, b, c, d, e, f, g, h, ports @ ..] = rest.first_chunk::<12>()?;
            let source = Ipv4Addr::new(*a, *b, *c, *d).into();
            let destination = Ipv4Addr::new(*e, *f, *g, *h).into();
            Some(Some(origin(source, destination, *ports)))
        }
        (PROXY, TCP_OVER_IPV6) => {
            let (source, rest) = rest.split_first_chunk::<16>()?;
            let (destination, rest) = rest.split_first_chunk::<16>()?;
            let ports = rest.first_chunk::<4>()?;
            let source = Ipv6Addr::from(*source).into();
            let destination = Ipv6Addr::from(*destination).into();
            Some(Some(origin(source, destination, *ports)))
        }
        // Other families are of connections that are not TCP; nothing is known of the client.
        (PROXY, _) => Some(None),
        _ => None,
    }
}

fn origin(source: IpAddr, destination: IpAddr, ports: [u8; 4]) -> Origin {
    let [a, b, c, d] = ports;
    Origin {
        client: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        local: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// What is read of a connection that sends these bytes in pieces, and what is left of it.
    async fn received(bytes: &[u8], piece: usize) -> (Result<Option<Origin>, Unclear>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pieces: Vec<Vec<u8>> = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
        let sending = tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                // The other side may have had enough.
                let _ = stream.write_all(&piece).await;
                tokio::task::yield_now().await;
            }
            let _ = stream.shutdown().await;
            stream
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        let read = read(&mut stream).await;
        let mut rest = Vec::new();
        if read.is_ok() {
            stream.read_to_end(&mut rest).await.unwrap();
        }
        drop(stream);
        drop(sending.await.unwrap());
        (read, rest)
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    #[tokio::test]
    async fn exactly_the_header_is_read_however_it_comes() {
        let v4 = Some(("192.0.2.7:4001", "198.51.100.1:443"));
        let v6 = Some(("[2001:db8::7]:4001", "[2001:db8::1]:443"));
        let mut addresses_6 = Vec::new();
        for address in ["2001:db8::7", "2001:db8::1"] {
            addresses_6.extend(address.parse::<Ipv6Addr>().unwrap().octets());
        }
        addresses_6.extend([0x0f, 0xa1, 0x01, 0xbb]);
        let addresses_4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x0f, 0xa1, 0x01, 0xbb];
        // With a field of the kind that only some balancers send after the addresses.
        let with_field = [&addresses_4[..], &[0x04, 0, 1, 9]].concat();
        type Expected = Option<(&'static str, &'static str)>;
        let headers: [(Vec<u8>, Expected); 7] = [
            (
                b"PROXY TCP4 192.0.2.7 198.51.100.1 4001 443\r\n".to_vec(),
                v4,
            ),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::1 4001 443\r\n".to_vec(),
                v6,
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN what ever follows\r\n".to_vec(), None),
            (version_2(0x21, 0x11, &with_field), v4),
            (version_2(0x21, 0x21, &addresses_6), v6),
            (version_2(0x20, 0, &[]), None),
        ];
        for (header, expected) in headers {
            for piece in [1, 7, 4096] {
                let bytes = [&header[..], b"GET / HTTP/1.1\r\n\r\nPROXY"].concat();
                let (read, rest) = received(&bytes, piece).await;
                let origin = read.unwrap().map(|origin| (origin.client, origin.local));
                let expected = expected
                    .map(|(client, local)| (client.parse().unwrap(), local.parse().unwrap()));
                assert_eq!(origin, expected, "{header:?} in pieces of {piece}");
                assert_eq!(rest, b"GET / HTTP/1.1\r\n\r\nPROXY", "{header:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_not_taken_for_one() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
        let cases: [&[u8]; 12] = [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PROXY",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4001\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4001 443 1\r\n",
            b"PROXY TCP4 2001:db8::7 2001:db8::1 4001 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +4001 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4001 443\nGET",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 4001 443\r\n",
            long.as_bytes(),
            &version_2(0x31, 0x11, &[0; 12]),
            &version_2(0x21, 0x11, &[0; 11]),
        ];
        for bytes in cases {
            let (read, _) = received(bytes, 4096).await;
            assert!(read.is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
