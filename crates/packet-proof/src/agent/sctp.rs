//! SCTP without the kernel's SCTP: most kernels do not load it, and a firewall does not need it.
//!
//! A client sends an INIT chunk through a raw socket, a server answers with INIT ACK; that is all a filter and a
//! connection tracker look at. The server's name travels as the state cookie.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::probe::is_timeout;

const SCTP: i32 = 132;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const STATE_COOKIE: u16 = 7;
const COMMON_HEADER: usize = 12;
/// A chunk's header, and the fixed part of INIT and INIT ACK.
const INIT_LENGTH: usize = 20;

/// A raw socket sees no port unreachable and no refusal (it could not tell whose it is), so silence is the only
/// sign of one; packets inside one machine are not lost, and a short wait is enough.
const PATIENCE: Duration = Duration::from_millis(900);
const RESEND: Duration = Duration::from_millis(200);

/// A raw socket as a `UdpSocket`, whose `send_to` and `recv_from` do what is wanted here.
fn raw(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::RAW, Some(Protocol::from(SCTP)))?;
    socket.bind(&without_port(address).into())?;
    Ok(UdpSocket::from(socket))
}

/// A raw socket takes no port.
fn without_port(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), 0)
}

/// Answers every INIT to this address and port.
pub(super) fn serve(at: SocketAddr, name: &str) -> io::Result<()> {
    let socket = raw(at)?;
    let name = name.to_owned();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(packet) = Packet::read(&buffer[..length], client.is_ipv4())
                && packet.to == at.port()
                && packet.chunk == INIT
            {
                let reply = build(at.port(), packet.from, packet.tag, INIT_ACK, name.as_bytes());
                let _ = socket.send_to(&reply, without_port(client));
            }
        }
    });
    Ok(())
}

/// Sends INIT until an answer comes, and returns the name in it.
pub(super) fn attempt(from: SocketAddr, to: SocketAddr) -> io::Result<Vec<u8>> {
    let socket = raw(from)?;
    socket.set_read_timeout(Some(RESEND))?;
    let init = build(from.port(), to.port(), 0, INIT, &[]);
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 2048];
    while Instant::now() < end {
        socket.send_to(&init, without_port(to))?;
        let resend = Instant::now() + RESEND;
        // The socket sees the answers to all attempts of this node; only the own one counts.
        while Instant::now() < resend {
            match socket.recv_from(&mut buffer) {
                Ok((length, server)) => {
                    if let Some(packet) = Packet::read(&buffer[..length], server.is_ipv4())
                        && (packet.from, packet.to) == (to.port(), from.port())
                        && packet.chunk == INIT_ACK
                    {
                        return Ok(packet.cookie.to_vec());
                    }
                }
                Err(error) if is_timeout(&error) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Err(ErrorKind::TimedOut.into())
}

/// What matters of a packet with INIT or INIT ACK.
struct Packet<'a> {
    from: u16,
    to: u16,
    chunk: u8,
    tag: u32,
    cookie: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Over IPv4 a raw socket hands out the IP header too.
    fn read(bytes: &'a [u8], with_header: bool) -> Option<Self> {
        let skip = if with_header { usize::from(bytes.first()? & 0x0F) * 4 } else { 0 };
        let bytes = bytes.get(skip..)?;
        let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let tag = bytes.get(COMMON_HEADER + 4..COMMON_HEADER + 8)?;
        let parameter = COMMON_HEADER + INIT_LENGTH;
        let cookie = match (word(parameter), word(parameter + 2)) {
            (Some(STATE_COOKIE), Some(length)) => {
                bytes.get(parameter + 4..parameter + usize::from(length)).unwrap_or_default()
            }
            _ => &[],
        };
        Some(Self {
            from: word(0)?,
            to: word(2)?,
            chunk: *bytes.get(COMMON_HEADER)?,
            tag: u32::from_be_bytes(tag.try_into().ok()?),
            cookie,
        })
    }
}

fn build(from: u16, to: u16, verification: u32, chunk: u8, cookie: &[u8]) -> Vec<u8> {
    let parameter = if cookie.is_empty() { 0 } else { 4 + cookie.len() };
    let mut packet = Vec::with_capacity(64);
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend(verification.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend([chunk, 0]);
    packet.extend(u16::try_from(INIT_LENGTH + parameter).unwrap_or(u16::MAX).to_be_bytes());
    // Initiate tag (any but 0), receive window, streams out and in, first sequence number.
    packet.extend((u32::from(from) << 16 | u32::from(to)).max(1).to_be_bytes());
    packet.extend(65_536u32.to_be_bytes());
    packet.extend([0, 1, 0, 1]);
    packet.extend(1u32.to_be_bytes());
    if !cookie.is_empty() {
        packet.extend(STATE_COOKIE.to_be_bytes());
        packet.extend(u16::try_from(parameter).unwrap_or(u16::MAX).to_be_bytes());
        packet.extend(cookie);
        packet.resize(packet.len().next_multiple_of(4), 0);
    }
    let checksum = crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&checksum);
    packet
}

/// The Castagnoli CRC that SCTP uses; a connection tracker drops packets where it is wrong.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_castagnoli() {
        // The check value of the CRC catalogue.
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn the_name_survives_the_cookie() {
        let packet = build(80, 4711, 9, INIT_ACK, b"x/a");
        let read = Packet::read(&packet, false).unwrap();
        assert_eq!((read.from, read.to, read.chunk, read.cookie), (80, 4711, INIT_ACK, &b"x/a"[..]));
    }

    #[test]
    fn cut_packets_are_not_read_past_their_end() {
        let packet = build(80, 4711, 9, INIT_ACK, b"x/a");
        for length in 0..packet.len() {
            for with_header in [true, false] {
                let _ = Packet::read(&packet[..length], with_header);
            }
        }
    }
}
