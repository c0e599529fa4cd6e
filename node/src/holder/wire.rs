//! How messages travel over the socket: a varint length and the message, cut into packets.
//!
//! SEQPACKET bounds a packet by the send buffer (about 200 KiB by default), while a spec may carry
//! two megabytes of environment, so messages are split; the kernel keeps packets whole and in
//! order, so that joining them needs nothing but a buffer.

use std::{collections::VecDeque, io, os::fd::OwnedFd, path::Path};

use bytes::{Buf, BytesMut};
use prost::Message;
use rustix::{
    fs::{Mode, OFlags},
    net::SocketAddrUnix,
};

/// File name of the socket in the run directory.
pub(super) const SOCKET: &str = "holder.sock";

/// Largest packet. Well under the smallest send buffer Linux gives a unix socket by default.
pub(super) const PACKET: usize = 64 << 10;

/// Largest message. An environment and its arguments cannot exceed 2 MiB on Linux (a quarter of
/// the default stack limit), and a list of a thousand processes with their last lines stays below.
const MESSAGE: usize = 32 << 20;

/// What came in is not a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("message of {0} bytes is over the limit of {MESSAGE}")]
    TooLong(u64),
    #[error("undecodable message")]
    Undecodable(#[from] prost::DecodeError),
}

/// The packets of one message, in order.
pub(super) fn packets(message: &impl Message) -> VecDeque<Vec<u8>> {
    message
        .encode_length_delimited_to_vec()
        .chunks(PACKET)
        .map(<[u8]>::to_vec)
        .collect()
}

/// Joins packets to messages.
#[derive(Default)]
pub(super) struct Joiner {
    pending: BytesMut,
}

impl Joiner {
    pub(super) fn push(&mut self, packet: &[u8]) {
        self.pending.extend_from_slice(packet);
    }

    /// The next whole message, if there is one.
    pub(super) fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Broken> {
        let mut peek = &self.pending[..];
        let length = match prost::encoding::decode_varint(&mut peek) {
            Ok(length) => length,
            // A varint takes at most ten bytes; fewer may be the beginning of one.
            Err(_) if self.pending.len() < 10 => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if length > MESSAGE as u64 {
            return Err(Broken::TooLong(length));
        }
        let (header, length) = (self.pending.len() - peek.len(), length as usize);
        if peek.len() < length {
            return Ok(None);
        }
        self.pending.advance(header);
        Ok(Some(M::decode(self.pending.split_to(length).freeze())?))
    }
}

/// The address of the socket in `run_dir`, by way of a descriptor of the directory: a unix address
/// holds 107 bytes, and data directories may lie deeper. The descriptor must outlive the use.
pub(super) fn address(run_dir: &Path) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(run_dir, flags, Mode::empty())?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&dir);
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{number}/{SOCKET}"))?;
    Ok((dir, address))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fleet_proto::internal as pb;

    use super::*;

    fn lines(sizes: &[usize]) -> pb::holder_reply::Lines {
        pb::holder_reply::Lines {
            lines: sizes.iter().map(|n| vec![b'x'; *n].into()).collect(),
        }
    }

    #[test]
    fn messages_are_joined_whatever_their_size() {
        let sent = [
            lines(&[]),
            lines(&[1]),
            lines(&[PACKET * 3, 5]),
            lines(&[130]),
        ];
        let mut joiner = Joiner::default();
        let mut got = Vec::new();
        for message in &sent {
            for packet in packets(message) {
                assert!(packet.len() <= PACKET);
                joiner.push(&packet);
                while let Some(message) = joiner.next::<pb::holder_reply::Lines>().unwrap() {
                    got.push(message);
                }
            }
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_anything_is_kept() {
        let mut joiner = Joiner::default();
        let mut header = Vec::new();
        prost::encoding::encode_varint(MESSAGE as u64 + 1, &mut header);
        joiner.push(&header);
        assert!(matches!(
            joiner.next::<pb::holder_reply::Lines>(),
            Err(Broken::TooLong(_))
        ));
        let mut joiner = Joiner::default();
        joiner.push(&[0xff; 12]);
        assert!(matches!(
            joiner.next::<pb::holder_reply::Lines>(),
            Err(Broken::Undecodable(_))
        ));
    }
}
