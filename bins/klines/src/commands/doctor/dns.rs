//! The name servers, asked one by one over UDP and over TCP: a policy or firewall that lets only one of them pass makes
//! failures that come and go with the size of answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::check::{Check, Log, Trouble};
use super::pod::Pod;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// A lost question is asked again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// Which servers the system asks.
pub const SYSTEM: &str = "/etc/resolv.conf";

/// The servers of [`SYSTEM`].
pub fn system_servers() -> Vec<SocketAddr> {
    servers_in(&std::fs::read_to_string(SYSTEM).unwrap_or_default())
}

fn servers_in(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        // A scope (`fe80::1%eth0`) is not needed to name the server here.
        let text = words.next().filter(|_| is_server)?.split('%').next()?;
        Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 53))
    };
    text.lines().filter_map(address).collect()
}

/// Asks every server for a name over both protocols. Without a name there is no need for servers.
pub async fn check(name: Option<String>, servers: Vec<SocketAddr>, pod: Option<&Pod>) -> Vec<Check> {
    let Some(name) = name else { return Vec::new() };
    let mut checks = Vec::new();
    for server in servers {
        // Not required as such: what counts is whether names can be resolved, by whichever server.
        let mut log = Log::new("dns", format!("name server {server}"), false);
        let began = Instant::now();
        let (udp, tcp) = tokio::join!(timed(over_udp(server, &name)), timed(over_tcp(server, &name)));
        for (step, outcome) in [("udp", udp), ("tcp", tcp)] {
            let result = judge(outcome, step, server, &name, pod);
            log.note(step, began, result);
        }
        checks.append(&mut log.checks);
    }
    checks
}

async fn timed(ask: impl Future<Output = io::Result<Code>>) -> io::Result<Code> {
    tokio::time::timeout(PATIENCE, ask).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Response code of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Code(u8);

impl Code {
    fn words(self) -> &'static str {
        match self.0 {
            0 => "answers",
            2 => "SERVFAIL: it tried and failed",
            3 => "NXDOMAIN: no such name",
            5 => "REFUSED: it does not serve this client",
            _ => "an error code that is rarely seen",
        }
    }
}

fn judge(
    outcome: io::Result<Code>,
    step: &str,
    server: SocketAddr,
    name: &str,
    pod: Option<&Pod>,
) -> Result<String, Trouble> {
    let error = match outcome {
        // That there is no such name is for the target that needs it to say.
        Ok(code @ Code(0 | 3)) => return Ok(code.words().into()),
        Ok(code) => {
            let hint = "the question and its answer passed: look at the name server itself (in Kubernetes, the logs of CoreDNS)";
            return Err(Trouble::new(format!("asked for {name}: {}", code.words()), Some(hint.into())));
        }
        Err(error) => error,
    };
    let text = match error.kind() {
        io::ErrorKind::TimedOut => format!("no answer within {} s", PATIENCE.as_secs()),
        io::ErrorKind::ConnectionRefused => "nothing listens there, or the network rejects it".into(),
        _ => error.to_string(),
    };
    let both = format!("DNS needs port 53 over UDP and TCP; this is {}", step.to_uppercase());
    let hint = match pod {
        Some(pod) => format!("{both}; {}", pod.advice(&server.ip().to_string(), server.port())),
        None => format!("{both}: is the server in {SYSTEM} right, and does a firewall let it pass?"),
    };
    Err(Trouble::new(text, Some(hint)))
}

/// A question for the IPv4 addresses of a name; see RFC 1035, 4.1.
fn question(id: u16, name: &str) -> io::Result<Vec<u8>> {
    let mut message = id.to_be_bytes().to_vec();
    // Recursion is desired; one question, nothing else.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|n| (1..64).contains(n));
        message.push(length.ok_or_else(|| io::Error::other(format!("`{name}` can be no host name")))?);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    Ok(message)
}

/// The code of the answer to question `id`, if this is one.
fn answer(id: u16, message: &[u8]) -> Option<Code> {
    let is_answer = message.len() >= 12 && message[..2] == id.to_be_bytes() && message[2] & 0x80 != 0;
    is_answer.then(|| Code(message[3] & 0xf))
}

