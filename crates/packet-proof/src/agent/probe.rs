//! One connection attempt.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::{Order, dns, sctp};
use crate::plan::{Node, Outcome, Probe, Transport};

/// How long an attempt may take. Rules refuse at once, so that only lost packets cost this much.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait for the answer to one datagram before it is sent again.
const RESEND: Duration = Duration::from_millis(250);
/// Longest answer: a node's name, or a DNS message.
const ANSWER: usize = 2048;

/// Tries it and says what came of it.
pub(super) fn attempt(node: &Node, order: &Order) -> Outcome {
    let probe = &order.probe;
    let Some(own) = node.addresses.iter().find(|own| own.is_ipv4() == probe.to.is_ipv4()) else {
        let family = if probe.to.is_ipv4() { "IPv4" } else { "IPv6" };
        return Outcome::Failed { reason: format!("{} has no {family} address", node.name) };
    };
    let from = SocketAddr::new(*own, order.local_port);
    let to = SocketAddr::new(probe.to, probe.port);
    let answer = match probe.transport {
        Transport::Tcp => over_tcp(from, to, probe),
        Transport::Udp => over_udp(from, to, probe),
        Transport::Sctp => sctp::attempt(from, to),
    };
    match answer {
        Ok(answer) => judge(&answer, probe, order.local_port),
        Err(error) => classify(&error),
    }
}

fn judge(answer: &[u8], probe: &Probe, id: u16) -> Outcome {
    match &probe.query {
        None => Outcome::Arrived { by: String::from_utf8_lossy(answer).into_owned() },
        Some(name) if dns::is_answer(answer, id) => {
            Outcome::Arrived { by: format!("the resolver, with an address of {name}") }
        }
        Some(name) => Outcome::Failed { reason: format!("the resolver does not know {name}") },
    }
}

fn over_tcp(from: SocketAddr, to: SocketAddr, probe: &Probe) -> io::Result<Vec<u8>> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&from.into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    if let Some(name) = &probe.query {
        let query = dns::query(from.port(), name);
        let length = u16::try_from(query.len()).unwrap_or(u16::MAX).to_be_bytes();
        stream.write_all(&[&length[..], &query].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
    }
    stream.take(ANSWER as u64).read_to_end(&mut answer)?;
    Ok(answer)
}

fn over_udp(from: SocketAddr, to: SocketAddr, probe: &Probe) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(from)?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(RESEND))?;
    let message = match &probe.query {
        Some(name) => dns::query(from.port(), name),
        None => b"who are you?".to_vec(),
    };
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; ANSWER];
    while Instant::now() < end {
        socket.send(&message)?;
        match socket.recv(&mut buffer) {
            Ok(length) => return Ok(buffer[..length].to_vec()),
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::TimedOut.into())
}

pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn classify(error: &io::Error) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionRefused => Outcome::Closed,
        // "Administratively prohibited" arrives as EHOSTUNREACH over IPv4 and as EACCES over IPv6.
        ErrorKind::HostUnreachable | ErrorKind::PermissionDenied => Outcome::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Outcome::Silent,
        _ => Outcome::Failed { reason: error.to_string() },
    }
}
