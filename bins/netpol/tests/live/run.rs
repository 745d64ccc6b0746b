//! Running the program.

use std::process::{Command, Output};

use crate::server::Api;

/// What a run left.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn new(output: Output, api: &Api) -> Self {
        let text = |bytes: Vec<u8>| stable(&String::from_utf8(bytes).unwrap(), api);
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Everything, for a snapshot.
    pub fn all(&self) -> String {
        format!("exit {}\n--- out\n{}--- err\n{}", self.code, self.out, self.err)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.all()))
    }
}

/// The program, set up for the server.
pub fn command(api: &Api, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netpol"));
    command
        .args(args)
        .current_dir(api.file(""))
        .env("KUBECONFIG", api.file("config"))
        .env("HOME", api.file(""));
    for name in ["COLUMNS", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    {
        command.env_remove(name);
    }
    command
}

pub fn netpol(api: &Api, args: &[&str]) -> Ran {
    Ran::new(command(api, args).output().unwrap(), api)
}

/// The text without what differs from run to run: port, folder, suffixes of names, seconds.
pub fn stable(text: &str, api: &Api) -> String {
    let text =
        text.replace(&api.url(), "https://SERVER").replace(&api.file("").display().to_string(), "FOLDER/");
    let text = text.replace(&format!("127.0.0.1:{}", api.port()), "SERVER");
    let mut stable = String::new();
    for line in text.lines() {
        stable.push_str(&without_seconds(&without_suffix(line)));
        stable.push('\n');
    }
    stable
}

fn without_suffix(line: &str) -> String {
    let mut parts = line.split("-smoke-");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        whole.push_str("-smoke-SUFFIX");
        whole.push_str(rest);
    }
    whole
}

fn without_seconds(line: &str) -> String {
    match line.rsplit_once(" after ") {
        Some((before, seconds)) if seconds.ends_with(" s") && before.contains('/') => {
            format!("{before} after N s")
        }
        _ => line.to_owned(),
    }
}
