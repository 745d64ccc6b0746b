//! Answers of servers, and places.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzEXAMPLETOKEN";

/// Answers one request after the other with what it was given, then lets them wait. Keeps what was asked.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn of(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        std::thread::spawn(move || {
            let mut waiting = Vec::new();
            let mut answers = answers.into_iter();
            while let Ok((mut stream, _)) = listener.accept() {
                heard.lock().unwrap().push(read_request(&stream));
                match answers.next() {
                    Some(answer) => stream.write_all(answer.as_bytes()).unwrap(),
                    None => waiting.push(stream),
                }
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn s3(&self) -> S3 {
        let mut config = config();
        config.endpoint = Some(format!("http://127.0.0.1:{}", self.port).parse().unwrap());
        config.patience = Duration::from_millis(400);
        config.backoff = Duration::from_millis(1);
        S3::new(S3Place::parse("s3://klines/some/where").unwrap(), config).unwrap()
    }
}

/// Reads a request whole, and gives its head.
fn read_request(stream: &TcpStream) -> String {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
    head
}

fn config() -> S3Config {
    S3Config::new(S3Keys::new("AKIAIOSFODNN7EXAMPLE", SECRET, Some(TOKEN)), "us-east-1", None)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn error(status: &str, code: &str, more: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>Words.</Message>{more}</Error>"
    );
    answer(status, "", &body)
}

fn file(bytes: usize) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![b'x'; bytes]).unwrap();
    file
}

async fn put(s3: &S3) -> Result<Stored, S3Error> {
    s3.put(Path::new("a/b.csv"), file(300_000), "text/csv").await
}

#[test]
fn a_place_is_a_bucket_and_a_prefix_without_tricks() {
    for (text, shown) in [
        ("s3://b", "s3://b"),
        ("s3://b/", "s3://b"),
        ("s3://my.bucket-1/x", "s3://my.bucket-1/x"),
        ("s3://b/x/y z//", "s3://b/x/y z"),
    ] {
        assert_eq!(S3Place::parse(text).unwrap().to_string(), shown);
    }
    let bad = ["s3:b", "s3:/b/x", "s3://", "s3:///x", "s3://b//x", "s3://b/../c", "s3://b/./x", "S3://b"];
    for text in bad.into_iter().chain(["s3://u:p@h/x", "s3://../x", "s3://b/x\ny", "s3://b?x/y"]) {
        assert!(S3Place::is_meant(text), "{text}");
        assert!(
            S3Place::parse(text).is_err_and(|error| error.is_usage() && error.hint().is_some()),
            "{text}"
        );
    }
    assert!(!S3Place::is_meant("exports") && !S3Place::is_meant("s3/x") && !S3Place::is_meant("币"));
}

#[test]
fn amazon_is_asked_by_the_buckets_host_name_and_others_by_path() {
    let base = |bucket: &str, region: &str, endpoint: Option<&str>| {
        let config = S3Config {
            region: region.to_owned(),
            endpoint: endpoint.map(|url| url.parse().unwrap()),
            ..config()
        };
        config.bucket(bucket).map(|bucket| bucket.base_url().to_string())
    };
    let own = |bucket, region| base(bucket, region, None).unwrap();
    assert_eq!(own("b-1", "eu-west-1"), "https://b-1.s3.eu-west-1.amazonaws.com/");
    assert_eq!(own("my.b", "eu-west-1"), "https://s3.eu-west-1.amazonaws.com/my.b/");
    assert_eq!(own("b-1", "cn-north-1"), "https://b-1.s3.cn-north-1.amazonaws.com.cn/");
    let minio = base("b", "us-east-1", Some("http://minio:9000"));
    assert_eq!(minio.unwrap(), "http://minio:9000/b/");
    assert!(base("b", "evil.example/", None).is_err_and(|error| error.is_usage()));
}

