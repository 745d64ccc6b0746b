//! What is left behind: nothing, also when the program is killed. And whose rights it takes: nobody's.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use packet_proof::{Listen, Node, Outcome, Plan, Probe, Results, Round, Transport, rights};

/// Two machines, and rules that let nothing through without a word, so that the attempt takes its whole time.
fn plan(ruleset: &str) -> Plan {
    let node = |name: &str, last: u8| Node {
        name: name.to_owned(),
        addresses: vec![[10, 0, 0, last].into()],
        listen: vec![Listen { transport: Transport::Tcp, port: 80 }],
        ..Node::default()
    };
    let probe = Probe { from: 0, to: [10, 0, 0, 2].into(), port: 80, transport: Transport::Tcp, query: None };
    Plan {
        nodes: vec![node("a", 1), node("b", 2)],
        rounds: vec![Round { ruleset: ruleset.to_owned(), probes: vec![probe], ..Round::default() }],
    }
}

const SILENCE: &str =
    "table inet t {\n chain f {\n type filter hook forward priority 0; policy drop;\n }\n}\n";

fn start(mut command: Command, plan: &Plan) -> Child {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(serde_json::to_string(plan).unwrap().as_bytes()).unwrap();
    child
}

/// Processes that run this very file.
fn running(program: &Path) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter(|entry| fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program)).count()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_run_leaves_no_process_behind() {
    if let Err(error) = rights() {
        println!("skipped: packets ({error})");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("proof-that-is-killed");
    fs::copy(env!("CARGO_BIN_EXE_packet-proof"), &program).unwrap();
    let program = fs::canonicalize(program).unwrap();
    let mut child = start(Command::new(&program), &plan(SILENCE));
    // The asker, the world, and an agent in each of the two namespaces.
    wait_until("four processes run", || running(&program) == 4);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("all of them are gone", || running(&program) == 0);
}

#[test]
fn silence_and_a_refusal_are_told_apart() {
    let refuse = SILENCE.replace("policy drop;", "policy accept;\n reject with icmpx type admin-prohibited");
    for (ruleset, expected) in [(SILENCE, Outcome::Silent), (refuse.as_str(), Outcome::Refused)] {
        let Some(results) = crate::shared::play(&plan(ruleset)) else { return };
        assert_eq!(results.rounds[0][0], expected);
    }
}

#[test]
fn broken_rules_are_reported_with_the_words_of_nft() {
    if rights().is_err() {
        println!("skipped: packets (no namespaces)");
        return;
    }
    let child = start(Command::new(env!("CARGO_BIN_EXE_packet-proof")), &plan("table inet {"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("nft -f") && words.contains("syntax error"), "{words}");
}

#[test]
fn a_user_without_rights_can_do_it_where_the_kernel_lets_them() {
    let nobody = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
        command
    };
    let possible =
        nobody("unshare").args(["-Urnm", "true"]).output().is_ok_and(|output| output.status.success());
    if rights().is_err() || !possible {
        println!("skipped: packets without rights (setpriv, or user namespaces, are not available)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("packet-proof");
    fs::copy(env!("CARGO_BIN_EXE_packet-proof"), &program).unwrap();
    // The folder of a test is closed to others.
    Command::new("chmod").args(["755"]).arg(folder.path()).arg(&program).status().unwrap();
    let child = start(nobody(&program.display().to_string()), &plan(""));
    let output = child.wait_with_output().unwrap();
    let results: Results = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    });
    assert_eq!(results.rounds[0][0], Outcome::Arrived { by: "b".to_owned() });
}
