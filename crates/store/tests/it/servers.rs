//! Private database servers: each in a folder of its own, on a free port of loopback, gone when the tests end.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Starts what follows, prints its process id, and kills it and removes the folder when standard input ends: also when
/// the test program dies. After a line `keep` the folder stays.
const KEEPER: &str = r#"dir=$1; shift
"$@" </dev/null >>"$dir/log" 2>&1 &
pid=$!
echo $pid
read -r word
kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
[ "$word" = keep ] || rm -rf "$dir"
"#;

/// How a kind of server is made and run.
#[derive(Debug)]
pub struct Recipe {
    /// As skips name it.
    pub name: &'static str,
    /// Who runs it when the tests run as root.
    pub user: &'static str,
    /// Makes the data folder.
    pub init: fn(&Path) -> Vec<String>,
    /// Runs it in the foreground.
    pub run: fn(&Path, u16) -> Vec<String>,
}

/// A running server.
#[derive(Debug)]
pub struct Daemon {
    recipe: &'static Recipe,
    args: Vec<String>,
    pub dir: PathBuf,
    pub port: u16,
    keeper: Mutex<Option<Keeper>>,
}

#[derive(Debug)]
struct Keeper {
    child: Child,
    /// Held open for as long as the server is to live.
    stdin: Option<ChildStdin>,
    pid: String,
}

impl Daemon {
    /// Starts a server with some more arguments. `None` when its programs are not here, which is printed.
    pub fn start(recipe: &'static Recipe, args: &[&str], is_up: impl Fn(u16) -> bool) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("klines-test-").tempdir().unwrap().keep();
        own(recipe, &dir);
        let data = dir.join("data");
        let init = as_user(recipe, &(recipe.init)(&data));
        let made = Command::new(&init[0]).args(&init[1..]).stdin(Stdio::null()).env("TMPDIR", &dir).output();
        match made {
            Ok(done) if done.status.success() => {}
            Ok(done) => panic!("{init:?}: {}", String::from_utf8_lossy(&done.stderr)),
            Err(why) => {
                println!("skipped: {} ({} not found: {why})", recipe.name, init[0]);
                return None;
            }
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        let daemon = Self { recipe, args, dir, port, keeper: Mutex::new(None) };
        daemon.run();
        daemon.wait(is_up);
        Some(daemon)
    }

    /// Starts it (again).
    pub fn run(&self) {
        let mut command = (self.recipe.run)(&self.dir.join("data"), self.port);
        command.extend(self.args.iter().cloned());
        let command = as_user(self.recipe, &command);
        let mut child = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&self.dir)
            .args(command)
            // A MariaDB that starts removes what looks left over in a shared folder: another one's temporary tables.
            .env("TMPDIR", &self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let stdin = child.stdin.take();
        *self.lock() = Some(Keeper { child, stdin, pid: pid.trim().to_owned() });
    }

    /// Waits until it answers.
    pub fn wait(&self, is_up: impl Fn(u16) -> bool) {
        let patience = Instant::now() + Duration::from_secs(60);
        while !is_up(self.port) {
            if Instant::now() > patience {
                let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                panic!("{} does not come up: {log}", self.recipe.name);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills it as a power failure would, or asks it to stop, and waits until it is gone.
    pub fn stop(&self, signal: &str) {
        let Some(mut keeper) = self.lock().take() else { return };
        Command::new("kill").args([signal, &keeper.pid]).status().unwrap();
        let alive = || Path::new("/proc").join(&keeper.pid).join("exe").exists();
        while alive() {
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(mut stdin) = keeper.stdin.take() {
            let _ = stdin.write_all(b"keep\n");
        }
        keeper.child.wait().unwrap();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Keeper>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop("-9");
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&id.stdout).trim() == "0"
}

/// Database servers refuse to run as root.
fn as_user(recipe: &Recipe, command: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    if is_root() {
        let user = recipe.user;
        all =
            ["setpriv".into(), format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".into()]
                .to_vec();
    }
    all.extend(command.iter().cloned());
    all
}

fn own(recipe: &Recipe, dir: &Path) {
    if is_root() {
        let owner = format!("{0}:{0}", recipe.user);
        // Without the user there is no server either, which is found out and told next.
        let _ = Command::new("chown").arg(owner).arg(dir).stderr(Stdio::null()).status();
    }
}

/// Runs a client program with a script on its standard input and gives what it prints.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn shell(command: &[&str], script: &str) -> Result<String, String> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    child.stdin.take().unwrap().write_all(script.as_bytes()).map_err(|e| e.to_string())?;
    let done = child.wait_with_output().map_err(|e| e.to_string())?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}
