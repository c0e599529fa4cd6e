//! Archives that are larger inside than outside, and how early reading them stops.

use std::io::{self, Read, Write};

use super::{
    build::{Tar, gzip, header, zstd},
    *,
};

/// Compresses `head`, then zeros until the stream has `size` bytes.
fn zeros_behind(head: Vec<u8>, size: u64) -> Vec<u8> {
    let mut packer = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    packer.write_all(&head).unwrap();
    io::copy(
        &mut io::repeat(0).take(size - head.len() as u64),
        &mut packer,
    )
    .unwrap();
    packer.finish().unwrap()
}

/// Counts what is read, to tell how early reading stopped.
struct Watched<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

#[test]
fn a_size_beyond_the_limit_is_refused_before_its_first_byte() {
    let head = Tar::new()
        .raw(header(b'0', b"zeros", b"", 8_000_000_000), b"")
        .without_end();
    let expected = r#"the archive unpacks to more than 2147483648 bytes with entry "zeros""#;
    assert_eq!(verdict(&head, &Limits::default()), Err(expected.to_owned()));
}

#[test]
fn a_file_of_zeros_stops_at_the_ratio() {
    let gigabytes = 2_000_000_000;
    let head = Tar::new()
        .raw(header(b'0', b"zeros", b"", gigabytes), b"")
        .without_end();
    let bomb = zeros_behind(head, 300 << 20);
    assert!(bomb.len() < 100_000);
    // Had reading gone on, it would have come to the end of what is there and said so.
    let expected = r#"the archive unpacks to more than 200 times its size with entry "zeros""#;
    assert_eq!(verdict(&bomb, &Limits::default()), Err(expected.to_owned()));
}

#[test]
fn many_sound_files_stop_at_the_size() {
    // Noise, so that the ratio stays out of it.
    let noise: String = (0..1 << 20)
        .map(|n: u32| char::from(b' ' + (n.wrapping_mul(n) % 89) as u8))
        .collect();
    let tar = (0..5)
        .fold(Tar::new(), |tar, n| tar.file(&n.to_string(), &noise))
        .end();
    let limits = Limits {
        unpacked: 3 << 20,
        ..Limits::default()
    };
    let expected = r#"the archive unpacks to more than 3145728 bytes with entry "2""#;
    assert_eq!(verdict(&tar, &limits), Err(expected.to_owned()));
    let exact = Limits {
        unpacked: tar.len() as u64,
        ..Limits::default()
    };
    assert_eq!(verdict(&tar, &exact).unwrap().unpacked, tar.len() as u64);
}

#[test]
fn ten_gigabytes_of_zeros_behind_the_end_are_not_read() {
    // As many frames as 10 GiB take; none beyond the first few is looked at.
    let frame = zstd(&vec![0; 64 << 20]);
    let rest = io::repeat(0).take(0).chain(Repeated {
        frame: &frame,
        left: 160,
        at: 0,
    });
    let archive = zstd(&Tar::new().end());
    let mut watched = Watched {
        inner: archive.chain(rest),
        read: 0,
    };
    let said = said(inspect(&mut watched, &Limits::default()).unwrap_err());
    assert!(
        said.ends_with("there are too many zeros behind the archive's end"),
        "{said}"
    );
    assert!(watched.read < 1 << 20, "{} bytes were read", watched.read);
}

/// The same frame again and again.
struct Repeated<'a> {
    frame: &'a [u8],
    left: usize,
    at: usize,
}

impl Read for Repeated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.frame.len() {
            (self.at, self.left) = (0, self.left.saturating_sub(1));
        }
        if self.left == 0 {
            return Ok(0);
        }
        let read = (&self.frame[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

#[test]
fn entries_names_and_records_have_their_limits() {
    let limits = Limits {
        entries: 100,
        names: 1000,
        ..Limits::default()
    };
    let files = |count: usize| (1..count).fold(Tar::new(), |tar, n| tar.file(&n.to_string(), ""));
    assert_eq!(verdict(&files(100).end(), &limits).unwrap().entries, 100);
    let too_many = Err("the archive has more than 100 entries".to_owned());
    assert_eq!(verdict(&files(101).end(), &limits), too_many);
    // Directories that names imply count.
    let implied = (0..30).fold(Tar::new(), |tar, n| tar.file(&format!("{n}/b/c/d"), ""));
    assert_eq!(verdict(&implied.end(), &limits), too_many);
    let same = (0..400).fold(Tar::new(), |tar, _| tar.directory("d"));
    assert_eq!(verdict(&same.end(), &limits), too_many);
    let records = (0..400).fold(Tar::new(), |tar, _| tar.entry(b'g', "", "", b"6 a=b\n"));
    assert_eq!(verdict(&records.end(), &limits), too_many);
    let names = (10..30).fold(Tar::new(), |tar, n| tar.file(&n.to_string().repeat(49), ""));
    let too_long = "the names in the archive take more than 1000 bytes".to_owned();
    assert_eq!(verdict(&names.end(), &limits), Err(too_long));

    let record = Tar::new().raw(header(b'L', b"", b"", 1 << 31), b"").end();
    let expected = r#"the archive is damaged at entry "fleet.yml": a record is too large"#;
    assert_eq!(
        verdict(&gzip(&record), &Limits::default()),
        Err(expected.to_owned())
    );
}

#[test]
fn a_window_larger_than_what_a_node_gives_is_refused() {
    let mut packer = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    packer.window_log(27).unwrap();
    packer.write_all(&Tar::new().end()).unwrap();
    let said = verdict(&packer.finish().unwrap(), &Limits::default()).unwrap_err();
    assert!(said.starts_with("failed to decompress zstd"), "{said}");
}
