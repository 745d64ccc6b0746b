//! The program as a plugin of kubectl.

use std::os::unix::fs::symlink;
use std::process::Command;

fn called(name: &str, args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    symlink(env!("CARGO_BIN_EXE_netpol"), &path).unwrap();
    let output = Command::new(&path).args(args).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn as_a_plugin_the_help_shows_what_people_type() {
    assert!(called("kubectl-netpol", &["--help"]).contains("Usage: kubectl netpol "));
    assert!(called("kubectl-netpol", &["audit", "--help"]).contains("Usage: kubectl netpol audit "));
    assert!(called("netpol", &["status", "--help"]).contains("Usage: netpol status "));
}