#[test]
fn secrets_are_in_no_debug_output() {
    let s3 = S3::new(S3Place::parse("s3://b/x").unwrap(), config()).unwrap();
    let shown = format!("{s3:?} {:?}", config());
    assert!(shown.contains("AKIAIOSFODNN7EXAMPLE"), "{shown}");
    assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_tells_the_servers_words_and_what_to_do() {
    let region = "<Region>eu-west-1</Region>";
    for (given, words, advice) in [
        (error("403 Forbidden", "AccessDenied", ""), "HTTP 403 AccessDenied: Words.", "s3:PutObject"),
        (
            error("403 Forbidden", "SignatureDoesNotMatch", ""),
            "SignatureDoesNotMatch",
            "AWS_SECRET_ACCESS_KEY",
        ),
        (error("403 Forbidden", "InvalidAccessKeyId", ""), "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        (error("400 Bad Request", "ExpiredToken", ""), "ExpiredToken", "AWS_SESSION_TOKEN"),
        (error("403 Forbidden", "RequestTimeTooSkewed", ""), "RequestTimeTooSkewed", "clock"),
        (error("404 Not Found", "NoSuchBucket", ""), "NoSuchBucket", "klines makes no buckets"),
        (
            error("400 Bad Request", "AuthorizationQueryParametersError", region),
            "HTTP 400",
            "AWS_REGION=eu-west-1",
        ),
        (
            answer("301 Moved Permanently", "x-amz-bucket-region: eu-west-1\r\n", ""),
            "HTTP 301",
            "AWS_REGION=eu-west-1",
        ),
        (error("301 Moved Permanently", "PermanentRedirect", ""), "PermanentRedirect", "AWS_REGION"),
        (answer("404 Not Found", "", "<html>\nconsole"), "received: <html> console", "not of its console"),
        (answer("413 Too Large", "", ""), "HTTP 413", "of this size"),
    ] {
        let server = Server::of(vec![given]);
        let refused = put(&server.s3()).await.unwrap_err();
        let text = refused.to_string();
        assert!(text.starts_with("cannot write s3://klines/some/where/a/b.csv: HTTP "), "{text}");
        assert!(text.contains(words), "{text}");
        let hint = refused.hint().unwrap();
        assert!(hint.contains(advice), "{text}: {hint}");
        assert!(!refused.is_usage());
        assert_eq!(server.asked().len(), 1, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_repeats_of_the_secrets_is_masked() {
    let echo = format!("<Error><Code>Odd</Code><Message>{SECRET} and {TOKEN}</Message></Error>");
    let server = Server::of(vec![answer("400 Bad Request", "", &echo)]);
    let refused = put(&server.s3()).await.unwrap_err();
    assert!(refused.to_string().ends_with("Odd: *** and ***"), "{refused}");
    assert!(!format!("{refused:?}").contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_the_server_is_outwaited_and_its_pauses_are_kept() {
    let busy = answer("503 Slow Down", "retry-after: 1\r\n", "");
    let damaged = error("400 Bad Request", "BadDigest", "");
    let server = Server::of(vec![busy, damaged, answer("200 OK", "", "")]);
    let begun = Instant::now();
    let stored = put(&server.s3()).await.unwrap();
    assert_eq!(stored, Stored { address: "s3://klines/some/where/a/b.csv".into(), bytes: 300_000 });
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    for head in asked {
        assert!(head.starts_with("PUT /klines/some/where/a/b.csv?"), "{head}");
        // What is to be checked is signed, and a length is told: some servers take nothing without one.
        assert!(head.contains("X-Amz-SignedHeaders=host%3Bx-amz-checksum-sha256"), "{head}");
        assert!(head.contains("content-length: 300000") && !head.contains("transfer-encoding"), "{head}");
        assert!(!head.contains(SECRET), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_something_else_is_not_believed() {
    let other = || answer("200 OK", "x-amz-checksum-sha256: AAAA\r\n", "");
    let server = Server::of(vec![other(), other(), other()]);
    let error = put(&server.s3()).await.unwrap_err();
    assert!(matches!(error, S3Error::Differs { .. }), "{error}");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_given_up() {
    let server = Server::of(Vec::new());
    let error = put(&server.s3()).await.unwrap_err();
    assert!(error.to_string().ends_with("nothing moved for 0.4 s"), "{error}");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_is_told_with_the_address() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server { port: free, asked: Arc::default() };
    let error = put(&server.s3()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("cannot connect to 127.0.0.1:{free}")), "{error}");
    assert!(error.hint().unwrap().contains("AWS_ENDPOINT_URL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_may_write_but_not_list_are_fine_and_wrong_ones_are_found_out_at_once() {
    let server = Server::of(vec![error("403 Forbidden", "AccessDenied", "")]);
    server.s3().check().await.unwrap();
    let asked = server.asked();
    assert!(asked[0].starts_with("GET /klines/?"), "{asked:?}");
    assert!(asked[0].contains("list-type=2&max-keys=1&prefix=some%2Fwhere"), "{asked:?}");
    let server = Server::of(vec![error("403 Forbidden", "SignatureDoesNotMatch", "")]);
    let refused = server.s3().check().await.unwrap_err();
    assert!(refused.to_string().starts_with("cannot use s3://klines/some/where: HTTP 403"), "{refused}");
}