/// A number that makes an answer to another question unlikely to be taken for ours.
fn id() -> u16 {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (clock.subsec_nanos() >> 4 & 0xffff) as u16
}

async fn over_udp(server: SocketAddr, name: &str) -> io::Result<Code> {
    let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    // Connected, so that a rejection by the network is told.
    socket.connect(server).await?;
    let id = id();
    let question = question(id, name)?;
    let mut buffer = [0; 4096];
    loop {
        socket.send(&question).await?;
        match tokio::time::timeout(AGAIN, socket.recv(&mut buffer)).await {
            Ok(length) => {
                if let Some(code) = answer(id, &buffer[..length?]) {
                    return Ok(code);
                }
            }
            Err(_) => continue,
        }
    }
}

async fn over_tcp(server: SocketAddr, name: &str) -> io::Result<Code> {
    let mut stream = TcpStream::connect(server).await?;
    let id = id();
    let question = question(id, name)?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&question).await?;
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    answer(id, &message).ok_or_else(|| io::Error::other("what came is no answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name server on one port of loopback that answers over the given protocols with a code.
    async fn server(udp: Option<u8>, tcp: Option<u8>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Bound in any case, so that a question over UDP is not rejected but unanswered.
        let socket = UdpSocket::bind(address).await.unwrap();
        let reply = |question: &[u8], code: u8| {
            let mut message = question.to_vec();
            (message[2], message[3]) = (message[2] | 0x80, code);
            message
        };
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                if let Some(code) = udp {
                    socket.send_to(&reply(&buffer[..length], code), from).await.unwrap();
                }
            }
        });
        if let Some(code) = tcp {
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
                    stream.read_exact(&mut question).await.unwrap();
                    let reply = reply(&question, code);
                    stream.write_all(&(reply.len() as u16).to_be_bytes()).await.unwrap();
                    stream.write_all(&reply).await.unwrap();
                }
            });
        }
        address
    }

    async fn asked(udp: Option<u8>, tcp: Option<u8>) -> Vec<Check> {
        check(Some("fapi.binance.com".into()), vec![server(udp, tcp).await], None).await
    }

    #[tokio::test]
    async fn udp_and_tcp_are_told_apart() {
        let both = asked(Some(0), Some(3)).await;
        assert!(both.iter().all(|check| check.result.is_ok()), "{both:?}");
        let udp_only = asked(Some(0), None).await;
        assert_eq!(
            udp_only.iter().map(|c| (c.step, c.result.is_ok())).collect::<Vec<_>>(),
            [("udp", true), ("tcp", false)]
        );
        assert_eq!(udp_only[1].error(), Some("nothing listens there, or the network rejects it"));
        let tcp_only = asked(None, Some(0)).await;
        assert_eq!(tcp_only[0].error(), Some("no answer within 3 s"));
        assert!(tcp_only[1].result.is_ok());
    }

    #[tokio::test]
    async fn a_server_that_refuses_is_not_taken_for_a_blocked_network() {
        let checks = asked(Some(5), Some(2)).await;
        assert_eq!(
            checks[0].error(),
            Some("asked for fapi.binance.com: REFUSED: it does not serve this client")
        );
        assert!(checks[1].error().unwrap().contains("SERVFAIL"), "{checks:?}");
        assert!(checks.iter().all(|check| !check.required));
    }

    #[test]
    fn the_systems_servers_are_read_from_its_file() {
        let text = "# comment\nsearch svc.cluster.local\nnameserver 10.96.0.10\n nameserver fe80::1%eth0 \noptions ndots:5\n";
        let servers: Vec<_> = servers_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.96.0.10:53", "[fe80::1]:53"]);
    }

    #[test]
    fn what_can_be_no_name_is_not_asked_for() {
        assert!(question(1, "a..b").is_err() && question(1, &"x".repeat(64)).is_err());
        assert_eq!(question(7, "a.bc.").unwrap(), b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0\x01\0\x01");
    }
}
