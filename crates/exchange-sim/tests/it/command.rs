//! The exchange as a program.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::support::*;

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exchange-sim"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_stop_and_sums_up() {
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--synthetic",
        "um:SOLUSDT@2024-01-01",
        "--now",
        "2024-02-01",
        "--frozen",
    ];
    let mut child = program(&args).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").expect(&line).to_owned();
    let ask = format!("{url}/fapi/v1/klines?symbol=SOLUSDT&interval=1d&startTime=0&limit=99");
    let rows: Vec<serde_json::Value> = client().get(ask).send().await.unwrap().json().await.unwrap();
    assert_eq!(rows.len(), 32, "31 days of January, and the open one");
    assert_eq!(rows[0][0], at("2024-01-01").0);

    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("1 requests, weight 1, 32 klines, 0 answers 429, 0 answers 418\n"), "{rest}");
}

#[test]
fn what_cannot_start_exits_with_2_and_a_reason() {
    for (args, reason) in [
        (["--data", "/no/such/folder"], "cannot read the data folder /no/such/folder"),
        (["--listen", "127.0.0.1"], "cannot listen on 127.0.0.1"),
        (["--fault", "error_rate=2"], "error_rate is 2: a rate is a share between 0 and 1"),
        (["--synthetic", "um"], "write MARKET:SYMBOL"),
    ] {
        // A port of its own, unless the address is what is wrong: the usual one may be in use.
        let listen: &[&str] = if args[0] == "--listen" { &[] } else { &["--listen", "127.0.0.1:0"] };
        let output = program(&args).args(listen).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(message.contains(reason), "{args:?}: {message}");
    }
}
