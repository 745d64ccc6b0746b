//! Starting, stopping, killing and restarting the program of a server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Starts what follows, prints its process id, and kills it and removes the folder when standard input ends: also when
/// the test program dies. After a line `keep`, which says that the server has ended, the folder stays.
const KEEPER: &str = r#"dir=$1; shift
"$@" </dev/null >>"$dir/log" 2>&1 &
pid=$!
echo $pid
read -r word
[ "$word" = keep ] || kill -9 $pid
wait $pid 2>/dev/null
[ "$word" = keep ] || rm -rf "$dir"
"#;

/// How a kind of server is made and run.
#[derive(Debug)]
pub struct Recipe {
    /// As skips name it.
    pub name: &'static str,
    /// Who runs it when the tests run as root, if it refuses root.
    pub user: Option<&'static str>,
    /// Makes the data folder; at the least, fails when the server's program is not here.
    pub init: fn(&Path) -> Vec<String>,
    /// Runs it in the foreground, with its data folder and port.
    pub run: fn(&Path, u16) -> Vec<String>,
    /// Whether it answers on its port.
    pub is_up: fn(u16) -> bool,
}

/// A server in a folder of its own.
#[derive(Debug)]
pub struct Daemon {
    recipe: &'static Recipe,
    args: Vec<String>,
    dir: PathBuf,
    port: u16,
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
    /// Makes a server and starts it, with some more arguments.
    #[must_use]
    pub fn start(recipe: &'static Recipe, args: &[&str]) -> Option<Self> {
        let daemon = Self::reserve(recipe, args)?;
        daemon.up();
        Some(daemon)
    }

    /// Makes a server, but does not start it yet.
    #[must_use]
    pub fn reserve(recipe: &'static Recipe, args: &[&str]) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("klines-test-").tempdir().unwrap();
        own(recipe, dir.path());
        let init = as_user(recipe, &(recipe.init)(&dir.path().join("data")));
        let mut command = Command::new(&init[0]);
        command.args(&init[1..]).stdin(Stdio::null()).env("TMPDIR", dir.path());
        match command.output() {
            Ok(done) if done.status.success() => {}
            Ok(done) if done.status.code() == Some(127) => return skipped(recipe, &init),
            Ok(done) => panic!("{init:?}: {}", String::from_utf8_lossy(&done.stderr)),
            Err(_) => return skipped(recipe, &init),
        }
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        Some(Self { recipe, args, dir: dir.keep(), port: free_port(), keeper: Mutex::new(None) })
    }

    /// Starts it (again), and waits until it answers.
    pub fn up(&self) {
        self.run();
        let patience = Instant::now() + Duration::from_secs(60);
        while !(self.recipe.is_up)(self.port) {
            assert!(Instant::now() < patience, "{} does not come up: {}", self.recipe.name, self.log());
            std::thread::sleep(Duration::from_millis(30));
            // One that was killed leaves processes that take a moment to end, and hold on to its data till then.
            if !self.is_alive() {
                self.stop("-9");
                self.run();
            }
        }
    }

    fn is_alive(&self) -> bool {
        let keeper = self.lock();
        keeper.as_ref().is_some_and(|keeper| Path::new("/proc").join(&keeper.pid).join("exe").exists())
    }

    fn run(&self) {
        let mut command = (self.recipe.run)(&self.dir.join("data"), self.port);
        command.extend(self.args.iter().cloned());
        let mut child = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&self.dir)
            .args(as_user(self.recipe, &command))
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

    /// Kills it as a power failure would; its data stay.
    pub fn down(&self) {
        self.stop("-9");
    }

    /// Asks it to stop by a signal (`-TERM`), and waits until it is gone; its data stay.
    pub fn stop(&self, signal: &str) {
        let Some(mut keeper) = self.lock().take() else { return };
        let _ = Command::new("kill").args([signal, &keeper.pid]).stderr(Stdio::null()).status();
        let process = Path::new("/proc").join(&keeper.pid).join("exe");
        while process.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(mut stdin) = keeper.stdin.take() {
            let _ = stdin.write_all(b"keep\n");
        }
        keeper.child.wait().unwrap();
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that holds its log and its data.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Keeper>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.down();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn skipped(recipe: &Recipe, init: &[String]) -> Option<Daemon> {
    let program = if init[0] == "setpriv" { &init[4] } else { &init[0] };
    println!("skipped: {} ({program} not found)", recipe.name);
    None
}

/// A port of loopback on which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&id.stdout).trim() == "0"
}

/// Database servers refuse to run as root.
fn as_user(recipe: &Recipe, command: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(user) = recipe.user.filter(|_| is_root()) {
        let switch = ["setpriv", &format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]
            .map(String::from);
        all.extend(switch);
    }
    all.extend(command.iter().cloned());
    all
}

fn own(recipe: &Recipe, dir: &Path) {
    if let Some(user) = recipe.user.filter(|_| is_root()) {
        // Without the user there is no server either, which is found out and told next.
        let _ = Command::new("chown").arg(format!("{user}:{user}")).arg(dir).stderr(Stdio::null()).status();
    }
}

/// Runs a client program with a script on its standard input and gives what it prints, or what it complains of.
///
/// # Errors
/// The program's standard error when it fails, or why it could not be run.
pub fn shell(command: &[&str], script: &str) -> Result<String, String> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    // A client that cannot connect is gone before it reads; its exit code says more than the closed pipe.
    let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
    let done = child.wait_with_output().map_err(|e| e.to_string())?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}
