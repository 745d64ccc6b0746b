//! From the outside: can this machine do it, and a run from plan to results.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::agent;
use crate::plan::{Plan, Results};
use crate::world;

/// How to start this program again as a helper inside namespaces: its arguments, then `world` or `agent`.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Arguments that lead to [`helper_main`].
    pub args: Vec<String>,
}

impl Launcher {
    /// The running program, with the arguments that make it call [`helper_main`].
    ///
    /// # Errors
    /// When the system does not say which program is running.
    pub fn current(args: &[&str]) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self { program, args: args.iter().map(|&arg| arg.to_owned()).collect() })
    }
}

/// With which rights the namespaces are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// The caller's own, which suffice (root).
    Own,
    /// Those of a user namespace, in which anybody is root.
    UserNamespace,
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "as root",
            Self::UserNamespace => "without rights, in a user namespace",
        })
    }
}

/// Why a run gave no results.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// This machine cannot do it.
    #[error("this machine cannot send the packets: {reason}\n  hint: {remedy}")]
    Cannot {
        /// What is missing.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The run was started and broke.
    #[error("the packet run broke off: {message}")]
    Broken {
        /// What the helper said.
        message: String,
    },
    /// Talking to the helper failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// Finds out whether and how this machine can make the namespaces.
///
/// # Errors
/// [`ProofError::Cannot`] with the reason and the remedy.
pub fn rights() -> Result<Rights, ProofError> {
    let cannot = |reason: &str, remedy: &str| ProofError::Cannot {
        reason: reason.to_owned(),
        remedy: remedy.to_owned(),
    };
    if !cfg!(target_os = "linux") {
        return Err(cannot(
            "network namespaces are a feature of Linux",
            "run it in a Linux machine or container",
        ));
    }
    for (program, argument, package) in [
        ("unshare", "--version", "util-linux"),
        ("nsenter", "--version", "util-linux"),
        ("ip", "-V", "iproute2"),
        ("nft", "--version", "nftables"),
    ] {
        let found = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            let remedy = format!("install {package} (Debian, Ubuntu: apt-get install {package})");
            return Err(cannot(&format!("the program {program} is not installed"), &remedy));
        }
    }
    let mut last = String::new();
    for rights in [Rights::Own, Rights::UserNamespace] {
        let output = unshare(rights)
            .args(["sh", "-c", "mount -t tmpfs netns /run && printf 'add table inet netpol\\n' | nft -f -"])
            .stdin(Stdio::null())
            .output()
            .map_err(|source| ProofError::Io { what: "start unshare", source })?;
        if output.status.success() {
            return Ok(rights);
        }
        last = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("no reason given").to_owned();
    }
    Err(cannot(
        &format!("the kernel allows no namespaces or no nftables here ({last})"),
        "run as root, allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or \
         kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu), or give the container CAP_NET_ADMIN and \
         CAP_SYS_ADMIN",
    ))
}

fn unshare(rights: Rights) -> Command {
    let mut command = Command::new("unshare");
    if rights == Rights::UserNamespace {
        command.args(["--user", "--map-root-user"]);
    }
    // --kill-child: when this program's child goes, the first process inside goes, and with it all others.
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command
}

/// Runs a plan. Everything it makes disappears when it returns, and also when this process is killed meanwhile.
///
/// # Errors
/// [`ProofError::Cannot`] when the machine cannot do it, [`ProofError::Broken`] with the helper's words when it
/// broke off.
pub fn run(plan: &Plan, launcher: &Launcher) -> Result<Results, ProofError> {
    let rights = rights()?;
    let mut child = unshare(rights)
        .arg(&launcher.program)
        .args(&launcher.args)
        .arg("world")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| ProofError::Io { what: "start unshare", source })?;
    let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(ProofError::Broken { message: "the helper has no pipes".to_owned() });
    };
    let words = std::thread::spawn(move || {
        let mut words = String::new();
        let _ = stderr.read_to_string(&mut words);
        words
    });
    // A helper that ended already says why on stderr. The pipe stays open until the end: its closing is what tells
    // the helper that this process is gone.
    let _ = serde_json::to_writer(&mut stdin, plan).map_err(io::Error::from).and_then(|()| {
        stdin.write_all(b"\n")?;
        stdin.flush()
    });
    let mut answer = String::new();
    let read = stdout.read_to_string(&mut answer);
    drop(stdin);
    let status = child.wait().map_err(|source| ProofError::Io { what: "wait for the helper", source })?;
    let words = words.join().unwrap_or_default();
    read.map_err(|source| ProofError::Io { what: "read the helper's answer", source })?;
    if !status.success() {
        let message = if words.trim().is_empty() { format!("the helper ended with {status}") } else { words };
        return Err(ProofError::Broken { message: message.trim().to_owned() });
    }
    serde_json::from_str(&answer)
        .map_err(|error| ProofError::Broken { message: format!("the helper's answer is no JSON: {error}") })
}

/// What a program does when it was started through a [`Launcher`]; `role` is the last argument.
///
/// # Errors
/// What went wrong, in words: the process that started this one passes them on.
pub fn helper_main(role: &str, launcher: &Launcher) -> Result<(), String> {
    match role {
        "world" => world_main(launcher),
        "agent" => agent::run(io::stdin().lock(), io::stdout().lock()).map_err(|error| error.to_string()),
        other => Err(format!("{other:?} is no role of a packet helper")),
    }
}

fn world_main(launcher: &Launcher) -> Result<(), String> {
    let mut input = BufReader::new(io::stdin());
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| format!("cannot read the plan: {error}"))?;
    let plan: Plan = serde_json::from_str(&line).map_err(|error| format!("cannot read the plan: {error}"))?;
    std::thread::spawn(move || {
        // Whoever asked is gone when the pipe closes: end, and everything in here ends too.
        let _ = io::copy(&mut input, &mut io::sink());
        std::process::exit(1);
    });
    let results = world::play(&plan, launcher).map_err(|error| error.to_string())?;
    serde_json::to_writer(io::stdout().lock(), &results)
        .map_err(|error| format!("cannot answer: {error}"))?;
    Ok(())
}
