//! The servers of a node: each says who it is, the resolver answers names.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use super::{dns, sctp};
use crate::plan::{Node, Transport};

/// How long a server waits for a client that said it would write.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts all servers of the node and returns when each is ready to answer.
pub(super) fn start(node: &Node) -> io::Result<()> {
    let node = Arc::new(node.clone());
    for &address in &node.addresses {
        for listen in &node.listen {
            start_one(&node, address, listen.transport, listen.port)?;
        }
    }
    Ok(())
}

fn start_one(node: &Arc<Node>, address: IpAddr, transport: Transport, port: u16) -> io::Result<()> {
    // Each address is bound by itself: a reply must come from the address that was asked.
    let at = SocketAddr::new(address, port);
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("{} cannot listen on {at}/{transport}: {error}", node.name))
    };
    let node = Arc::clone(node);
    match transport {
        Transport::Tcp => {
            let listener = TcpListener::bind(at).map_err(explain)?;
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let node = Arc::clone(&node);
                    std::thread::spawn(move || answer_stream(&node, stream));
                }
            });
        }
        Transport::Udp => {
            let socket = UdpSocket::bind(at).map_err(explain)?;
            std::thread::spawn(move || answer_datagrams(&node, &socket));
        }
        Transport::Sctp => sctp::serve(at, &node.name).map_err(explain)?,
    }
    Ok(())
}

/// Says the node's name, or answers one DNS query. What goes wrong with one client is that client's outcome.
fn answer_stream(node: &Node, mut stream: TcpStream) {
    let Some(names) = &node.names else {
        let _ = stream.write_all(node.name.as_bytes());
        return;
    };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut length = [0; 2];
    if stream.read_exact(&mut length).is_err() {
        return;
    }
    let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
    if stream.read_exact(&mut query).is_err() {
        return;
    }
    if let Some(answer) = dns::answer(&query, names) {
        let length = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
        let _ = stream.write_all(&[&length[..], &answer].concat());
    }
}

fn answer_datagrams(node: &Node, socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    loop {
        // An error here is an ICMP answer to an earlier reply: no reason to stop.
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        let reply = match &node.names {
            Some(names) => dns::answer(&buffer[..length], names),
            None => Some(node.name.clone().into_bytes()),
        };
        if let Some(reply) = reply {
            let _ = socket.send_to(&reply, client);
        }
    }
}
